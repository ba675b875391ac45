"""Predictions as AnnData: what scanpy draws, what comes back, what a broken file says."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import anndata
import h5py
import matplotlib
import numpy as np
import pytest

from eosin.data import Thumbnails, add_layers, read_prediction, to_anndata, write_prediction
from eosin.data.h5ad import write_h5ad
from eosin.errors import EosinError
from eosin.types import ErrorBars, GenePanel, GeneTrust, Image, Likeness, Prediction, Spots

matplotlib.use("Agg")


def prediction(n_draws: int = 4, mpp: float | None = 0.7353) -> Prediction:
    rng = np.random.default_rng(0)
    return Prediction(
        section="C6",
        spots=Spots(rng.uniform(50, 3000, (40, 2)), 100.0, tuple(f"{i}x7" for i in range(40))),
        panel=GenePanel(("ERBB2", "HLA-A", "A/B"), "log1p", "var:3", ("C2", "C3")),
        draws=rng.normal(1.0, 0.5, (n_draws, 40, 3)),
        model="stflow",
        seed=7,
        image=None if mpp is None else Image(Path("slides/C6.jpg"), mpp),
        provenance={"encoder": "stain", "steps": [1, None, {"lr": 1e-3}]},
    )


@pytest.mark.parametrize("mpp", [0.7353, None])
@pytest.mark.parametrize("n_draws", [1, 4])
def test_round_trip_is_exact(n_draws: int, mpp: float | None, tmp_path: Path) -> None:
    made = prediction(n_draws, mpp)
    write_prediction(made, tmp_path / "p.h5ad")
    found = read_prediction(tmp_path / "p.h5ad")
    assert np.array_equal(found.draws, made.draws) and np.array_equal(found.spots.xy_um, made.spots.xy_um)
    for field in ("section", "panel", "model", "seed", "image", "provenance"):
        assert getattr(found, field) == getattr(made, field), field
    assert (found.spots.ids, found.spots.diameter_um) == (made.spots.ids, made.spots.diameter_um)


def test_draws_stay_in_order_beyond_ten(tmp_path: Path) -> None:
    made = prediction(12)
    write_prediction(made, tmp_path / "p.h5ad")
    assert np.array_equal(read_prediction(tmp_path / "p.h5ad").draws, made.draws)


@pytest.mark.parametrize("mirrored", [False, True])
def test_whether_draws_are_mirrored_is_written_and_read_back(*, mirrored: bool, tmp_path: Path) -> None:
    made = replace(prediction(), mirrored=mirrored)
    write_prediction(made, tmp_path / "p.h5ad")
    found = read_prediction(tmp_path / "p.h5ad")
    assert found.mirrored is mirrored and np.array_equal(found.sd, made.sd)


def test_draws_of_a_file_that_does_not_say_are_taken_for_independent(tmp_path: Path) -> None:
    adata = to_anndata(replace(prediction(), mirrored=True), draws=True)
    del adata.uns["eosin"]["mirrored"]
    write_h5ad(adata, tmp_path / "p.h5ad")
    assert read_prediction(tmp_path / "p.h5ad").mirrored is False


def test_without_draws_the_mean_comes_back(tmp_path: Path) -> None:
    write_prediction(prediction(), tmp_path / "p.h5ad", draws=False)
    found = read_prediction(tmp_path / "p.h5ad")
    assert found.n_draws == 1 and np.array_equal(found.mean, prediction().mean)


def test_fields_are_where_the_neighbours_look(tmp_path: Path) -> None:
    made = prediction()
    adata = to_anndata(made)
    assert list(adata.obs_names) == list(made.spots.ids) and list(adata.var_names) == list(made.panel.names)
    assert np.array_equal(adata.X, made.mean)
    assert set(adata.layers) - {None} == {"std", "q05", "q95"}  # the newest anndata lists X as None
    assert np.array_equal(adata.layers["std"], made.sd) and np.array_equal(adata.layers["q95"], made.quantile(0.95))
    assert adata.obsm["spatial"].dtype == np.float64
    assert np.allclose(adata.obsm["spatial"] * 0.7353, made.spots.xy_um)
    factors = adata.uns["spatial"]["C6"]["scalefactors"]
    assert factors["spot_diameter_fullres"] == pytest.approx(100 / 0.7353)
    assert adata.uns["eosin"]["spatial_unit"] == "px" and adata.uns["eosin"]["transform"] == "log1p"


def test_one_draw_has_no_error_bars() -> None:
    assert not to_anndata(prediction(1)).layers


def test_without_image_positions_are_um() -> None:
    adata = to_anndata(prediction(mpp=None))
    assert adata.uns["eosin"]["spatial_unit"] == "um"
    assert np.array_equal(adata.obsm["spatial"], prediction().spots.xy_um)
    assert adata.uns["spatial"]["C6"]["scalefactors"]["spot_diameter_fullres"] == 100.0


@pytest.mark.parametrize("mpp", [0.7353, None])
def test_blank_thumbnails_cover_all_spots(mpp: float | None) -> None:
    adata = to_anndata(prediction(mpp=mpp))
    library = adata.uns["spatial"]["C6"]
    for name in ("hires", "lowres"):
        height, width, _ = library["images"][name].shape
        at = adata.obsm["spatial"] * library["scalefactors"][f"tissue_{name}_scalef"]
        assert (at >= 0).all() and (at[:, 0] < width).all() and (at[:, 1] < height).all()


def test_thumbnails_are_scaled_from_um() -> None:
    small = Thumbnails(np.zeros((30, 40, 3), np.uint8), np.zeros((3, 4, 3), np.uint8), 100.0, 1000.0)
    library = to_anndata(prediction(), thumbnails=small).uns["spatial"]["C6"]
    assert library["images"]["hires"] is small.hires
    assert library["scalefactors"]["tissue_hires_scalef"] == pytest.approx(0.7353 / 100)
    assert library["scalefactors"]["tissue_lowres_scalef"] == pytest.approx(0.7353 / 1000)


def test_thumbnails_of_another_kind_are_refused() -> None:
    with pytest.raises(EosinError, match="uint8"):
        Thumbnails(np.zeros((30, 40, 3)), np.zeros((3, 4, 3), np.uint8), 100.0, 1000.0)


@pytest.mark.parametrize("mpp", [0.7353, None])
def test_scanpy_draws_the_file_at_once(mpp: float | None, tmp_path: Path) -> None:
    import matplotlib.pyplot as plt
    import scanpy as sc

    write_prediction(prediction(mpp=mpp), tmp_path / "p.h5ad")
    adata = anndata.read_h5ad(tmp_path / "p.h5ad")
    (axes,) = sc.pl.spatial(adata, color="ERBB2", show=False)
    circles = axes.collections[0]
    assert len(circles.get_paths()) in (1, 40) and len(circles.get_array()) == 40
    assert axes.get_images(), "no slide under the spots"
    plt.close("all")


def test_section_with_a_slash_can_be_written(tmp_path: Path) -> None:
    write_prediction(replace(prediction(), section="study/C6"), tmp_path / "p.h5ad")
    assert read_prediction(tmp_path / "p.h5ad").section == "study/C6"


def test_writing_is_whole_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_prediction(prediction(), tmp_path / "p.h5ad")
    before = (tmp_path / "p.h5ad").read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EosinError, match="disk is full"):
        write_prediction(prediction(2), tmp_path / "p.h5ad")
    assert (tmp_path / "p.h5ad").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def measured() -> anndata.AnnData:
    adata = anndata.AnnData(np.ones((41, 4), np.float32))
    adata.obs_names = [f"{i}x7" for i in reversed(range(41))]
    adata.var_names = ["ACTB", "HLA-A", "ERBB2", "TP53"]
    return adata


def test_layers_are_added_by_name_and_nothing_else_changes() -> None:
    adata, made = measured(), prediction()
    before = adata.copy()
    add_layers(adata, made, key="mine")
    assert set(adata.layers) - {None} == {"mine", "mine_std"}
    assert adata["3x7", "ERBB2"].layers["mine"].item() == made.mean[3, 0]
    assert adata["3x7", "HLA-A"].layers["mine_std"].item() == made.sd[3, 1]
    assert np.isnan(adata[:, ["ACTB", "TP53"]].layers["mine"]).all()
    assert np.isnan(adata["40x7"].layers["mine"]).all()
    assert np.array_equal(adata.X, before.X) and not adata.uns and not adata.obsm and adata.obs.equals(before.obs)


def test_one_spot_and_one_gene_in_common_are_enough_though_they_are_the_first() -> None:
    adata, made = measured(), prediction()
    spot, gene = made.spots.ids[2], made.panel.names[1]
    adata = adata[[spot, *(name for name in adata.obs_names if name not in made.spots.ids)]].copy()
    adata = adata[:, [gene, *(name for name in adata.var_names if name not in made.panel.names)]].copy()
    add_layers(adata, made)
    layer = adata.layers["eosin"]
    assert layer[0, 0] == made.mean[2, 1] and np.isnan(layer).sum() == layer.size - 1


def test_layers_of_another_section_are_refused() -> None:
    adata = measured()
    adata.obs_names = [f"other{i}" for i in range(41)]
    with pytest.raises(EosinError, match="no spot in common"):
        add_layers(adata, prediction())


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated_file_is_told(share: float, tmp_path: Path) -> None:
    file = tmp_path / "p.h5ad"
    write_prediction(prediction(), file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(EosinError, match=r"p\.h5ad: (not readable|is empty)"):
        read_prediction(file)


def test_no_altered_byte_changes_a_prediction_unnoticed(tmp_path: Path) -> None:
    """Without the seal, some of these crash the process within HDF5."""
    made, file = prediction(), tmp_path / "p.h5ad"
    write_prediction(made, file)
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for at in rng.integers(0, len(whole) - 60, 300):
        altered = bytearray(whole)
        altered[at] ^= 0xFF
        file.write_bytes(altered)
        with pytest.raises(EosinError, match=r"p\.h5ad: not readable: altered"):
            read_prediction(file)


@pytest.mark.parametrize("engine", ["anndata", "h5py"])
def test_the_seal_does_not_outlive_an_edit_by_another_tool(engine: str, tmp_path: Path) -> None:
    file = tmp_path / "p.h5ad"
    write_prediction(prediction(), file)
    if engine == "anndata":
        adata = anndata.read_h5ad(file)
        adata.obs["mine"] = 1
        adata.write_h5ad(file)
    else:
        with h5py.File(file, "r+") as stored:
            stored["obsm/xy_um"][0, 0] += 0.0
            stored["uns/eosin"].attrs["mine"] = 1
    assert read_prediction(file).n_draws == 4


def alter(tmp_path: Path, change) -> Path:
    file = tmp_path / "p.h5ad"
    write_prediction(prediction(), file)
    adata = anndata.read_h5ad(file)
    change(adata)
    adata.write_h5ad(file)
    return file


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda a: a.uns.pop("eosin"), "is no prediction that eosin wrote"),
        (lambda a: a.uns["eosin"].update(kind="section"), "is no prediction that eosin wrote"),
        (lambda a: a.uns["eosin"].update(schema=99), "written in format 99"),
        (lambda a: a.uns["eosin"].pop("transform"), "lacks 'transform'"),
        (lambda a: a.uns["eosin"].update(provenance="{"), "'provenance'. is no JSON"),
        (lambda a: a.obsm.update(draws=np.asarray(a.obsm["draws"])[:, :3]), "holds draws of shape"),
        (lambda a: a.obsm["draws"].__setitem__((0, 0, 0), np.nan), "NaN"),
        (lambda a: a.obsm.pop("spatial"), r"has no obsm\['spatial'\]"),
        (lambda a: a.uns["eosin"].update(mpp=400.0), "400.0 µm per pixel"),
    ],
)
def test_altered_content_is_told(change, problem: str, tmp_path: Path) -> None:
    file = alter(tmp_path, change)
    with pytest.raises(EosinError, match=problem) as caught:
        read_prediction(file)
    assert "p.h5ad" in str(caught.value) or "C6.jpg" in str(caught.value)


def test_error_bars_and_verdicts_come_back_and_draws_only_when_asked_for(tmp_path: Path) -> None:
    spots = Spots(np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]]), 55.0, ("a", "b", "c"))
    rng = np.random.default_rng(0)
    bars = ErrorBars(np.array([0.5, 1.5]), np.array([0.01, 0.5, 0.99]), np.array([-2.0, 0.0, 2.5]), 0.0, basis="x")
    trust = GeneTrust(np.array([0.7, np.nan]), np.array([0.2, np.nan]), "known patient")
    draws, centre = rng.normal(size=(4, 3, 2)).astype(np.float32), rng.normal(size=(3, 2)).astype(np.float32)
    said = {"centre": centre, "error_bars": bars, "trust": trust, "likeness": Likeness(np.array([1, 2, 9]), 2.5, 1.5)}
    given = Prediction("A1", spots, GenePanel(("A", "B")), draws, "m", 0, **said)
    for keep in (None, True):
        write_prediction(given, tmp_path / "p.h5ad", draws=keep)
        adata = anndata.read_h5ad(tmp_path / "p.h5ad")
        assert list(adata.var["trust"]) == ["map", "no"] and ("draws" in adata.obsm) == bool(keep)
        assert np.allclose(adata.layers["q95"], given.quantile(0.95)) and np.allclose(adata.layers["std"], [[0.5, 1.5]])
        again = read_prediction(tmp_path / "p.h5ad")
        assert np.array_equal(again.mean, centre) and np.array_equal(again.quantile(0.1), given.quantile(0.1))
        assert again.n_draws == (4 if keep else 1) and again.error_bars is not None and again.error_bars.basis == "x"
        assert list(adata.obs["ood"]) == [False, False, True] and again.likeness is not None
        assert again.likeness.line() == said["likeness"].line() and again.likeness.verdict == "unlike training"
        assert again.trust is not None and again.trust.kind == "known patient"
        assert np.allclose(again.trust.inner_pcc, trust.inner_pcc, equal_nan=True)
        if keep:
            assert np.array_equal(again.draws, draws)
