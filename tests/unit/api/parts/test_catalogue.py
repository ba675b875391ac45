"""The catalogue of names is what the registries say, and is not used where there may be more."""

from __future__ import annotations

import json

import pytest

from eosin.api.listing import all_lists
from eosin.api.parts import catalogue
from eosin.errors import EosinError


def test_the_catalogue_is_what_the_registries_say() -> None:
    kept = json.loads(catalogue.FILE.read_text(encoding="utf-8"))
    for kind, rows in json.loads(catalogue.contents(all_lists())).items():
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
