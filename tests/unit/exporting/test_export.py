"""What is exported is what was predicted, where it was predicted; and nothing is half-written."""

from __future__ import annotations

import csv
import json
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eosin.data import read_prediction, write_prediction
from eosin.errors import EosinError
from eosin.exporting import FORMATS, export, rows
from eosin.features import write_features
from eosin.types import GenePanel, Image, Prediction, Spots

MPP = 0.5


def prediction(n: int = 30, k: int = 5, *, image: bool = True) -> Prediction:
    rng = np.random.default_rng(0)
    return Prediction(
        section="A1",
        spots=Spots(rng.uniform(100, 2000, (n, 2)), 55.0, tuple(f"{i}x{2 * i}" for i in range(n))),
        panel=GenePanel(("GATA3", "HLA-A", "KRT8")),
        draws=rng.normal(2, 1, (k, n, 3)).astype(np.float32),
        model="ridge",
        seed=0,
        image=Image(Path("A1.tif"), MPP) if image else None,
    )


@pytest.fixture
def one() -> Prediction:
    return prediction()


def test_a_table_holds_names_places_and_layers(one: Prediction, tmp_path: Path) -> None:
    export(one, tmp_path / "p.csv", layers=["mean", "sd", "q05", "q95"])
    table = pd.read_csv(tmp_path / "p.csv", index_col="spot")
    assert list(table.columns[:6]) == ["x_um", "y_um", "GATA3", "GATA3_sd", "GATA3_q05", "GATA3_q95"]
    assert list(table.index) == list(one.spots.ids)
    np.testing.assert_allclose(table[["x_um", "y_um"]], one.spots.xy_um, atol=1e-3)
    np.testing.assert_allclose(table[["GATA3", "HLA-A", "KRT8"]], one.mean, rtol=1e-5)
    np.testing.assert_allclose(table["KRT8_sd"], one.sd[:, 2], rtol=1e-5)
    np.testing.assert_allclose(table["HLA-A_q95"], one.quantile(0.95)[:, 1], rtol=1e-5)


def test_parquet_is_exact_and_says_what_it_is(one: Prediction, tmp_path: Path) -> None:
    from pyarrow import parquet

    export(one, tmp_path / "p.parquet", genes=["KRT8", "GATA3"])
    table = pd.read_parquet(tmp_path / "p.parquet")
    assert list(table.columns) == ["spot", "x_um", "y_um", "KRT8", "KRT8_sd", "GATA3", "GATA3_sd"]
    np.testing.assert_array_equal(table[["KRT8", "GATA3"]], one.mean[:, [2, 0]])
    np.testing.assert_array_equal(table[["x_um", "y_um"]], one.spots.xy_um)
    about = json.loads(parquet.read_schema(tmp_path / "p.parquet").metadata[b"eosin"])
    assert about == {"section": "A1", "model": "ridge", "transform": "log1p"}


def test_blocks_change_nothing(one: Prediction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("csv", "parquet", "geojson"):
        export(one, tmp_path / f"whole.{name}")
    monkeypatch.setattr(rows, "_BLOCK", 7)
    for name in ("csv", "geojson"):
        export(one, tmp_path / f"parts.{name}")
        assert (tmp_path / f"parts.{name}").read_bytes() == (tmp_path / f"whole.{name}").read_bytes()
    export(one, tmp_path / "parts.parquet")
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "parts.parquet"), pd.read_parquet(tmp_path / "whole.parquet")
    )


@pytest.mark.parametrize(
    ("outline", "share"), [("circle", 24 / (2 * np.pi) * np.sin(2 * np.pi / 24)), ("square", 4 / np.pi)]
)
def test_geojson_draws_spots_in_pixels_of_the_image(
    one: Prediction, tmp_path: Path, outline: str, share: float
) -> None:
    from shapely.geometry import shape

    export(one, tmp_path / "p.geojson", outline=outline, genes=["HLA-A"])
    found = json.loads((tmp_path / "p.geojson").read_text())
    assert found["type"] == "FeatureCollection" and len(found["features"]) == len(one.spots)
    for i, feature in enumerate(found["features"]):
        polygon = shape(feature["geometry"])
        assert polygon.is_valid
        np.testing.assert_allclose([polygon.centroid.x, polygon.centroid.y], one.spots.xy_um[i] / MPP, atol=0.02)
        assert polygon.area == pytest.approx(np.pi * (55 / 2 / MPP) ** 2 * share, rel=2e-3)
        assert feature["properties"]["objectType"] == "detection"
        assert feature["properties"]["name"] == one.spots.ids[i]
        measured = feature["properties"]["measurements"]
        assert measured == pytest.approx({"HLA-A": one.mean[i, 1], "HLA-A_sd": one.sd[i, 1]}, abs=1e-5)
    ids = {str(uuid.UUID(feature["id"])) for feature in found["features"]}
    assert len(ids) == len(one.spots)


def test_points_and_a_scale_that_is_given(tmp_path: Path) -> None:
    bare = prediction(image=False)
    with pytest.raises(EosinError, match="give --mpp"):
        export(bare, tmp_path / "p.geojson", outline="point")
    export(bare, tmp_path / "p.geojson", outline="point", mpp=2.0)
    first = json.loads((tmp_path / "p.geojson").read_text())["features"][0]["geometry"]
    assert first["type"] == "Point"
    np.testing.assert_allclose(first["coordinates"], bare.spots.xy_um[0] / 2, atol=0.01)
    with pytest.raises(EosinError, match=r"says 0\.5 µm per pixel"):
        export(prediction(), tmp_path / "q.geojson", mpp=0.25)


def test_a_point_prediction_has_no_spread(tmp_path: Path) -> None:
    one = prediction(k=1)
    export(one, tmp_path / "p.csv")
    with open(tmp_path / "p.csv", newline="") as file:
        assert next(csv.reader(file)) == ["spot", "x_um", "y_um", "GATA3", "HLA-A", "KRT8"]
    with pytest.raises(EosinError, match="export --layers mean"):
        export(one, tmp_path / "q.csv", layers=["mean", "sd"])


def test_h5ad_is_without_draws_and_of_the_chosen_genes(one: Prediction, tmp_path: Path) -> None:
    write_prediction(one, tmp_path / "p.h5ad")
    export(tmp_path / "p.h5ad", tmp_path / "small.h5ad", genes=["KRT8"])
    import anndata

    small = anndata.read_h5ad(tmp_path / "small.h5ad")
    assert list(small.var_names) == ["KRT8"] and set(small.layers) - {None} == {"std", "q05", "q95"}
    np.testing.assert_array_equal(small.layers["std"][:, 0], one.sd[:, 2])
    np.testing.assert_array_equal(read_prediction(tmp_path / "small.h5ad").mean[:, 0], one.mean[:, 2])


def test_zarr_is_opened_by_spatialdata(one: Prediction, tmp_path: Path) -> None:
    spatialdata = pytest.importorskip("spatialdata")
    export(one, tmp_path / "p.zarr", genes=["GATA3"])
    (table,) = spatialdata.read_zarr(tmp_path / "p.zarr").tables.values()
    assert list(table.var_names) == ["GATA3"]
    np.testing.assert_allclose(np.asarray(table.X)[:, 0], one.mean[:, 0], rtol=1e-6)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "h5ad"])
def test_features_become_tables(tmp_path: Path, suffix: str) -> None:
    values, centres = (
        np.random.default_rng(1).normal(size=(4, 3)),
        np.array([[60, 60], [160, 60], [60, 160], [160, 160.0]]),
    )
    attrs = {"encoder": "toy", "encoder_key": "toy-1", "mpp": MPP, "tile_um": 50.0, "patch_size": 100}
    attrs |= {"patch_size_level0": 100, "level0_width": 500, "level0_height": 500}
    write_features(tmp_path / "A1.h5", ("a", "b", "c", "d"), centres, values, attrs)
    out = export(tmp_path / "A1.h5", tmp_path / f"A1.{suffix}")
    if suffix == "h5ad":
        import anndata

        adata = anndata.read_h5ad(out)
        names, found, where = list(adata.obs_names), adata.X, adata.obsm["xy_um"]
    else:
        table = (pd.read_csv if suffix == "csv" else pd.read_parquet)(out)
        names, found, where = list(table["spot"]), table[["f0", "f1", "f2"]], table[["x_um", "y_um"]]
    assert names == ["a", "b", "c", "d"]
    np.testing.assert_allclose(found, values, rtol=1e-5)
    np.testing.assert_allclose(where, centres)
    with pytest.raises(EosinError, match="no place for the features"):
        export(tmp_path / "A1.h5", tmp_path / "A1.geojson")
    with pytest.raises(EosinError, match="no genes"):
        export(tmp_path / "A1.h5", tmp_path / "A1.csv", genes=["GATA3"])


@pytest.mark.parametrize(
    ("out", "wish", "said"),
    [
        ("p.xlsx", {}, "names no format"),
        ("p", {}, "names no format"),
        ("p.csv", {"genes": ["GATA4"]}, "'GATA4' was not predicted"),
        ("p.csv", {"genes": []}, "no gene is named"),
        ("p.csv", {"layers": ["median"]}, "no layer 'median'"),
        ("p.csv", {"outline": "circle"}, "takes no --outline"),
        ("p.h5ad", {"layers": ["mean"]}, "takes no --layers"),
        ("p.geojson", {"outline": "hexagon"}, "no outline 'hexagon'"),
    ],
)
def test_a_wish_that_cannot_be_met_is_one_line_and_writes_nothing(
    one: Prediction, tmp_path: Path, out: str, wish: dict, said: str
) -> None:
    with pytest.raises(EosinError, match=said):
        export(one, tmp_path / out, **wish)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["csv", "parquet", "geojson"])
def test_a_failure_halfway_leaves_the_old_file(
    one: Prediction, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / f"p.{suffix}"
    old.write_text("old")
    monkeypatch.setattr(rows, "_BLOCK", 7)
    broken = replace(one)
    object.__setattr__(broken.spots, "ids", (*one.spots.ids[:20], *["again"] * 10))  # the third block cannot be made
    with pytest.raises(EosinError, match="again"):
        export(broken, old)
    assert [path.name for path in tmp_path.iterdir()] == [old.name] and old.read_text() == "old"


def test_two_columns_of_one_name_are_refused(one: Prediction, tmp_path: Path) -> None:
    clash = replace(one, panel=GenePanel(("GATA3", "GATA3_sd", "x_um")))
    with pytest.raises(EosinError, match="'GATA3_sd'"):
        export(clash, tmp_path / "p.geojson")
    with pytest.raises(EosinError, match="'x_um'"):
        export(clash, tmp_path / "p.csv", layers=["mean"])


def test_nothing_is_written_over_its_source(one: Prediction, tmp_path: Path) -> None:
    write_prediction(one, tmp_path / "p.h5ad")
    with pytest.raises(EosinError, match="over itself"):
        export(tmp_path / "p.h5ad", tmp_path / "p.h5ad")


def test_every_format_says_who_opens_it() -> None:
    assert {"csv", "geojson", "h5ad", "parquet", "zarr"} <= set(FORMATS)
    assert all(FORMATS[name].opened_by for name in FORMATS)
