"""Devices by name: one that is absent is refused, and those that are there are named."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import toy
from eosin import engine
from eosin.device import device_of
from eosin.errors import EosinError


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:1"])
def test_devices_that_are_there(name: str) -> None:
    assert device_of(name) == torch.device(name)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["cuda:2", "cuda:7", "gpu", "xpu", "cpu:1", ""])
def test_others_are_refused_and_those_there_are_named(name: str) -> None:
    with pytest.raises(EosinError) as caught:
        device_of(name)
    assert all(known in str(caught.value) for known in ("cpu", "cuda:0", "cuda:1"))


@pytest.mark.parametrize("model", ["gene-mean", "stem"])
@pytest.mark.parametrize("name", ["cuda:7", "gpu"])
def test_predict_refuses_a_device_that_is_not_there(model: str, name: str) -> None:
    sections = toy.cohort(20)
    trained = engine.train(sections[:2], model="gene-mean", panel="var:4")
    trained = replace(trained, model=toy.made(model, toy.training(20)))
    with pytest.raises(EosinError, match="device"):
        engine.predict(trained, sections[2], device=name)


@pytest.mark.usefixtures("two_gpus")
def test_a_network_goes_to_the_gpu_and_a_closed_form_model_stays() -> None:
    training = toy.training(20)
    stem, mean = toy.made("stem", training), toy.made("gene-mean", training)
    assert [engine.device_for(stem, name).type for name in ("auto", "cuda:1", "cpu")] == ["cuda", "cuda", "cpu"]
    assert engine.device_for(stem, "cuda:1").index == 1
    assert [engine.device_for(mean, name).type for name in ("auto", "cuda", "cpu")] == ["cpu"] * 3
