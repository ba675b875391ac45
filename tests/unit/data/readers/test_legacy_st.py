"""The her2st layout: joins, scale, labels, and what each broken file says."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eosin.data import read
from eosin.data.count_table import _any_numbers, _whole_numbers
from eosin.data.readers.legacy_st import UNLABELLED
from eosin.errors import EosinError
from unit.data.layouts import GENES, counts, lattice, legacy_st, st_labels


def test_rows_pair_by_array_position_and_the_rest_is_told(tmp_path: Path) -> None:
    one = read(legacy_st(tmp_path))[0]
    assert len(one) == 35 and one.counts is not None
    assert np.array_equal(one.counts.toarray(), counts(36, 0)[:35])  # the last row has no position
    assert any("1 of 36 rows of counts have no position" in note for note in one.notes)
    assert any("1 of 36 positions have no counts" in note for note in one.notes)


def test_pairing_does_not_depend_on_the_order_of_the_positions(tmp_path: Path) -> None:
    file = legacy_st(tmp_path) / "ST-spotfiles" / "A1_selection.tsv"
    before = read(tmp_path)[0]
    pd.read_csv(file, sep="\t").sample(frac=1, random_state=0).to_csv(file, sep="\t", index=False)
    assert read(tmp_path)[0].fingerprint() == before.fingerprint()


def test_scale_comes_from_the_pitch(tmp_path: Path) -> None:
    one = read(legacy_st(tmp_path))[0]
    assert one.image and one.image.mpp == pytest.approx(200 / 272)
    assert np.allclose(one.spots.xy_um, lattice(6, 1.0, 10.0)[1:] * 200)  # x first: rows of the lattice vary in x
    assert "0.735 µm/px from the 200 µm pitch" in one.notes


def test_given_scale_wins_and_an_odd_one_is_told(tmp_path: Path) -> None:
    one = read(legacy_st(tmp_path), mpp=0.37)[0]
    assert one.image and one.image.mpp == 0.37
    assert any("makes the pitch 101 µm" in note for note in one.notes)


def test_patient_is_the_leading_letters(tmp_path: Path) -> None:
    assert [one.patient for one in read(legacy_st(tmp_path, ("A1", "BC12")))] == ["A", "BC"]


def test_plain_tables_a_leading_data_folder_and_r_headers(tmp_path: Path) -> None:
    packed = read(legacy_st(tmp_path / "packed"))
    plain = legacy_st(tmp_path / "plain" / "data", packed=False).parent
    assert [one.fingerprint() for one in read(plain)] == [one.fingerprint() for one in packed]
    file = plain / "data" / "ST-cnts" / "A1.tsv"
    file.write_text(file.read_text().removeprefix("\t"))
    assert read(plain)[0].fingerprint() == packed[0].fingerprint()


def test_positions_with_more_cells_than_the_heading_are_refused_unless_they_are_row_names(tmp_path: Path) -> None:
    file = legacy_st(tmp_path) / "ST-spotfiles" / "A1_selection.tsv"
    before, (heading, *rows) = read(tmp_path)[0], file.read_text().splitlines()
    file.write_text("\n".join([heading, *(f"{i + 1}\t{row}" for i, row in enumerate(rows))]))
    assert read(tmp_path)[0].fingerprint() == before.fingerprint()
    file.write_text("\n".join([heading, *(f"{row}\t{i}" for i, row in enumerate(rows))]))
    with pytest.raises(EosinError, match=r"A1_selection\.tsv: its rows have more cells than its heading"):
        read(tmp_path)


def test_columns_of_one_gene_are_added(tmp_path: Path) -> None:
    file = legacy_st(tmp_path, packed=False) / "ST-cnts" / "A1.tsv"
    file.write_text(file.read_text().replace("GENE7", "GENE2"))
    one = read(tmp_path)[0]
    assert one.genes == tuple(gene for gene in GENES if gene != "GENE7") and one.counts is not None
    expected = counts(36, 0)[:35]
    assert np.array_equal(one.expression(["GENE2"])[:, 0], expected[:, 2] + expected[:, 7])
    assert any("1 column was added to another of the same gene: GENE2" in note for note in one.notes)


def test_gene_called_NA_is_a_gene(tmp_path: Path) -> None:
    file = legacy_st(tmp_path, packed=False) / "ST-cnts" / "A1.tsv"
    file.write_text(file.read_text().replace("GENE7", "NA"))
    genes = read(tmp_path)[0].genes
    assert genes and genes[7] == "NA"


def test_labels_are_found_near_whole_positions(tmp_path: Path) -> None:
    legacy_st(tmp_path)
    st_labels(tmp_path, "A1", {"11x10": "invasive", "12x10": "fat"})
    domains = read(tmp_path)[0].domains
    assert domains and domains[:3] == ("invasive", "fat", UNLABELLED)
    assert read(tmp_path)[1].domains is None


def test_missing_image_is_a_note(tmp_path: Path) -> None:
    next((legacy_st(tmp_path) / "ST-imgs" / "A" / "A1").iterdir()).unlink()
    one = read(tmp_path)[0]
    assert one.image is None and any("no image" in note for note in one.notes)


def edit(tmp_path: Path, old: str, new: str) -> Path:
    file = legacy_st(tmp_path, packed=False) / "ST-cnts" / "A1.tsv"
    lines = file.read_text().splitlines()
    lines[3] = lines[3].replace(old, new, 1)
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("many", "'many' is no number (row '13x10', gene 'GENE0')"),
        ("-3", "negative"),
        ("1.5", "fractions"),
        ("nan", "NaN"),
        ("", "'' is no number (row '13x10', gene 'GENE0')"),
        ("inf", "infinity"),
    ],
)
def test_bad_cell_names_the_file(value: str, problem: str, tmp_path: Path) -> None:
    first = str(counts(36, 0)[2, 0])
    file = edit(tmp_path, f"13x10\t{first}\t", f"13x10\t{value}\t")
    with pytest.raises(EosinError) as caught:
        read(tmp_path)
    assert problem in str(caught.value) and str(caught.value).startswith(str(file))


def test_ragged_rows_are_refused(tmp_path: Path) -> None:
    file = edit(tmp_path, "13x10\t", "13x10\t1\t1\t")
    with pytest.raises(EosinError, match=r"A1\.tsv: row '13x10' has 32 values for 30 genes"):
        read(tmp_path)
    text = file.read_text().splitlines()
    file.write_text("\n".join([*text[:3], text[3][:20], *text[4:]]))
    with pytest.raises(EosinError, match=r"A1\.tsv: row '13x10' has \d+ values for 30 genes"):
        read(tmp_path)


def test_both_ways_of_parsing_agree(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 10 ** rng.integers(1, 8, (20, 9)))
    cells = ["\t".join(map(str, row)) for row in values]
    fast = _whole_numbers("\t".join(cells) + "\t", "\t")
    assert fast is not None and np.array_equal(fast.reshape(20, 9), values)
    assert np.array_equal(_any_numbers([("r", row) for row in cells], ["g"] * 9, "\t", tmp_path), values)


@pytest.mark.parametrize("text", ["1\t\t2", "1\t2.0", "1\t-2", "1\t12345678", " 1\t2", "1\t\u0661", ""])
def test_fast_way_leaves_all_but_short_whole_numbers(text: str) -> None:
    assert _whole_numbers(f"{text}\t", "\t") is None


def test_whole_numbers_written_as_decimals_are_counts(tmp_path: Path) -> None:
    first = str(counts(36, 0)[2, 0])
    edit(tmp_path, f"13x10\t{first}\t", f"13x10\t{first}.0\t")
    one = read(tmp_path)[0]
    assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(36, 0)[:35])


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_truncated_table_is_refused(keep: float, tmp_path: Path) -> None:
    file = legacy_st(tmp_path) / "ST-cnts" / "A1.tsv.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    with pytest.raises(EosinError, match=r"A1\.tsv\.gz.*(cut short|no counts)"):
        read(tmp_path)


def test_table_that_is_no_gzip_is_refused(tmp_path: Path) -> None:
    (legacy_st(tmp_path) / "ST-cnts" / "A1.tsv.gz").write_text("an error page")
    with pytest.raises(EosinError, match=r"A1\.tsv\.gz"):
        read(tmp_path)


def test_positions_are_needed(tmp_path: Path) -> None:
    file = legacy_st(tmp_path) / "ST-spotfiles" / "A1_selection.tsv"
    file.write_text(file.read_text().replace("pixel_x", "px"))
    with pytest.raises(EosinError, match="has no column 'pixel_x'"):
        read(tmp_path)
    file.unlink()
    with pytest.raises(EosinError, match=r"A1_selection\.tsv: no such file"):
        read(tmp_path)


def test_position_twice_or_not_a_number_is_refused(tmp_path: Path) -> None:
    file = legacy_st(tmp_path) / "ST-spotfiles" / "A1_selection.tsv"
    text = file.read_text()
    file.write_text(text + text.splitlines()[-1] + "\n")
    with pytest.raises(EosinError, match="1 array positions occur twice"):
        read(tmp_path)
    file.write_text(text.replace("2720.0", "far", 1))
    with pytest.raises(EosinError, match="'far' in column 'pixel_x', line 2, is no number"):
        read(tmp_path)


def test_tables_of_different_sections_do_not_pair(tmp_path: Path) -> None:
    file = legacy_st(tmp_path) / "ST-cnts" / "A1.tsv.gz"
    text = gzip.decompress(file.read_bytes()).decode()
    file.write_bytes(gzip.compress(text.replace("x1", "x7").replace("x9", "x8").encode()))
    with pytest.raises(EosinError, match="no row of the table has a position"):
        read(tmp_path)


def test_label_file_without_labels_is_refused(tmp_path: Path) -> None:
    legacy_st(tmp_path)
    st_labels(tmp_path, "A1", {"11x10": "fat"})
    file = tmp_path / "ST-pat" / "lbl" / "A1_labeled_coordinates.tsv"
    file.write_text(file.read_text().replace("label", "tissue"))
    with pytest.raises(EosinError, match="has no column 'label'"):
        read(tmp_path)


def test_ids_and_counts_stay_together_where_rows_from_the_middle_are_left_out(tmp_path: Path) -> None:
    file = legacy_st(tmp_path) / "ST-spotfiles" / "A1_selection.tsv"
    places = pd.read_csv(file, sep="\t")
    places.drop(index=[1, 2, 17]).to_csv(file, sep="\t", index=False)  # 1 and 2 are the first rows of counts
    one = read(tmp_path)[0]
    kept = [row for row in range(35) if row not in (0, 1, 16)]
    whole = lattice(6, 1.0, 10.0)[1:].astype(int)
    assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(36, 0)[kept])
    assert list(one.spots.ids) == [f"{x}x{y}" for x, y in whole[kept]]
    assert np.allclose(one.spots.xy_um, lattice(6, 1.0, 10.0)[1:][kept] * 200)


def test_labels_below_the_whole_position_belong_to_it(tmp_path: Path) -> None:
    legacy_st(tmp_path)
    file = tmp_path / "ST-pat" / "lbl" / "A1_labeled_coordinates.tsv"
    file.parent.mkdir(parents=True)
    file.write_text("Row.names\tlabel\tx\ty\na\tinvasive\t10.94\t9.97\nb\tfat\t12.03\t9.96\n")
    domains = read(tmp_path)[0].domains
    assert domains and domains[:3] == ("invasive", "fat", UNLABELLED)


# --- spots beside the tissue, and rows named by adjusted positions ----------------------------------------------------


def places_of(folder: Path, edit) -> Path:
    """The layout with the table of positions of `A1` edited."""
    legacy_st(folder, ("A1",))
    file = folder / "ST-spotfiles" / "A1_selection.tsv"
    edit(frame := pd.read_csv(file, sep="\t"))
    frame.to_csv(file, sep="\t", index=False)
    return folder


@pytest.mark.parametrize("column", ["selected", "in_tissue"])
def test_spots_that_are_not_selected_are_beside_the_tissue(tmp_path: Path, column: str) -> None:
    def half(frame: pd.DataFrame) -> None:
        del frame["selected"]
        frame[column] = (frame["x"] < 13).astype(int)

    expected = read(legacy_st(tmp_path / "all", ("A1",)))[0]
    (one,) = read(places_of(tmp_path / "half", half))
    kept = [row for row, spot in enumerate(expected.spots.ids) if int(spot.partition("x")[0]) < 13]
    assert one.spots.ids == tuple(expected.spots.ids[row] for row in kept) and len(one) == 17
    assert one.counts is not None and expected.counts is not None
    assert np.array_equal(one.counts.toarray(), expected.counts.toarray()[kept])
    assert "18 of 35 spots are beside the tissue (selected = 0) and were left out" in one.notes


def test_a_column_that_selects_nothing_is_not_believed(tmp_path: Path) -> None:
    assert len(read(places_of(tmp_path, lambda frame: frame.__setitem__("selected", 0)))[0]) == 35


@pytest.mark.parametrize("form", ["{:.2f}x{:.2f}", "{:.3f}x{:.3f}", "{:.1f}x{:.1f}"])
def test_rows_named_by_adjusted_positions_are_joined(tmp_path: Path, form: str) -> None:
    st_labels(legacy_st(tmp_path, ("A1",)), "A1", {"11x10": "cancer", "12x10": "fat"})
    expected = read(tmp_path)[0]
    places = pd.read_csv(tmp_path / "ST-spotfiles" / "A1_selection.tsv", sep="\t")
    adjusted = {f"{x}x{y}": form.format(*new) for x, y, *new in places[["x", "y", "new_x", "new_y"]].to_numpy(object)}
    table = pd.read_csv(tmp_path / "ST-cnts" / "A1.tsv.gz", sep="\t", index_col=0)
    table.rename(index=lambda spot: adjusted.get(spot, spot)).to_csv(tmp_path / "ST-cnts" / "A1.tsv.gz", sep="\t")
    (one,) = read(tmp_path)
    assert np.array_equal(one.spots.xy_um, expected.spots.xy_um) and one.domains == expected.domains
    assert one.spots.ids[0] == adjusted[expected.spots.ids[0]]
    assert any("adjusted positions (new_x, new_y)" in note for note in one.notes)


def test_names_of_another_kind_are_shown_beside_those_of_the_positions(tmp_path: Path) -> None:
    folder = legacy_st(tmp_path, ("A1",))
    table = pd.read_csv(folder / "ST-cnts" / "A1.tsv.gz", sep="\t", index_col=0)
    table.rename(index=lambda spot: spot.replace("x", "_")).to_csv(folder / "ST-cnts" / "A1.tsv.gz", sep="\t")
    with pytest.raises(EosinError, match=r"no row of the table has a position in .*: '11_10' here, '10x10' there"):
        read(folder)


def test_a_table_of_genes_by_spots_is_to_be_transposed(tmp_path: Path) -> None:
    legacy_st(tmp_path, ("A1",), packed=False)
    file = tmp_path / "ST-cnts" / "A1.tsv"
    pd.read_csv(file, sep="\t", index_col=0).T.to_csv(file, sep="\t")
    with pytest.raises(EosinError, match="is genes x spots, and no row has a position"):
        read(tmp_path)


def test_exchanged_columns_of_pixels_are_said(tmp_path: Path) -> None:
    legacy_st(tmp_path, ("A1",), packed=False)
    assert not any("exchanged" in note for note in read(tmp_path)[0].notes)
    file = tmp_path / "ST-spotfiles" / "A1_selection.tsv"
    table = pd.read_csv(file, sep="\t").rename(columns={"pixel_x": "pixel_y", "pixel_y": "pixel_x"})
    table.to_csv(file, sep="\t", index=False)
    assert any("pixel_x and pixel_y run against x and y of the array" in note for note in read(tmp_path)[0].notes)
