"""The native layout gives back what was written, and fails whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pytest
from scipy import sparse

from eosin.data import read, write_sections
from eosin.errors import EosinError
from eosin.types import Features, Section, Spots
from unit.data.layouts import native, placeholder, section


def same(one: Section, other: Section) -> bool:
    """Equal in all but the place of the image."""
    return (
        one.fingerprint() == other.fingerprint()
        and (one.name, one.patient, one.domains, one.notes) == (other.name, other.patient, other.domains, other.notes)
        and (one.platform, one.spots.diameter_um) == (other.platform, other.spots.diameter_um)
        and (one.image and one.image.mpp) == (other.image and other.image.mpp)
    )


def test_read_gives_back_what_was_written_to_the_last_bit(tmp_path: Path) -> None:
    image = placeholder(tmp_path / "far" / "slide.png")
    written = [section("A1", "A", 0, image, mpp=0.7353), section("B1", "B", 1)]
    found = read(write_sections(written, tmp_path / "out"))
    assert all(same(one, other) for one, other in zip(written, found))
    assert found[0].image and found[0].image.path == tmp_path / "out" / "images" / "A1.png"
    assert found[0].image.path.read_bytes() == image.read_bytes()


def test_features_come_back_with_their_key(tmp_path: Path) -> None:
    facts = {"eosin_p99": 0.37}
    features = Features(np.random.default_rng(0).normal(size=(36, 5)), "stain", "stain-v1", facts=facts)
    (found,) = read(write_sections([section().with_features(features)], tmp_path / "out"))
    assert found.features and found.features.key == "stain-v1" and found.features.encoder == "stain"
    assert found.features.facts == facts
    assert np.array_equal(found.features.values, features.values)


def test_features_of_turned_tiles_come_back(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(36, 5)).astype(np.float32)
    turned = np.random.default_rng(1).normal(size=(36, 7, 5)).astype(np.float32)
    features = Features(values, "stain", "stain-v1", turned)
    folder = write_sections([section().with_features(features)], tmp_path / "out")
    (found,) = read(folder)
    assert found.features and np.array_equal(found.features.values, values)
    assert found.features.turned is not None and np.array_equal(found.features.turned, turned)
    file = folder / "sections" / "A1.h5ad"
    adata = anndata.read_h5ad(file)
    assert adata.obsm["features_turned"].shape == (36, 35)
    adata.obsm["features_turned"] = adata.obsm["features_turned"][:, :30]
    adata.write_h5ad(file)
    with pytest.raises(EosinError, match="turned"):
        read(folder)


@pytest.mark.parametrize("commercial", [True, False])
def test_features_come_back_with_their_licence(tmp_path: Path, *, commercial: bool) -> None:
    features = Features(np.ones((36, 5)), "stain", "stain-v1", licence="A licence", commercial=commercial)
    (found,) = read(write_sections([section().with_features(features)], tmp_path / "out"))
    assert found.features and (found.features.licence, found.features.commercial) == ("A licence", commercial)


def test_section_without_counts_stays_without(tmp_path: Path) -> None:
    bare = Section("X", "X", Spots(np.array([[1.0, 2.0]]), 55.0, ("a",)))
    (found,) = read(write_sections([bare], tmp_path / "out"))
    assert found.counts is None and found.genes is None and np.array_equal(found.spots.xy_um, [[1.0, 2.0]])


def test_folder_may_be_moved(tmp_path: Path) -> None:
    moved = native(tmp_path / "out").rename(tmp_path / "moved")
    image = read(moved)[0].image
    assert image and image.path == moved / "images" / "A1.png" and image.path.is_file()


def test_image_within_the_folder_is_not_copied(tmp_path: Path) -> None:
    image = placeholder(tmp_path / "out" / "images" / "mine.png")
    (found,) = read(write_sections([section(image=image)], tmp_path / "out"))
    assert found.image and found.image.path == image
    assert [file.name for file in (tmp_path / "out" / "images").iterdir()] == ["mine.png"]


def test_images_may_stay_where_they_are(tmp_path: Path) -> None:
    image = placeholder(tmp_path / "far" / "slide.png")
    (found,) = read(write_sections([section(image=image)], tmp_path / "out", copy_images=False))
    assert found.image and found.image.path == image and not (tmp_path / "out" / "images").exists()


def test_absent_image_is_a_note_not_an_error(tmp_path: Path) -> None:
    folder = native(tmp_path / "out")
    (folder / "images" / "A1.png").unlink()
    assert "is not there" in read(folder)[0].notes[-1]


def test_scale_can_be_corrected(tmp_path: Path) -> None:
    folder = native(tmp_path / "out")
    before, after = read(folder, sections=["A1"])[0], read(folder, sections=["A1"], mpp=0.74)[0]
    assert np.allclose(after.spots.xy_um, 2 * before.spots.xy_um)
    assert after.spots.diameter_um == 2 * before.spots.diameter_um
    assert after.image and after.image.mpp == 0.74 and "as given" in after.notes[-1]


def test_edited_pixel_positions_win_over_the_exact_copy(tmp_path: Path) -> None:
    folder = write_sections([section()], tmp_path / "out")
    file = folder / "sections" / "A1.h5ad"
    adata = anndata.read_h5ad(file)
    adata.obsm["spatial"] += 10.0
    adata.write_h5ad(file)
    assert np.allclose(read(folder)[0].spots.xy_um, section().spots.xy_um + 10.0)


def test_files_are_plain_anndata_of_raw_counts(tmp_path: Path) -> None:
    one = section(image=placeholder(tmp_path / "i.png"), mpp=0.5)
    adata = anndata.read_h5ad(write_sections([one], tmp_path / "out") / "sections" / "A1.h5ad")
    assert sparse.issparse(adata.X) and (one.counts != adata.X).nnz == 0
    assert np.allclose(adata.obsm["spatial"], one.spots.xy_um / 0.5)


def test_index_decides_which_sections_belong(tmp_path: Path) -> None:
    folder = write_sections([section("A1"), section("A2")], tmp_path / "out")
    write_sections([section("A2")], folder)
    assert [one.name for one in read(folder)] == ["A2"]
    (folder / "index.json").unlink()
    assert [one.name for one in read(folder)] == ["A1", "A2"]


def test_single_file_of_ours_reads_alone(tmp_path: Path) -> None:
    folder = native(tmp_path / "out")
    (found,) = read(folder / "sections" / "A1.h5ad")
    assert same(found, read(folder)[0]) and found.image and found.image.path.is_file()


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a:b"])
def test_names_that_are_no_file_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(EosinError, match="cannot be a file name"):
        write_sections([replace(section(), name=name)], tmp_path / "out")


def test_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    lost = section("B1", image=tmp_path / "no such.png")
    with pytest.raises(EosinError, match=r"no such\.png"):
        write_sections([section("A1"), lost], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_failure_leaves_the_files_of_others(tmp_path: Path) -> None:
    folder = write_sections([section("A1")], tmp_path / "out")
    with pytest.raises(EosinError):
        write_sections([section("A2"), section("B1", image=tmp_path / "no such.png")], folder)
    assert [one.name for one in read(folder)] == ["A1"]
    assert not (folder / "sections" / "A2.h5ad").exists()


def test_two_sections_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match="two sections are called 'A1'"):
        write_sections([section("A1"), section("A1")], tmp_path / "out")
