"""Every reader ends in `SectionParts`: names of genes, faults that name the file, notes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from eosin.data.section_parts import SectionParts, find_image, left_out
from eosin.errors import EosinError
from eosin.genes.columns import GeneNames, naming_of
from eosin.types import Image

IDS = ("ENSG00000107485", "ENSG00000141736", "ENSG00000141736")
PARTS = SectionParts(
    Path("counts.csv"),
    "A1",
    np.array([[0.0, 0.0], [100.0, 0.0]]),
    55.0,
    ["s0", "s1"],
    sparse.csr_matrix([[1, 2, 3], [0, 4, 0]]),
    GeneNames(("GATA3", "ERBB2", "HER2"), IDS),
    notes=["seen"],
)


def test_genes_are_called_as_asked_and_added_up() -> None:
    section = PARTS.section(naming_of("ensembl"))
    assert section.counts is not None and section.counts.toarray().tolist() == [[1, 5], [0, 4]]
    assert section.genes == IDS[:2]
    assert section.notes == ("seen", f"1 column was added to another of the same gene: {IDS[1]}")


def test_without_a_naming_columns_stay_as_they_are() -> None:
    section = PARTS.section()
    assert (section.genes, section.ensembl, section.notes) == (("GATA3", "ERBB2", "HER2"), IDS, ("seen",))
    assert section.patient == "A1"  # no patient is known: the section counts as its own


def test_a_section_may_have_no_counts() -> None:
    section = replace(PARTS, counts=None, genes=None, patient="").section(naming_of(None))
    assert section.genes is None and section.patient == ""


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ids": ["s0", "s0"]}, "spot id 's0' occurs twice"),
        ({"diameter_um": 0.0}, "the spot diameter is 0.0"),
        ({"counts": sparse.csr_matrix([[0.5, 2, 3], [0, 4, 0]])}, "counts hold fractions"),
        ({"genes": GeneNames(("GATA3", "GATA3", "HER2"))}, "2 columns are called 'GATA3'"),
    ],
)
def test_every_fault_names_the_file(change: dict, problem: str) -> None:
    with pytest.raises(EosinError, match=f"^counts.csv: .*{problem}"):
        replace(PARTS, **change).section(naming_of(None, "refuse"))


def test_a_note_says_how_many_were_left_out() -> None:
    assert left_out(2, 36, "spots have no patch") == ["2 of 36 spots have no patch and were left out"]
    assert left_out(0, 36, "spots have no patch") == []


def test_an_image_is_found_by_place_before_suffix(tmp_path: Path) -> None:
    near, far = tmp_path / "A1.v2", tmp_path / "far"
    assert find_image([near, far]) is None
    (tmp_path / "far.tif").touch()
    assert find_image([near, far]) == tmp_path / "far.tif"
    (tmp_path / "A1.v2.png").touch()
    assert find_image([near, far]) == tmp_path / "A1.v2.png"  # a dot in the name is no suffix
    assert find_image([near], (".btf",)) is None


@pytest.mark.parametrize("name", ["S0.ome.tif", "S0.OME.TIFF", "S0.JPG", "S0.Svs", "S0.btf", "S0.png"])
def test_an_image_is_found_by_name_in_every_case_of_its_suffix(tmp_path: Path, name: str) -> None:
    for other in ("s0.png", "S01.png", "S0_HE.png", "S0.h5ad", "S0.txt"):
        (tmp_path / other).write_bytes(b"no such image")
    assert find_image([tmp_path / "S0", tmp_path / "nowhere" / "S0"]) is None
    (tmp_path / name).write_bytes(b"nobody looks")
    assert find_image([tmp_path / "other", tmp_path / "S0"]) == tmp_path / name


def test_of_two_images_the_usual_one_is_taken(tmp_path: Path) -> None:
    for name in ("S0.png", "S0.PNG", "S0.tif", "S0.TIF"):
        (tmp_path / name).write_bytes(b"nobody looks")
    assert find_image([tmp_path / "S0"]) == tmp_path / "S0.tif"


def test_an_image_of_the_same_name_in_another_format_is_said(tmp_path: Path) -> None:
    for name in ("A1.ome.tif", "A1.PNG", "A1.txt", "A10.png"):
        (tmp_path / name).write_bytes(b"not an image")
    section = replace(PARTS, image=Image(tmp_path / "A1.ome.tif", 0.5)).section()
    assert "A1.PNG beside A1.ome.tif is not used" in section.notes


def test_many_spots_without_a_molecule_are_said() -> None:
    counts = sparse.csr_matrix([[1, 2, 3], [0, 0, 0]])
    assert "1 of 2 spots hold no molecule: are they beside the tissue?" in replace(PARTS, counts=counts).section().notes
