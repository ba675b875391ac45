"""Flags that several commands share, made from the records of options (`eosin.types.options`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, make_dataclass
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

from cyclopts import Parameter

from eosin.options import (
    BenchSettings,
    CohortOptions,
    DrawOptions,
    FeatureOptions,
    LayoutOptions,
    PanelOptions,
    ReadOptions,
    ScoreOptions,
    StartOptions,
    changed,
    described,
)

Out = Annotated[Path, Parameter(name=["--out", "-o"])]
Flag = Annotated[bool, Parameter(negative="")]
_NAMES = list[str] | None
"""The type of lists: text by commas, or the flag several times."""


def flags(record: type, *, hide: tuple[str, ...] = ()) -> Any:
    """A record of options as flags of a command: a field is a flag, with its default and its line of help.

    Parameters
    ----------
    hide
        Fields that the command has no use for.
    """
    types, lines = get_type_hints(record), described(record)
    shown = [
        (f.name, Annotated[kind, Parameter(help=lines[f.name], negative="")], None if kind == _NAMES else f.default)
        for f in fields(record)
        if f.name not in hide
        for kind in [_typed(types[f.name])]
    ]
    made = make_dataclass(record.__name__, shown, frozen=True)
    made.__module__ = __name__  # else it is taken for a type of the standard library, which has no fields
    return Annotated[made, Parameter(name="*")]


def _typed(kind: Any) -> Any:
    """The type as which a flag's text is taken: text or a path where the record takes these among others."""
    kinds = get_args(kind) or (kind,)
    if Sequence[str] in kinds and Path not in kinds:
        return _NAMES
    for plain in (Path, str):
        if plain in kinds:
            return plain | None if NoneType in kinds else plain
    return kind


def unset(flag_record: Any) -> Any:
    """A record of flags of which none is given."""
    return get_args(flag_record)[0]()


if TYPE_CHECKING:  # for readers and type checkers a record of flags is the record that it is made from
    Reading = OneReading = ReadOptions
    Encoding = Training = Predicting = FeatureOptions
    Laying = LayoutOptions
    Drawing = DrawOptions
    Running = CohortOptions
    Scoring = ScoreOptions
    Starting = StartOptions
    Choosing = PanelOptions
    Benching = Studying = BenchSettings
else:
    Reading = flags(ReadOptions)
    OneReading = flags(ReadOptions, hide=("sections",))
    Encoding = flags(FeatureOptions, hide=("features", "match", "match_um"))
    Training = flags(FeatureOptions, hide=("symmetries", "device", "precision"))
    Predicting = flags(FeatureOptions, hide=("encoder", "tile_um", "symmetries", "device", "precision"))
    Laying = flags(LayoutOptions)
    Drawing = flags(DrawOptions)
    Running = flags(CohortOptions)
    Scoring = flags(ScoreOptions)
    Starting = flags(StartOptions)
    Choosing = flags(PanelOptions)
    Benching = flags(BenchSettings)
    Studying = flags(BenchSettings, hide=("transform", "protocol"))


def given(record: Any) -> dict[str, Any]:
    """The flags of a record that are given, by name; lists, also from a repeated flag, as text by commas."""
    return {
        name: listed(value) if isinstance(value, list | tuple) else value for name, value in changed(record).items()
    }


def listed(values: Sequence[str] | None) -> str | None:
    """What one flag or several hold, as text by commas."""
    return None if values is None else ",".join(values)
