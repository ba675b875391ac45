"""HEST-1k and the tasks of its benchmark."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from eosin.data import Split, describe, hest_genes, hest_patches, hest_splits, read
from eosin.errors import EosinError
from unit.data.layouts import GENES, counts, hest, hest_bench, lattice


def set_fact(folder: Path, name: str, **facts: object) -> None:
    file = folder / "metadata" / f"{name}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def test_hest_sections(tmp_path: Path) -> None:
    one, two = read(hest(tmp_path))
    assert (one.name, one.platform, one.spots.diameter_um) == ("TENX1", "Visium", 55.0)
    assert one.patient == two.patient == "A study/Patient 1"
    assert one.image and one.image.mpp == 0.5 and one.image.path == tmp_path / "wsis" / "TENX1.tif"
    assert np.allclose(one.spots.xy_um, lattice(6, 200.0) * 0.5)
    assert one.genes == GENES[1:] and one.counts is not None
    assert np.array_equal(one.counts.toarray(), counts(36, 0)[:, 1:])
    assert one.notes == ("1 control probes were left out",)


def test_hest_contradicting_scale_is_told(tmp_path: Path) -> None:
    set_fact(hest(tmp_path), "TENX1", inter_spot_dist=171.0)
    assert any("100 µm apart, the metadata say 171" in note for note in read(tmp_path)[0].notes)


def test_hest_facts_may_be_absent(tmp_path: Path) -> None:
    set_fact(hest(tmp_path), "TENX1", patient=float("nan"), spot_diameter=float("nan"), st_technology="Xenium")
    one = read(tmp_path)[0]
    assert one.patient == "TENX1" and one.spots.diameter_um == 100.0
    assert any("as usual for Xenium" in note for note in one.notes)


def stored_diameter(file: Path, px: float) -> None:
    """Write a spot's width in pixels of the full resolution, as scanpy keeps it."""
    adata = anndata.read_h5ad(file)
    adata.uns["spatial"] = {"any": {"scalefactors": {"spot_diameter_fullres": px}}}
    adata.write_h5ad(file)


def test_hest_stored_diameter_is_in_pixels(tmp_path: Path) -> None:
    set_fact(hest(tmp_path), "TENX1", spot_diameter=None, st_technology="Another")
    stored_diameter(tmp_path / "st" / "TENX1.h5ad", 130.0)
    one = read(tmp_path)[0]
    assert one.spots.diameter_um == pytest.approx(65.0)
    assert "spot diameter from spot_diameter_fullres" in one.notes


def test_bench_stored_diameter_is_in_pixels(tmp_path: Path) -> None:
    assert read(hest_bench(tmp_path))[0].spots.diameter_um == 100.0
    stored_diameter(tmp_path / "adata" / "INT1.h5ad", 300.0)
    assert read(tmp_path)[0].spots.diameter_um == pytest.approx(75.0)


def test_hest_scale_is_needed(tmp_path: Path) -> None:
    (hest(tmp_path) / "metadata" / "TENX1.json").unlink()
    with pytest.raises(EosinError, match=r"TENX1\.h5ad: does not say the scale.*give --mpp"):
        read(tmp_path)
    assert len(read(tmp_path, mpp=0.5)) == 2
    (tmp_path / "metadata" / "TENX1.json").write_text("{half")
    with pytest.raises(EosinError, match=r"TENX1\.json: not readable as JSON"):
        read(tmp_path)


def test_bench_rows_follow_the_patches(tmp_path: Path) -> None:
    one = read(hest_bench(tmp_path))[0]
    order = np.random.default_rng(0).permutation(36)[:34]
    assert one.spots.ids == tuple(f"bc{j}" for j in order)
    assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(36, 0)[order])
    assert any("2 of 36 spots have no patch" in note for note in one.notes)


def test_bench_positions_are_centres_and_scale_is_from_the_patch(tmp_path: Path) -> None:
    one = read(hest_bench(tmp_path))[0]
    order = np.random.default_rng(0).permutation(36)[:34]
    assert np.allclose(one.spots.xy_um, (lattice(6, 400.0) * 112 / 448)[order])
    assert one.image is None and hest_patches(tmp_path, "INT1") == tmp_path / "patches" / "INT1.h5"


def test_bench_scale_that_is_not_said_is_asked_for(tmp_path: Path) -> None:
    with h5py.File(hest_bench(tmp_path) / "patches" / "INT1.h5", "a") as file:
        file["img"].attrs["patch_size"] = 224  # of the stored patch or of the slide: who knows
        del file["img"].attrs["downsample"]
    with pytest.raises(EosinError, match="give --mpp"):
        read(tmp_path)
    assert np.allclose(read(tmp_path, mpp=0.5)[0].spots.xy_um.max(), lattice(6, 400.0).max() * 0.5)


def test_bench_splits_and_genes(tmp_path: Path) -> None:
    note = "by the benchmark's authors"
    assert hest_splits(hest_bench(tmp_path))[1] == Split("split 1", ("INT1", "INT3"), ("INT2",), note)
    assert hest_genes(tmp_path) == list(GENES[:5])
    assert describe(tmp_path)["splits"][0] == {"name": "split 0", "train": ["INT2", "INT3"], "test": ["INT1"]}


def test_bench_splits_ignore_stray_files_and_miss_no_partner(tmp_path: Path) -> None:
    (hest_bench(tmp_path) / "splits" / "notes.csv").write_text("a stray file")
    assert len(hest_splits(tmp_path)) == 3
    (tmp_path / "splits" / "test_1.csv").unlink()
    with pytest.raises(EosinError, match=r"test_1\.csv: no such file"):
        hest_splits(tmp_path)


def test_bench_split_that_leaks_is_refused(tmp_path: Path) -> None:
    folder = hest_bench(tmp_path) / "splits"
    (folder / "test_0.csv").write_bytes((folder / "train_0.csv").read_bytes())
    with pytest.raises(EosinError, match=r"test_0\.csv: split 'split 0' leaks"):
        hest_splits(tmp_path)


def test_bench_broken_files_are_named(tmp_path: Path) -> None:
    patches = hest_bench(tmp_path) / "patches" / "INT1.h5"
    whole = patches.read_bytes()
    patches.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EosinError, match=r"INT1\.h5: not readable"):
        read(tmp_path)
    patches.unlink()
    with pytest.raises(EosinError, match=r"INT1\.h5: no such file"):
        read(tmp_path)
    (tmp_path / "var_50genes.json").write_text("[]")
    with pytest.raises(EosinError, match="no list 'genes'"):
        hest_genes(tmp_path)


def test_bench_patches_of_another_release_are_refused(tmp_path: Path) -> None:
    file = hest_bench(tmp_path) / "adata" / "INT1.h5ad"
    anndata.read_h5ad(file)[:20].copy().write_h5ad(file)
    with pytest.raises(EosinError, match=r"INT1\.h5ad: \d+ patches have no counts"):
        read(tmp_path)


def test_bench_rows_without_a_column_are_refused(tmp_path: Path) -> None:
    file = hest_bench(tmp_path) / "splits" / "train_0.csv"
    pd.read_csv(file).drop(columns="expr_path").to_csv(file)
    with pytest.raises(EosinError, match=r"train_0\.csv: a row has no 'expr_path'"):
        read(tmp_path)


def test_known_duplicates_count_as_one_patient_and_wrong_ones_are_said(tmp_path: Path) -> None:
    """Reported at github.com/mahmoodlab/HEST/issues/126: TENX128 is TENX155 from another page."""
    hest(tmp_path)
    for old, new, study in (("TENX1", "TENX128", "A page"), ("TENX2", "TENX155", "A study")):
        (tmp_path / "st" / f"{old}.h5ad").rename(tmp_path / "st" / f"{new}.h5ad")
        facts = json.loads((tmp_path / "metadata" / f"{old}.json").read_text()) | {"dataset_title": study}
        (tmp_path / "metadata" / f"{new}.json").write_text(json.dumps(facts))
    twin, one = read(tmp_path)
    assert twin.patient == one.patient == "A study/Patient 1"
    assert any("the same tissue as TENX155 (github.com/mahmoodlab/HEST/issues/126)" in note for note in twin.notes)
    assert any("the same tissue as TENX128" in note for note in one.notes)
    assert any("one patient, their study has several" in note for note in one.notes)


@pytest.mark.parametrize("patient", ["nan", "None", "", "unknown"])
def test_a_patient_that_is_not_named_is_none(tmp_path: Path, patient: str) -> None:
    hest(tmp_path)
    for file in (tmp_path / "metadata").glob("*.json"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"patient": patient}))
    assert [one.patient for one in read(tmp_path)] == ["TENX1", "TENX2"]


def test_a_position_that_is_not_finite_is_one_line(tmp_path: Path) -> None:
    file = hest(tmp_path) / "st" / "TENX1.h5ad"
    adata = anndata.read_h5ad(file)
    adata.obsm["spatial"][3] = np.nan
    adata.write_h5ad(file)
    with pytest.raises(EosinError, match="position of spot 'bc3' is not a finite number"):
        read(tmp_path)
