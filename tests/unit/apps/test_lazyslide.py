"""The adapter keeps LazySlide's contract; LazySlide itself is played by a stand-in that calls as its documents say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pytest
import torch

import toy
from eosin import engine
from eosin.apps.lazyslide import as_lazyslide
from eosin.errors import EosinError

MPP, TILE_UM = 0.5, 100.0


@runtime_checkable
class FeaturePrediction(Protocol):
    """LazySlide's protocol of feature prediction, as its documents state it."""

    model: Any
    name: str

    def get_transform(self) -> Any: ...
    def to(self, device: Any) -> Any: ...
    def try_compile(self, **how: Any) -> Any: ...
    def predict(self, features: Any, *args: Any, **named: Any) -> dict[str, Any]: ...


def feature_prediction(model: Any, tables: Mapping[str, np.ndarray], origins_px: np.ndarray) -> dict[str, np.ndarray]:
    """What LazySlide does with a model that needs coordinates and a whole slide: one call with all tiles."""
    assert isinstance(model, FeaturePrediction)
    assert model.needs_coords and model.whole_slide
    features = tables[model.features_model_name]
    model.to("cpu")
    with torch.inference_mode():
        found = model.predict(features, coords=origins_px)
    assert found
    for values in found.values():
        assert np.asarray(values).shape == (len(features),)
    return found


@pytest.fixture(scope="module")
def cohort():
    return toy.cohort(40)


@pytest.mark.parametrize("name", ["ridge", "stflow"])
def test_it_predicts_what_eosin_predicts(cohort, name: str) -> None:
    small = (
        {"model": {"n_layers": 1, "width": 16, "edge_width": 16}, "train": {"epochs": 1}} if name == "stflow" else None
    )
    trained = engine.train(cohort[:3], model=name, panel=toy.training(40).panel, settings=small)
    one = cohort[3]
    expected = engine.predict(trained, replace(one, patient="slide"), draws=4, seed=0)  # LazySlide names no patient
    origins = (one.spots.xy_um - TILE_UM / 2) / MPP
    model = as_lazyslide(trained, mpp=MPP, tile_um=TILE_UM, draws=4)
    found = feature_prediction(model, {"eosin-toy": one.need_features().values}, origins)
    genes = trained.panel.names
    np.testing.assert_allclose(np.stack([found[gene] for gene in genes], 1), expected.mean, rtol=1e-4, atol=1e-5)
    assert model.name == f"eosin-{name}"
    spread = [key for key in found if key.endswith("_sd")]
    assert len(spread) == len(genes)
    np.testing.assert_allclose(np.stack([found[key] for key in spread], 1), expected.sd, rtol=1e-3, atol=1e-5)
    assert expected.trust is not None and expected.likeness is not None
    trust = np.stack([found[f"{gene}_trust"] for gene in genes], 1)
    np.testing.assert_allclose(trust, np.tile(expected.trust.inner_pcc, (len(one), 1)), rtol=1e-5)
    np.testing.assert_allclose(found["eosin_distance"], expected.likeness.distance, rtol=1e-5)


def test_where_tiles_lie_matters(cohort) -> None:
    """Pixels become µm by the scale: a wrong one makes other neighbours, at least where there is a network."""
    settings = {"model": {"n_layers": 1, "width": 16, "edge_width": 16, "base": False}, "train": {"epochs": 1}}
    trained = engine.train(cohort[:2], model="stflow", panel=toy.training(40).panel, settings=settings)
    one = cohort[3]
    origins, values = (one.spots.xy_um - TILE_UM / 2) / MPP, one.need_features().values
    right = as_lazyslide(trained, mpp=MPP, tile_um=TILE_UM, draws=2).predict(values, origins)
    wrong = as_lazyslide(trained, mpp=4 * MPP, tile_um=TILE_UM, draws=2).predict(values, origins)
    gene = trained.panel.names[0]
    assert not np.allclose(right[gene], wrong[gene])


@pytest.mark.parametrize(
    ("encoder", "table"),
    [("uni2-h@w.safetensors?precision=float16", "uni2"), ("conch", "eosin-conch"), ("stain?px=96", "eosin-stain")],
)
def test_only_features_that_are_the_same_there_are_asked_for_by_their_name(cohort, encoder: str, table: str) -> None:
    trained = engine.train(cohort[:2], model="gene-mean", panel=toy.training(40).panel)
    model = as_lazyslide(replace(trained, encoder=encoder), mpp=MPP, tile_um=TILE_UM)
    assert model.features_model_name == table


def test_misuse_is_an_error_that_says_what_to_do(cohort) -> None:
    trained = engine.train(cohort[:2], model="ridge", panel=toy.training(40).panel)
    model = as_lazyslide(trained, mpp=MPP, tile_um=TILE_UM)
    values = cohort[3].need_features().values
    with pytest.raises(EosinError, match="needs the tiles' coordinates"):
        model.predict(values)
    with pytest.raises(EosinError, match="origins, x before y"):
        model.predict(values, np.zeros((3, 2)))
    with pytest.raises(EosinError, match="takes 12 features a tile"):
        model.predict(values[:, :5], np.random.default_rng(0).uniform(size=(len(values), 2)))
    with pytest.raises(EosinError, match="not plausible"):
        as_lazyslide(trained, mpp=40, tile_um=TILE_UM)
    with pytest.raises(EosinError, match="width of LazySlide's tiles"):
        as_lazyslide(trained, mpp=MPP, tile_um=0)
