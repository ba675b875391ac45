"""The catalogue of names is what the registries say, and is not used where there may be more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eosin.api.listing import all_lists, all_settings
from eosin.api.parts import catalogue
from eosin.errors import EosinError


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
