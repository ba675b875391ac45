"""The catalogue of names is what the registries say, and is not used where there may be more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eosin.api.listing import all_lists, all_settings
from eosin.api.parts import catalogue
from eosin.engine import resolve
from eosin.errors import EosinError
from eosin.models import MODELS


def test_the_catalogue_is_what_the_registries_say() -> None:
    kept = json.loads(catalogue.FILE.read_text(encoding="utf-8"))
    for kind, rows in json.loads(catalogue.contents(all_lists(), all_settings())).items():
        assert kept[kind] == rows, f"{kind}: run python docs/make_tables.py"


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has loaded no registry."""
    for room in ("models", "data.readers", "benchmark"):
        monkeypatch.delitem(catalogue.sys.modules, f"eosin.{room}", raising=False)


def test_wrong_names_are_refused_in_the_words_of_the_registries(fresh: None) -> None:
    catalogue.need_shipped("models", ["ridge", "stflow:paper"])
    with pytest.raises(EosinError, match="no model is called 'stflw'; did you mean 'stflow'"):
        catalogue.need_shipped("models", ["ridge", "stflw"])
    with pytest.raises(EosinError, match="model 'ridge' has no preset 'paper'; known presets: none"):
        catalogue.need_shipped("models", ["ridge:paper"])
    with pytest.raises(EosinError, match="no reader is called 'visum'"):
        catalogue.need_shipped("readers", ["visum"])


def test_nothing_is_refused_where_there_may_be_more(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert catalogue.shipped("models") is not None
    with monkeypatch.context() as patch:  # another package adds models
        patch.setattr(catalogue, "entry_points", lambda group: [group] if group == "eosin.models" else [])
        assert catalogue.shipped("models") is None
        catalogue.need_shipped("models", ["of-that-package"])
    with monkeypatch.context() as patch:  # a file was added to the room
        known = catalogue.modules_of
        patch.setattr(catalogue, "modules_of", lambda room: sorted([*known(room), "nearest.py"]))
        assert catalogue.shipped("models") is None
    with monkeypatch.context() as patch:  # the registry is loaded, and may have been added to
        patch.setitem(catalogue.sys.modules, "eosin.models", None)
        assert catalogue.shipped("models") is None


def test_wrong_settings_are_refused_in_the_words_of_the_records(fresh: None) -> None:
    catalogue.need_settings("stflow:paper", {"model": {"n-layers": 3, "width": 8}, "train": {"epochs": 1}})
    with pytest.raises(EosinError, match=r"unknown setting 'n_layer' in \[model\]; did you mean 'n_layers'"):
        catalogue.need_settings("stflow", {"model": {"n-layer": 3}})
    with pytest.raises(EosinError, match=r"unknown setting 'width' in \[model\]"):  # of other models
        catalogue.need_settings("ridge", {"model": {"width": 3}})
    with pytest.raises(EosinError, match=r"unknown setting 'epoch' in \[train\]; did you mean 'epochs'"):
        catalogue.need_settings("ridge", {"train": {"epoch": 3}})
    with pytest.raises(EosinError, match="unknown settings table 'modell'; known tables: model, train"):
        catalogue.need_settings("ridge", {"modell": {}})


@pytest.mark.parametrize(
    ("model", "tables", "problem"),
    [
        ("stflow", {"train": {"epochs": 0}}, r"\[train\]: 'epochs' is 0: input should be greater than or equal to 1"),
        ("stflow", {"train": {"lr": 0}}, r"'lr' is 0: input should be greater than 0"),
        ("stflow", {"train": {"lr": True}}, r"'lr' is true, and is a number"),
        ("stflow", {"train": {"epochs": 1.5}}, r"'epochs' is 1.5: input should be a valid integer"),
        ("ridge", {"train": {"select": "mse"}}, r"'select' is 'mse': input should be 'pcc' or 'crps'"),
        ("stflow:paper", {"model": {"reach-um": -1}}, r"\[model\]: 'reach_um' is -1: input should be greater than 0"),
        ("stflow", {"model": {"dropout": 1}}, r"'dropout' is 1: input should be less than 1"),
        ("stflow", {"model": {"base": "rigde"}}, "no base is called 'rigde'; did you mean 'ridge'"),
    ],
)
def test_impossible_values_are_refused_in_the_words_of_the_records(
    fresh: None, model: str, tables: dict, problem: str
) -> None:
    with pytest.raises(EosinError, match=problem) as early:
        catalogue.need_settings(model, tables)
    with pytest.raises(EosinError) as late:
        resolve(model, tables)
    assert str(early.value) == str(late.value)


def test_what_the_records_take_is_not_refused_early(fresh: None) -> None:
    """Defaults, presets, and what stands in older files."""
    for model in MODELS:
        for preset in ("", *MODELS[model].presets):
            tables = MODELS[model].presets[preset] if preset else {"model": MODELS[model].settings().model_dump()}
            catalogue.need_settings(model, tables)
    for base in (True, False, None, "none", "kernel"):
        catalogue.need_settings("stflow", {"model": {"base": base, "n_components": None}})


def test_a_file_of_several_models_is_looked_at_before_any_is_loaded(fresh: None) -> None:
    catalogue.need_model_settings(
        {"of-another-package": {"model": {"a": 1}}, "ridge": {}, "stflow": {"train": {"lr": 1}}}
    )
    with pytest.raises(EosinError, match="'epochs' is 0"):
        catalogue.need_model_settings({"stflow:paper": {"train": {"epochs": 0}}})


def test_no_setting_is_refused_where_there_may_be_more(
    fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    catalogue.need_settings("of-another-package", {"model": {"anything": 1}})
    with monkeypatch.context() as patch:  # a setting was written into a model since
        (tmp_path / "models").mkdir()
        (tmp_path / "engine").mkdir()
        (tmp_path / "engine" / "train_settings.py").write_text("class TrainSettings(Settings):\n    warm_up: int = 1\n")
        kept = catalogue._kept("models")
        patch.setattr(catalogue, "_kept", lambda kind: kept)
        patch.setattr(catalogue, "_PACKAGE", tmp_path)
        catalogue.need_settings("stflow", {"train": {"warm_up": 3}})
        with pytest.raises(EosinError, match="'warm_upp'"):
            catalogue.need_settings("stflow", {"train": {"warm_upp": 3}})
