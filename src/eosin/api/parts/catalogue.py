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
from typing import Any

from eosin.config import near_or_known, unknown_setting, unknown_table
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

Rows = list[dict[str, Any]]


def shipped(kind: str) -> Rows | None:
    """The rows of a list as they were when eosin was made; None where there may be others now."""
    known = _kept(kind)
    return None if known is None else known[kind]


def settings_of(model: str) -> list[str] | None:
    """Names of a model's settings, as `shipped`; `train` stands for those of training. None also for other models."""
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


def contents(lists: Mapping[str, Rows], settings: Mapping[str, Sequence[str]]) -> str:
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
        need_shipped("encoders", [re.split(r"[+?@:;]", spec)[0]])


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
    """Refuse tables, and names in them, that training this model does not have; values are checked where it is loaded.

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
        names = known[table] or []
        for name in (key.replace("-", "_") for key in values):
            if name not in names and not _is_new(name):
                raise unknown_setting(name, names, f"[{table}]")


def _is_new(name: str) -> bool:
    """Whether the sources have a setting of this name that the file does not know of any model."""
    known = _kept("models") or {"settings": {}}
    sources = [*(_PACKAGE / "models").rglob("*.py"), _PACKAGE / "engine" / "train_settings.py"]
    return not any(name in names for names in known["settings"].values()) and any(
        re.search(rf"^    {re.escape(name)}:", path.read_text(encoding="utf-8"), re.MULTILINE) for path in sources
    )
