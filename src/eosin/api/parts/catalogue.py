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

from eosin.config import near_or_known
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
    room = _ROOMS[kind]
    if "eosin." + room.replace("/", ".") in sys.modules or entry_points(group=f"eosin.{kind}"):
        return None
    try:
        known = json.loads(FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known[kind] if known["modules"].get(room) == modules_of(room) else None


def modules_of(room: str) -> list[str]:
    """Names of what lies in a room."""
    found = (path.name for path in (_PACKAGE / room).iterdir() if path.suffix in ("", ".py", ".toml"))
    return sorted(name for name in found if not name.startswith(("_", ".")))


def contents(lists: Mapping[str, Rows]) -> str:
    """The text of the file."""
    rooms = sorted(set(_ROOMS.values()))
    return json.dumps({"modules": {room: modules_of(room) for room in rooms}, **lists}, indent=1) + "\n"


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
