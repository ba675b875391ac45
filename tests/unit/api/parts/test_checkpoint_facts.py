"""What is read of a checkpoint without loading its model is what loading it says; else nothing is said."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import toy
from eosin.api.info import info
from eosin.api.parts import catalogue
from eosin.api.parts.checkpoint_facts import checkpoint_facts
from eosin.engine import load, train
from eosin.engine.checkpoint import read_arrays, write_arrays
from eosin.errors import EosinError


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has loaded no model."""
    monkeypatch.delitem(catalogue.sys.modules, "eosin.models")


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("facts") / "run"
    train(toy.cohort(20)[:3], model="ridge", panel="var:4", seed=7, out=out)
    return out


@pytest.fixture
def run(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(once, tmp_path / "run"))


def facts_of(run: Path) -> dict:
    """As JSON, in which there are no tuples."""
    trained = load(run)
    return json.loads(json.dumps({**trained.config(), "metrics": trained.metrics}))


def test_the_facts_are_those_of_the_loaded_model(run: Path) -> None:
    found = checkpoint_facts(run)
    assert found == facts_of(run)
    assert found is not None and found["n_parameters"] > 0 and found["trained_on"][0]["name"] == "A1"


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool])
def test_arrays_of_every_type_have_the_hash_that_torch_gives_them(run: Path, kind: torch.dtype) -> None:
    arrays, header = read_arrays(run / "model.safetensors")
    more = {"b": torch.ones(2, 3).to(kind), "a": torch.tensor(1).to(kind)}
    write_arrays(run / "model.safetensors", {**arrays, **more}, {"config_sha256": header["config_sha256"]})
    assert checkpoint_facts(run) is not None


def rewritten(run: Path, change: Callable[[dict], object]) -> None:
    """The configuration changed, as another version of eosin would have written it."""
    config = json.loads((run / "config.json").read_text())
    change(config)
    text = json.dumps(config, indent=1) + "\n"
    (run / "config.json").write_text(text)
    arrays, _ = read_arrays(run / "model.safetensors")
    write_arrays(run / "model.safetensors", arrays, {"config_sha256": hashlib.sha256(text.encode()).hexdigest()})


OTHER: dict[str, Callable[[dict], object]] = {
    "a setting is missing": lambda config: config["model_settings"].pop("smoothing"),
    "another schema": lambda config: config.update(schema=2),
    "an earlier encoder": lambda config: config.update(encoder_key="stain;version=1;view"),
    "a model of another package": lambda config: config.update(model="mine"),
}


@pytest.mark.parametrize("what", OTHER)
def test_of_other_versions_and_packages_nothing_is_said(run: Path, what: str) -> None:
    rewritten(run, lambda config: None)
    assert checkpoint_facts(run) is not None
    rewritten(run, OTHER[what])
    assert checkpoint_facts(run) is None


def test_info_of_an_earlier_checkpoint_is_what_loading_says(run: Path) -> None:
    rewritten(run, OTHER["a setting is missing"])
    found = info(run)
    assert found["kind"] == "checkpoint" and found["n_features"] == toy.N_FEATURES


def test_versions_are_those_of_training(run: Path) -> None:
    rewritten(run, lambda config: config["versions"].update(torch="1.0"))
    assert info(run)["versions"]["torch"] == "1.0"
    rewritten(run, lambda config: config["model_settings"].pop("smoothing"))
    assert info(run)["versions"]["torch"] == "1.0"


def altered(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    whole[-9] ^= 1
    file.write_bytes(bytes(whole))


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights": (lambda run: altered(run / "model.safetensors"), "model.safetensors: its content was altered"),
    "config": (lambda run: altered(run / "config.json"), "config.json: was changed after training"),
    "no weights": (lambda run: (run / "model.safetensors").unlink(), "lacks model.safetensors"),
    "metrics": (lambda run: (run / "metrics.json").write_text("{"), "metrics.json"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_checkpoint_is_refused_as_when_it_is_loaded(run: Path, what: str) -> None:
    spoil, says = SPOILT[what]
    spoil(run)
    assert checkpoint_facts(run) is None
    with pytest.raises(EosinError, match=says):
        info(run)
