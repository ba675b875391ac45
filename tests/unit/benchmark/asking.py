"""`bench` with everything by keyword, as the tests vary it: what belongs to `GridSettings` is sorted into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from eosin import benchmark
from eosin.types import Section

ASKED = {field.name for field in fields(benchmark.GridSettings)}


def bench(sections: Mapping[str, Sequence[Section]], *, out: Path, **given: Any) -> dict[str, Any]:
    asked = {name: given.pop(name) for name in ASKED & given.keys()}
    return benchmark.bench(sections, out=out, settings=benchmark.GridSettings(**asked), **given)
