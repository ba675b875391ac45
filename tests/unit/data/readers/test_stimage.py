"""STImage-1K4M: joins, the scale from the radius, and what is told where files do not say it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eosin.data import count_table, read
from eosin.errors import EosinError
from eosin.types import Section
from unit.data.layouts import counts, lattice, stimage


def one(folder: Path, name: str, **how) -> Section:
    return read(folder, sections=[name], **how)[0]


def edit(file: Path, change) -> None:
    change(pd.read_csv(file, index_col=0)).to_csv(file)


def test_counts_follow_the_positions_and_the_rest_is_told(tmp_path: Path) -> None:
    section = one(stimage(tmp_path), "S1")
    assert section.spots.ids == tuple(f"S1_{j}" for j in range(1, 36)) and section.counts is not None
    assert np.array_equal(section.counts.toarray(), counts(36, 2)[:35])  # the table's rows begin at the second spot
    assert "1 of 36 positions have no counts and were left out" in section.notes
    assert "1 of 36 rows of counts have no position and were left out" in section.notes


def test_a_shuffled_table_gives_the_same_section(tmp_path: Path) -> None:
    before = one(stimage(tmp_path), "S1").fingerprint()
    edit(tmp_path / "ST" / "gene_exp" / "S1_count.csv", lambda frame: frame.sample(frac=1, random_state=3))
    assert one(tmp_path, "S1").fingerprint() == before


def test_scale_is_from_the_radius_of_the_technology(tmp_path: Path) -> None:
    st, visium = read(stimage(tmp_path))
    assert st.image and st.image.mpp == pytest.approx(100 / 108) and st.spots.diameter_um == 100.0
    assert visium.image and visium.image.mpp == pytest.approx(0.25) and visium.spots.diameter_um == 55.0
    assert np.allclose(st.spots.xy_um, (lattice(6, 216.0)[1:] + 0.25) * 100 / 108)  # x is `xaxis`, the later column
    assert any("0.926 µm/px from the spots' radius of 54.0 px, 50 µm" in note for note in st.notes)
    assert not any("usual" in note for note in (*st.notes, *visium.notes))


def test_a_radius_that_contradicts_the_lattice_is_told(tmp_path: Path) -> None:
    edit(stimage(tmp_path) / "ST" / "coord" / "S1_coord.csv", lambda frame: frame.assign(r=27.0))
    assert any("400 µm apart where 200 is usual" in note for note in one(tmp_path, "S1").notes)


def test_a_given_scale_wins(tmp_path: Path) -> None:
    section = one(stimage(tmp_path), "S1", mpp=0.5)
    assert section.image and section.image.mpp == 0.5 and section.spots.diameter_um == 100.0


def test_visium_hd_needs_a_scale(tmp_path: Path) -> None:
    (stimage(tmp_path) / "Visium").rename(tmp_path / "VisiumHD")
    with pytest.raises(EosinError, match=r"V1_coord\.csv: does not say how wide a spot is.*--mpp"):
        one(tmp_path, "V1")
    section = one(tmp_path, "V1", mpp=0.05)
    assert section.platform == "Visium HD" and section.spots.diameter_um == pytest.approx(11.0)


def test_the_folder_of_one_technology_is_read_alone(tmp_path: Path) -> None:
    (section,) = read(stimage(tmp_path) / "ST")
    assert section.fingerprint() == one(tmp_path, "S1").fingerprint() and section.platform == "Spatial Transcriptomics"


def test_patient_is_the_slide_unless_the_table_says_it(tmp_path: Path) -> None:
    section = one(stimage(tmp_path), "S1")
    assert section.patient == "S1" and any("the patient is not in the files" in note for note in section.notes)
    meta = pd.DataFrame({"slide": ["S1"], "pmid": ["99"], "patient": ["P4"]})
    meta.to_csv(tmp_path / "meta" / "meta_all_gene02122025.csv", index=False, sep="\t")  # the newer one, tabs
    assert one(tmp_path, "S1").patient == "99/P4"
    (tmp_path / "patients.csv").write_text("section,patient\nS1,P9\nV1,P9\n")
    assert [section.patient for section in read(tmp_path)] == ["P9", "P9"]


def test_large_tables_are_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = one(stimage(tmp_path), "V1")  # its values are printed as 3.0
    monkeypatch.setattr(count_table, "_BLOCK", 300)
    assert one(tmp_path, "V1").fingerprint() == whole.fingerprint()


def test_quotes_of_r_are_no_part_of_names(tmp_path: Path) -> None:
    before = one(stimage(tmp_path), "S1").fingerprint()
    file = tmp_path / "ST" / "gene_exp" / "S1_count.csv"
    lines = [",".join(f'"{cell}"' if i == 0 or n == 0 else cell for i, cell in enumerate(line.split(",")))
             for n, line in enumerate(file.read_text().splitlines())]  # fmt: skip
    file.write_text("\n".join(lines))
    assert one(tmp_path, "S1").fingerprint() == before


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("coord/S1_coord.csv", "xaxis", "x", "has no column 'xaxis'"),
        ("coord/S1_coord.csv", "54.0", "wide", "a position is no number"),
        ("coord/S1_coord.csv", "54.0", "-1", "the spots' radius is -1 px"),
        ("coord/S1_coord.csv", "S1_2,", "S1_1,", "spot id 'S1_1' occurs twice"),
        ("gene_exp/S1_count.csv", "S1_", "T1_", "no row of the table has a position"),
        ("gene_exp/S1_count.csv", "S1_2,", "S1_1,", "1 rows have the name of another"),
        ("gene_exp/S1_count.csv", "S1_2,", "S1_2,few,", "row 'S1_2' has 31 values for 30 genes"),
    ],
)
def test_broken_tables_are_named(name: str, old: str, new: str, says: str, tmp_path: Path) -> None:
    file = stimage(tmp_path) / "ST" / name
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(EosinError, match=rf"S1_(coord|count)\.csv: {says}"):
        one(tmp_path, "S1")


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_table, "_LONGEST_LINE", 100)
    with pytest.raises(EosinError, match=r"S1_count\.csv: a line is longer"):
        one(stimage(tmp_path), "S1")
