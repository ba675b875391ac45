"""Checkpoint folders: what lies in them, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import toy
from eosin.engine import Trained, load, predict, resolve, train
from eosin.engine.checkpoint import hash_arrays, read_arrays, write_arrays
from eosin.errors import EosinError
from eosin.models import MODELS
from eosin.types import Features

TINY = {"model": {"width": 8, "edge_width": 8, "n_layers": 1, "n_heads": 2}, "train": {"epochs": 1}}
SHORT = {
    "flag": {"graph_width": 8, "width": 8, "depth": 1, "n_heads": 2, "n_steps": 2, "base": "ridge"},
    "stem": {"width": 8, "depth": 1, "n_heads": 2, "n_steps": 2, "base": "ridge"},
    **{name: {"base": "ridge"} for name in ("e2cnn", "egnn", "triplex", "histogene")},
    "bleep": {},
}
"""What lies in the folder does not depend on how long a model was trained; STFlow's holds the default base."""


@pytest.fixture(scope="module")
def sections():
    return toy.cohort(30)


def trained(sections, model: str, out: Path | None = None) -> Trained:
    tables = TINY if model == "stflow" else {"model": SHORT[model], "train": {"epochs": 1}} if model in SHORT else None
    return train(sections[:3], model=model, settings=tables, panel="var:4", seed=7, out=out)


@pytest.fixture(scope="module")
def stflow_once(sections, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("stflow") / "run"
    trained(sections, "stflow", out)
    return out


@pytest.fixture
def stflow_run(stflow_once: Path, tmp_path: Path) -> Path:
    """The folder of a trained STFlow that a test may spoil."""
    return Path(shutil.copytree(stflow_once, tmp_path / "run"))


@pytest.mark.parametrize("model", list(MODELS))
def test_a_folder_rebuilds_its_model_alone(sections, tmp_path: Path, model: str) -> None:
    made = trained(sections, model, tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    again = load(tmp_path / "elsewhere")
    assert type(again.model) is type(made.model)
    assert (again.panel, again.name, again.seed, again.n_features) == (made.panel, model, 7, toy.N_FEATURES)
    assert (again.encoder, again.encoder_key) == ("toy", "toy-1")
    assert again.model_settings == made.model_settings
    assert again.train_settings == made.train_settings
    assert again.model.n_parameters == made.model.n_parameters
    ours, theirs = (predict(one, sections[3], draws=2, seed=1).draws for one in (made, again))
    assert np.array_equal(ours, theirs)


def test_a_checkpoint_of_before_a_setting_keeps_what_it_was_trained_with(sections, tmp_path: Path) -> None:
    """`padded` of gigapath is on today; models that were trained before it was there had no padding."""
    assert MODELS["gigapath"].settings.of().padded and MODELS["gigapath"].older == {"padded": False}
    made = train(sections[:3], model="gigapath:small", settings={"model": {"padded": False}}, panel="var:4", seed=7)
    older = {name: value for name, value in made.model_settings.items() if name != "padded"}
    replace(made, model_settings=older).save(tmp_path / "run")
    again = load(tmp_path / "run")
    assert again.model_settings == made.model_settings
    ours, theirs = (predict(one, sections[3], seed=1).mean for one in (made, again))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("model", list(MODELS))
def test_what_older_checkpoints_had_are_settings_of_the_model_that_have_another_default_today(model: str) -> None:
    today = MODELS[model].settings.of().model_dump(mode="json")
    assert all(name in today and today[name] != value for name, value in MODELS[model].older.items())


def test_config_says_all_that_made_the_model(sections, stflow_run: Path) -> None:
    config = json.loads((stflow_run / "config.json").read_text())
    assert config["model_settings"]["width"] == 8 and config["model_settings"]["n_steps"] == 2  # given, and default
    assert config["panel"]["transform"] == "log1p" and config["panel"]["rule"] == "var:4"
    assert [s["fingerprint"] for s in config["trained_on"]] == [s.fingerprint() for s in sections[:3]]
    assert {"eosin", "torch", "numpy"} <= set(config["versions"])
    metrics = json.loads((stflow_run / "metrics.json").read_text())
    assert metrics["finished"] is True and [r["epoch"] for r in metrics["history"]][:2] == [0, 1]
    card = (stflow_run / "README.md").read_text()
    assert "A1 (patient A)" in card and "encoder `toy`" in card and "Huang" in card


def test_a_checkpoint_holds_no_code_and_no_pickle(stflow_run: Path) -> None:
    for file in stflow_run.iterdir():
        assert file.suffix in {".json", ".md", ".safetensors"}
        pickles = [bytes([0x80, protocol]) for protocol in range(2, 6)]
        assert not file.read_bytes().startswith((*pickles, b"PK"))  # pickle, or torch's zip of pickles


def test_another_schema_is_refused(sections, tmp_path: Path) -> None:
    from eosin.engine.checkpoint import _sha

    run = tmp_path / "run"
    trained(sections, "gene-mean", run)
    config = json.loads((run / "config.json").read_text())
    text = json.dumps({**config, "schema": 2})
    (run / "config.json").write_text(text)
    arrays, _ = read_arrays(run / "model.safetensors")
    write_arrays(run / "model.safetensors", arrays, {"config_sha256": _sha(text)})
    with pytest.raises(EosinError, match="has schema 2, this eosin reads 1; use the version of eosin that wrote it"):
        load(run)


def test_a_model_that_is_not_installed_is_named(sections, tmp_path: Path) -> None:
    from eosin.engine.checkpoint import _sha

    run = tmp_path / "run"
    trained(sections, "gene-mean", run)
    text = (run / "config.json").read_text().replace('"model": "gene-mean"', '"model": "gene-median"')
    (run / "config.json").write_text(text)
    arrays, _ = read_arrays(run / "model.safetensors")
    write_arrays(run / "model.safetensors", arrays, {"config_sha256": _sha(text)})
    with pytest.raises(EosinError, match=r"'gene-median'.*'gene-mean'"):
        load(run)


def test_arrays_of_another_shape_are_refused(stflow_run: Path) -> None:
    run = stflow_run
    arrays, header = read_arrays(run / "model.safetensors")
    name = next(name for name in arrays if arrays[name].ndim == 2 and not name.startswith("base."))
    write_arrays(run / "model.safetensors", {**arrays, name: arrays[name][:-1]}, header)
    with pytest.raises(EosinError, match=r"model\.safetensors: does not fit its config\.json"):
        load(run)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.uint8, torch.int64])
def test_arrays_round_trip(tmp_path: Path, dtype: torch.dtype) -> None:
    given = {"b": torch.arange(6).reshape(2, 3).to(dtype), "a": torch.zeros(0, dtype=dtype)}
    write_arrays(tmp_path / "x.safetensors", given, {"key": "value"})
    found, header = read_arrays(tmp_path / "x.safetensors")
    assert header["key"] == "value"
    assert all(torch.equal(found[k], given[k]) and found[k].dtype == dtype for k in given)


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    """The library writes metadata in an order of chance: eight names in the same order sixteen times are none."""
    arrays = {"a": torch.arange(5.0), "β": torch.ones(3, dtype=torch.uint8)}
    header = {f"name {i}": "µ" * i for i in range(8)}
    for i in range(16):
        write_arrays(tmp_path / f"{i}.safetensors", arrays, dict(reversed(header.items())) if i % 2 else header)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    read, found = read_arrays(tmp_path / "0.safetensors")
    assert {**found, "arrays_hash": ""} == {**header, "arrays_hash": ""}
    assert torch.equal(read["a"], arrays["a"]) and torch.equal(read["β"], arrays["β"])


def test_hash_sees_names_types_shapes_and_values() -> None:
    plain = {"a": torch.zeros(4), "b": torch.ones(2)}
    others = [
        {"a": torch.zeros(4), "c": torch.ones(2)},
        {"a": torch.ones(4), "b": torch.ones(2)},
        {"a": torch.zeros(2, 2), "b": torch.ones(2)},
        {"a": torch.zeros(4, dtype=torch.int32), "b": torch.ones(2)},
        {"a": torch.zeros(4)},
    ]
    hashes = [hash_arrays(one) for one in (plain, *others)]
    assert len(set(hashes)) == len(hashes)
    assert hash_arrays({"b": torch.ones(2), "a": torch.zeros(4)}) == hashes[0]


def test_features_of_another_encoder_are_refused(sections) -> None:
    made = trained(sections, "gene-mean")
    other = sections[3].with_features(Features(np.zeros((30, toy.N_FEATURES)), "toy", "toy-2"))
    with pytest.raises(EosinError, match=r"'B2' has features .*toy-2.* trained on 'toy' \(toy-1\); encode"):
        predict(made, other)


def test_presets_and_tables_are_resolved_in_order() -> None:
    name, tables = resolve("stflow:paper", {"train": {"epochs": 3}, "model": {"n-layers": 1}})
    assert name == "stflow"
    assert tables["train"]["epochs"] == 3 and tables["train"]["lr"] == 5e-4  # given, and the preset's
    assert tables["model"]["n_layers"] == 1 and tables["model"]["width"] == 128
    assert resolve("ridge", None) == ("ridge", {"model": {}, "train": {}})
    again = resolve("stflow:paper", None)[1]
    assert again["model"]["n_layers"] == 4  # the preset itself was not touched


@pytest.mark.parametrize(
    ("model", "settings", "says"),
    [
        ("stflo", None, "did you mean 'stflow'"),
        ("stflow:papr", None, "no preset 'papr'; known presets: paper"),
        ("ridge:paper", None, "no preset 'paper'; known presets: none"),
        ("ridge", {"model": {"n-component": 3}}, r"unknown setting 'n_component' in \[model\]"),
        ("ridge", {"train": {"epochs": 0}}, r"\[train\]: 'epochs' is 0"),
        ("ridge", {"modell": {}}, "unknown settings table 'modell'; known tables: model, train"),
    ],
)
def test_resolve_refuses(model: str, settings, says: str) -> None:
    with pytest.raises(EosinError, match=says):
        resolve(model, settings)


def test_a_model_may_bring_defaults_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Default of training < the model's < the preset's < the user's."""
    entry = replace(MODELS["stflow"], train={"lr": 0.5, "epochs": 7, "patience": 9})
    monkeypatch.setitem(MODELS._known, "stflow", entry)
    assert resolve("stflow", None)[1]["train"] == {"lr": 0.5, "epochs": 7, "patience": 9}
    paper = resolve("stflow:paper", {"train": {"epochs": 3}})[1]["train"]
    assert (paper["epochs"], paper["lr"], paper["patience"]) == (3, 5e-4, 20)
    assert entry.train == {"lr": 0.5, "epochs": 7, "patience": 9}  # resolving changed no entry
    monkeypatch.setitem(MODELS._known, "stflow", replace(entry, train={"learning_rate": 1}))
    with pytest.raises(EosinError, match=r"unknown setting 'learning_rate' in \[train\]"):
        resolve("stflow", None)


def test_nothing_to_train_on() -> None:
    with pytest.raises(EosinError, match="no sections to train on"):
        train([])
