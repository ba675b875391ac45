"""What eosin ships, by name: kept in a file, so that a list or a wrong name is answered without loading any model.

`docs/make_tables.py` writes the file. It is not used where there may be more than it knows: where another package adds
names, where a module was added to a room, or where a registry is loaded already.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from eosin.config import Settings, near_or_known, need_known, unknown_setting, unknown_table
from eosin.errors import EosinError

FILE = Path(__file__).with_suffix(".json")
_PACKAGE = Path(__file__).parents[2]
_ROOMS = {
    "models": "models",
    "encoders": "encoders",
    "readers": "data/readers",
    "protocols": "benchmark",
    "studies": "benchmark",
}
"""Where the things of a list are defined."""
_KINDS = {"integer": int, "number": float, "boolean": bool, "string": str, "null": None}
_BOUNDS = {"minimum": "ge", "exclusiveMinimum": "gt", "maximum": "le", "exclusiveMaximum": "lt"}

_NO_BASE = "none"
"""What a setting calls no base, beside the models; `models.parts.base_model.NO_BASE`, which loads torch."""

Rows = list[dict[str, Any]]
Limits = dict[str, Any]
"""What a setting's value must be, as far as JSON schema says it simply: type, smallest and largest, choices."""


def shipped(kind: str) -> Rows | None:
    """The rows of a list as they were when eosin was made; None where there may be others now."""
    known = _kept(kind)
    return None if known is None else known[kind]


def settings_of(model: str) -> dict[str, Limits] | None:
    """A model's settings, as `shipped`, with their limits; `train` stands for those of training.

    None also for models that eosin does not ship.
    """
    known = _kept("models")
    return None if known is None else known["settings"].get(model)


def _kept(kind: str) -> dict[str, Any] | None:
    """The whole file, where the room of a list is as it was when the file was made and nothing was added to it."""
    room = _ROOMS[kind]
    if "eosin." + room.replace("/", ".") in sys.modules or entry_points(group=f"eosin.{kind}"):
        return None
    try:
        known = json.loads(FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known if known["modules"].get(room) == modules_of(room) else None


def modules_of(room: str) -> list[str]:
    """Names of what lies in a room."""
    found = (path.name for path in (_PACKAGE / room).iterdir() if path.suffix in ("", ".py", ".toml"))
    return sorted(name for name in found if not name.startswith(("_", ".")))


def contents(lists: Mapping[str, Rows], settings: Mapping[str, Mapping[str, Limits]]) -> str:
    """The text of the file, from `listing.all_lists()` and `listing.all_settings()`."""
    rooms = sorted(set(_ROOMS.values()))
    modules = {room: modules_of(room) for room in rooms}
    return json.dumps({"modules": modules, **lists, "settings": settings}, indent=1) + "\n"


def need_encoder(spec: str | None) -> None:
    """Refuse an encoder whose name eosin does not ship: the first of a spec as `stain+uni?tile_um=100`.

    Raises
    ------
    EosinError
        No such encoder.
    """
    if spec:
        need_shipped("encoders", [re.split(r"[+?@:;,]", spec)[0]])


def need_shipped(kind: str, names: Sequence[str]) -> None:
    """Refuse names, with their presets, that eosin does not ship; says nothing where there may be others.

    Raises
    ------
    EosinError
        No such name, or no such preset of a model: in the words of the registries.
    """
    rows = shipped(kind)
    if rows is None:
        return
    known = {row["name"]: row for row in rows}
    for text in names:
        name, _, preset = text.partition(":")
        noun = "study" if kind == "studies" else kind.removesuffix("s")
        if name not in known:
            raise EosinError(f"no {noun} is called '{name}'", fix=near_or_known(name, sorted(known), kind))
        presets = known[name].get("presets", "").split(", ")
        if preset and preset not in presets:
            fix = "known presets: " + (", ".join(filter(None, presets)) or "none")
            raise EosinError(f"{noun} '{name}' has no preset '{preset}'", fix=fix)


def need_settings(model: str, tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse tables, names in them, and values outside their limits; the rest is checked where the model is loaded.

    Says nothing where there may be others: of a model that eosin does not ship, and of a setting that was written into
    the sources since.

    Parameters
    ----------
    model
        A name with an optional preset.
    tables
        `model` and `train`.

    Raises
    ------
    EosinError
        In the words of the records of settings.
    """
    known = {"model": settings_of(model.partition(":")[0]), "train": settings_of("train")}
    if None in known.values():
        return
    for table, values in tables.items():
        if table not in known:
            raise unknown_table(table)
        settings = known[table] or {}
        for key, value in values.items():
            name = key.replace("-", "_")
            if name in settings:
                _need_value(name, value, settings[name], f"[{table}]")
            elif not _is_new(name):
                raise unknown_setting(name, list(settings), f"[{table}]")


def need_model_settings(tables: Mapping[str, Mapping[str, Any]]) -> None:
    """`need_settings` of a file of several models, whose tables hold tables: `["stflow".train]`."""
    for model, own in tables.items():
        if all(isinstance(table, Mapping) for table in own.values()):
            need_settings(model, own)


def _need_value(name: str, value: Any, limits: Limits, source: str) -> None:
    """Refuse a value that the record of settings would refuse, in its words."""
    if limits:
        one_setting(name, limits).of({name: value}, source=source)
    if name == "base" and isinstance(value, str):
        need_known(value, [*(row["name"] for row in shipped("models") or ()), _NO_BASE], "base")


def one_setting(name: str, limits: Limits) -> type[Settings]:
    """A record of one setting with its limits; that of the model has more, and is not loaded for it."""
    kinds = limits.get("anyOf", [limits])
    allowed: Any = None
    for kind in kinds:
        allowed = _kind(kind) if allowed is None else allowed | _kind(kind)
    fields: dict[str, Any] = {name: (allowed, ...)}
    return create_model("OneSetting", __base__=Settings, **fields)


def _kind(schema: Limits) -> Any:
    if "enum" in schema:
        return Literal[tuple(schema["enum"])]
    plain = _KINDS[schema["type"]]
    bounds = {ours: schema[theirs] for theirs, ours in _BOUNDS.items() if theirs in schema}
    return Annotated[plain, Field(**bounds)] if bounds else plain


def limits_of(schema: Mapping[str, Any]) -> Limits:
    """The limits in a property of a JSON schema; none where it says more than `one_setting` understands."""
    if "anyOf" in schema:
        kinds = [limits_of(kind) for kind in schema["anyOf"]]
        return {"anyOf": kinds} if all(kinds) else {}
    if schema.get("type") not in _KINDS:
        return {}
    return {key: schema[key] for key in ("type", "enum", *_BOUNDS) if key in schema}


def _is_new(name: str) -> bool:
    """Whether the sources have a setting of this name that the file does not know of any model."""
    known = _kept("models") or {"settings": {}}
    sources = [*(_PACKAGE / "models").rglob("*.py"), _PACKAGE / "engine" / "train_settings.py"]
    return not any(name in names for names in known["settings"].values()) and any(
        re.search(rf"^    {re.escape(name)}:", path.read_text(encoding="utf-8"), re.MULTILINE) for path in sources
    )
