"""The licence of an encoder travels into features, checkpoints and predictions, and binds where it must."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import toy
from eosin.api.encode import encode
from eosin.api.predict import predict as predict_section
from eosin.api.train import train as train_on
from eosin.data import read, read_prediction, to_anndata, write_prediction, write_sections
from eosin.encoders import Encoder, EncoderCard, View
from eosin.engine import load, predict, train
from eosin.errors import EosinError
from eosin.features.licence import licence_of
from eosin.types import Section


def licensed(licence: str, *, commercial: bool, n: int = 30) -> list[Section]:
    return [
        one.with_features(replace(one.need_features(), licence=licence, commercial=commercial)) for one in toy.cohort(n)
    ]


def test_they_travel_to_the_checkpoint_and_the_prediction(tmp_path: Path) -> None:
    *training, judged = licensed("CC-BY", commercial=True)
    train(training, model="ridge", panel="var:4", out=tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["licence"], config["commercial"]) == ("CC-BY", True)
    assert "CC-BY; commercial use allowed" in (tmp_path / "run" / "README.md").read_text()
    trained = load(tmp_path / "run")
    assert (trained.licence, trained.commercial) == ("CC-BY", True)
    drawn = predict(trained, judged, draws=2)
    record = to_anndata(drawn).uns["eosin"]
    assert (record["licence"], record["commercial"]) == ("CC-BY", True)
    write_prediction(drawn, tmp_path / "p.h5ad")
    assert read_prediction(tmp_path / "p.h5ad").provenance["licence"] == "CC-BY"


def test_one_section_of_another_licence_binds_the_model() -> None:
    free, bound = licensed("MIT", commercial=True), licensed("NC", commercial=False)
    assert not train([free[0], bound[1]], model="gene-mean", panel="var:4").commercial


def test_they_stay_with_a_section(tmp_path: Path) -> None:
    one = licensed("CC-BY", commercial=True)[0]
    taken = one.take(np.array([3, 1])).need_features()
    (kept,) = read(write_sections([one], tmp_path / "out"))
    for features in (taken, kept.need_features()):
        assert (features.licence, features.commercial) == ("CC-BY", True)


def test_commercial_only_refuses_the_others(tmp_path: Path) -> None:
    free, bound = licensed("MIT", commercial=True), licensed("CC-BY-NC-4.0", commercial=False)
    how = {"model": "gene-mean", "genes": "var:4", "commercial_only": True}
    fine = train_on(free[:2], **how)
    with pytest.raises(EosinError, match=r"'A2': encoder 'toy' is not known .*CC-BY-NC-4.0.*--commercial-only"):
        train_on([free[0], bound[1]], **how)
    barred = train_on(bound[:2], **{**how, "commercial_only": False})
    assert predict_section(fine, free[2], commercial_only=True).section == free[2].name
    with pytest.raises(EosinError, match="model 'gene-mean' is not known to allow commercial use"):
        predict_section(barred, free[2], commercial_only=True)
    with pytest.raises(EosinError, match="section 'B1': encoder 'toy'"):
        predict_section(fine, bound[2], commercial_only=True)


def test_an_encoder_is_refused_before_anything_is_encoded() -> None:
    class Bound(Encoder):
        card, views, spec, key = EncoderCard("bound", "", "NC", False, False, 1, ""), (View(9, 9),), "bound", "bound"

        def encode(self, tiles: Sequence[torch.Tensor]) -> torch.Tensor:
            raise AssertionError

    bare = [replace(one, features=None) for one in toy.cohort(9)]
    with pytest.raises(EosinError, match=r"encoder 'bound' is not known .*NC"):
        encode(bare, encoder=Bound(), commercial_only=True)
    with pytest.raises(EosinError, match="no image"):
        encode(bare, encoder=Bound())


@pytest.mark.parametrize(
    ("attrs", "encoder", "want"),
    [
        ({"licence": "MIT", "commercial": True}, "uni", ("MIT", True)),
        ({"licence": "MIT"}, "uni", ("MIT", False)),
        ({}, "uni@weights.safetensors?precision=float16", ("CC-BY-NC-ND-4.0", False)),
        ({}, "h-optimus-0", ("Apache-2.0", True)),
        ({}, "somebodys", ("unknown", False)),
        ({}, "stain", ("unknown", False)),
    ],
)
def test_licence_of_a_file(attrs: dict, encoder: str, want: tuple[str, bool]) -> None:
    """Another tool's file says nothing; a published encoder's card then does, and a doubt stays a doubt."""
    assert licence_of(attrs, encoder) == want
