"""What an export format is, and what may be asked of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from eosin.config import Registry
from eosin.errors import EosinError
from eosin.types import Prediction

if TYPE_CHECKING:
    from eosin.types import Section


@dataclass(frozen=True)
class Wish:
    """What is asked of an export; None where the format shall choose.

    Attributes
    ----------
    layers
        Which numbers of a gene: `mean`, `sd`, `q05`, `q95`.
    outline
        How a spot is drawn: `circle`, `square` or `point`.
    mpp
        µm per pixel, where the prediction does not say it.
    """

    layers: tuple[str, ...] | None = None
    outline: str | None = None
    mpp: float | None = None


class Format(ABC):
    """One kind of file. It writes it whole or not at all.

    Attributes
    ----------
    opened_by
        What reads it.
    takes
        Which fields of a `Wish` it heeds; others are refused.
    """

    opened_by: str
    takes: frozenset[str] = frozenset()

    @abstractmethod
    def write(self, prediction: Prediction, path: Path, wish: Wish) -> None:
        """Write a prediction."""

    def write_features(self, section: Section, path: Path) -> None:
        """Write the features of a section; most formats have no place for them."""
        fix = "choose one of " + ", ".join(f".{name}" for name in FORMATS if _has_features(FORMATS[name]))
        raise EosinError(f"{path.suffix} has no place for the features of section '{section.name}'", fix=fix)

    def check(self, wish: Wish) -> None:
        """Refuse a wish that this format would pass over in silence."""
        for field in fields(Wish):
            if getattr(wish, field.name) is not None and field.name not in self.takes:
                able = ", ".join(f".{name}" for name in FORMATS if field.name in FORMATS[name].takes)
                raise EosinError(f"this format takes no --{field.name}", fix=f"leave it out; it is for {able}")


FORMATS: Registry[Format] = Registry("format")
"""Formats by suffix, without the dot."""


def format_of(path: Path) -> Format:
    """The format that a file's suffix names.

    Raises
    ------
    EosinError
        There is none.
    """
    name = path.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        known = ", ".join(f".{one}" for one in FORMATS)
        raise EosinError("its suffix names no format to export to", file=path, fix=f"end it in one of {known}")
    return FORMATS[name]


def _has_features(one: Format) -> bool:
    return type(one).write_features is not Format.write_features
