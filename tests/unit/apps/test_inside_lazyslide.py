"""A trained model inside LazySlide itself, where that is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import toy
from eosin import engine
from eosin.apps.lazyslide import as_lazyslide

zs = pytest.importorskip("lazyslide", reason="LazySlide is not installed")
wsidata = pytest.importorskip("wsidata", reason="LazySlide is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # LazySlide's own

MPP, TILE_PX = 0.5, 224
SETTINGS: dict[str, Any] = {
    "ridge": None,
    "stflow": {"model": {"n_layers": 1, "width": 16, "edge_width": 16}, "train": {"epochs": 1}},
}


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A slide of 6 x 6 tiles of tissue; the table of their features is of `toy`."""
    path = tmp_path_factory.mktemp("slide") / "slide.tif"
    rng = np.random.default_rng(0)
    pixels = np.full((8 * TILE_PX, 8 * TILE_PX, 3), 245, dtype=np.uint8)
    inner = slice(TILE_PX, 7 * TILE_PX)
    pixels[inner, inner] = np.array([190, 90, 160]) + rng.integers(-20, 20, (6 * TILE_PX, 6 * TILE_PX, 3))
    resolution = (1e4 / MPP, 1e4 / MPP)
    tifffile.imwrite(
        path, pixels, tile=(256, 256), photometric="rgb", resolution=resolution, resolutionunit="CENTIMETER"
    )
    made = wsidata.open_wsi(str(path), store=str(Path(path).with_suffix(".zarr")))
    if made.properties.mpp is None:
        made.set_mpp(MPP)
    zs.pp.find_tissues(made)
    zs.pp.tile_tissues(made, tile_px=TILE_PX, mpp=MPP)
    n = len(made.shapes["tiles"])
    assert n >= 16
    features = rng.normal(size=(n, toy.N_FEATURES)).astype(np.float32)
    wsidata.io.add_features(made, key="eosin-toy_tiles", tile_key="tiles", features=features)
    return made


@pytest.mark.parametrize("name", SETTINGS)
def test_feature_prediction_is_what_eosin_predicts(slide: Any, name: str) -> None:
    trained = engine.train(toy.cohort(40)[:3], model=name, panel=toy.training(40).panel, settings=SETTINGS[name])
    model = as_lazyslide(trained, mpp=MPP, tile_um=MPP * TILE_PX, draws=4)
    zs.tl.feature_prediction(slide, model, pbar=False, device="cpu")
    table = slide.tables[f"eosin-{name}_tiles"]
    genes = list(trained.panel.names)
    origins = slide.shapes["tiles"].bounds[["minx", "miny"]].to_numpy()
    expected = model.predict(np.asarray(slide.tables["eosin-toy_tiles"].X), origins)
    assert list(table.var_names) == list(expected) and set(genes) <= set(expected)
    np.testing.assert_allclose(np.asarray(table.X), np.column_stack(list(expected.values())), rtol=1e-3, atol=1e-4)
    assert np.asarray(table[:, genes].X).std(0).min() > 0  # tiles differ
