"""On the published HER2+ sections: features are worth what they are said to be, and real weights load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from eosin.data import read
from eosin.encoders import get_encoder
from eosin.features import encode
from eosin.slide import find_tissue, open_slide
from eosin.types import Section

SHARED = Path(__file__).resolve().parents[2] / "../shared"
HER2ST, WEIGHTS = SHARED / "data/her2st", SHARED / "encoders/mobilenetv2_imagenet.safetensors"
pytestmark = pytest.mark.skipif(not HER2ST.is_dir(), reason="no real sections in ../shared/data/her2st")


@pytest.fixture(scope="module")
def pair() -> list[Section]:
    """Two sections of one patient, encoded."""
    sections = {one.name: one for one in read(HER2ST)}
    return [encode(sections[name], get_encoder("stain?px=96")) for name in ("C2", "C6")]


def test_a_plain_ridge_on_one_section_predicts_the_next(pair: list[Section]) -> None:
    """Measured 0.66, as with larger windows; a swapped axis, a wrong scale or a broken statistic falls far below."""
    genes = sorted(set(pair[0].genes or ()) & set(pair[1].genes or ()))
    truth = [np.log1p(one.expression(genes)) for one in pair]
    top = np.argsort(-truth[0].var(0))[:50]
    x, x_new = (one.need_features().values.astype(np.float64) for one in pair)
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z, z_new = (x - mean) / scale, (x_new - mean) / scale
    weight = np.linalg.solve(z.T @ z + 2000.0 * np.eye(z.shape[1]), z.T @ (truth[0][:, top] - truth[0][:, top].mean(0)))
    predicted, measured = z_new @ weight, truth[1][:, top]
    correlations = [np.corrcoef(predicted[:, j], measured[:, j])[0, 1] for j in range(50)]
    assert np.mean(correlations) > 0.6


def test_spots_lie_on_tissue(pair: list[Section]) -> None:
    """Origin top left, x right, y down, µm: otherwise the spots fall on glass."""
    one = pair[0]
    assert one.image is not None
    with open_slide(one.image.path, mpp=one.image.mpp) as slide:
        tissue = find_tissue(slide)
    assert 0.1 < tissue.mask.mean() < 0.4
    columns, rows = (one.spots.xy_um / tissue.um_per_px).astype(int).T
    assert tissue.mask[rows, columns].mean() > 0.95


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="no real weights in ../shared/encoders")
def test_real_weights_from_a_local_file(pair: list[Section]) -> None:
    spec = f"timm:mobilenetv2_100@{WEIGHTS}?pad_type=same&mean=0.5,0.5,0.5&std=0.5,0.5,0.5&widths_um=330"
    encoder = get_encoder(spec)
    assert encoder.n_features == 1280
    some = [one.take(np.arange(0, len(one), 12)) for one in pair]
    values = [encode(one, encoder).need_features().values for one in some]
    assert all(np.isfinite(v).all() and (v.std(0) > 0).mean() > 0.9 for v in values)
    blank = encoder.encode([torch.full((1, 224, 224, 3), 255, dtype=torch.uint8)]).numpy()
    apart = (
        np.linalg.norm(values[0] - blank, axis=1).mean() / np.linalg.norm(values[0] - values[0].mean(0), axis=1).mean()
    )
    assert apart > 1  # tissue is farther from glass than from other tissue
