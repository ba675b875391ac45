"""Numbers that must not move unnoticed, and files of older versions that must still open."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import toy
from eosin.data import read_prediction
from eosin.encoders import get_encoder
from eosin.engine import load, predict, train
from eosin.features import attach
from golden.make import TINY, features, panel, plain_draws, sections

HERE = Path(__file__).resolve().parent
VERSIONS = sorted(path.name for path in HERE.iterdir() if (path / "expected.json").is_file())
EXACT = 1e-4
"""Between machines: sums in another order."""
TRAINED = 2e-3
"""The same after a training, through which those differences grow."""

N_MOLECULES = 4396
STAIN = [
    0.3812,
    0.19514,
    0.10697,
    0.14123,
    0.0028099,
    0.088184,
    -0.020654,
    0.021391,
    0.13151,
    0.88031,
    0.49931,
    0.051513,
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("model", ["ridge", "stflow"])
def test_an_old_checkpoint_predicts_what_it_did(version: str, model: str) -> None:
    expected = json.loads((HERE / version / "expected.json").read_text())[model]
    trained = load(HERE / version / model)
    assert trained.panel == panel()
    assert [section["name"] for section in trained.trained_on] == ["A1", "B1"]
    found = predict(trained, sections()[2], draws=2, seed=4).mean[:3]
    assert np.allclose(found, expected, atol=EXACT)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_prediction_opens(version: str) -> None:
    found = read_prediction(HERE / version / "prediction.h5ad")
    judged = sections()[2]
    assert (found.section, found.model, found.seed, found.n_draws) == ("A2", "stflow", 4, 2)
    assert found.panel == panel()
    assert found.spots.ids == judged.spots.ids
    assert np.allclose(found.spots.xy_um, judged.spots.xy_um)
    assert np.array_equal(found.draws, plain_draws())
    assert found.provenance == {"note": "golden"}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_prediction_opens_in_anndata_alone(version: str) -> None:
    import anndata

    adata = anndata.read_h5ad(HERE / version / "prediction.h5ad")
    assert np.allclose(adata.X, plain_draws().mean(0), atol=1e-6)
    assert np.allclose(adata.layers["std"], plain_draws().std(0, ddof=1), atol=1e-6)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_feature_file_opens(version: str, tmp_path: Path) -> None:
    shutil.copy(HERE / version / "A2.h5", tmp_path / "A2.h5")
    found = attach(sections()[2], tmp_path, "toy-1")
    assert found is not None and found.features is not None
    assert np.array_equal(found.features.values, features().values)
    assert found.features.key == "toy-1"


@pytest.mark.parametrize("model", ["ridge", "stflow"])
def test_training_gives_the_numbers_of_this_version(model: str) -> None:
    """A moved number is a change of the method: say so in the change log, and make new files."""
    *training, judged = sections()
    settings = TINY if model == "stflow" else None
    trained = train(training, model=model, settings=settings, panel=panel(), seed=3)
    expected = json.loads((HERE / VERSIONS[-1] / "expected.json").read_text())[model]
    assert np.allclose(predict(trained, judged, draws=2, seed=4).mean[:3], expected, atol=TRAINED)


def test_toy_counts() -> None:
    """Else every number of this file moves, for no fault of the library."""
    one = toy.section("A1", 25)
    assert one.counts is not None
    assert int(one.counts.sum()) == N_MOLECULES


def tile(px: int = 224) -> torch.Tensor:
    """Stripes, a disc and a ramp in stain-like colours [1 px px 3], by whole-number arithmetic."""
    y, x = np.mgrid[:px, :px]
    disc = (x - px // 2) ** 2 + (y - px // 3) ** 2 < (px // 8) ** 2
    rgb = np.stack([200 + (x // 8 % 2) * 30, 140 + y * 60 // px, 190 + (x + y) % 17], -1)
    rgb[disc] = (90, 50, 130)
    return torch.from_numpy(rgb.astype(np.uint8))[None]


def test_stain_features_of_a_drawn_tile() -> None:
    """Same encoder key, same numbers: cached features and trained models depend on it."""
    encoder = get_encoder("stain?version=1")
    found = encoder.encode([tile(), tile().flip(2)])[0].numpy()
    assert (encoder.key, found.shape) == ("stain;version=1;views=165um/224px,330um/224px;resize=bicubic", (442,))
    assert np.allclose(found[::40], STAIN, rtol=1e-3, atol=1e-4), found[::40].tolist()
