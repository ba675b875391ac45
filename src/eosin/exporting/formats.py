"""What an export format is, and which options it takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eosin.config import Registry
from eosin.errors import EosinError
from eosin.options.unused import unused_options
from eosin.types import Prediction

if TYPE_CHECKING:
    from eosin.types import Section


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export; None where the format shall choose.

    Attributes
    ----------
    layers
        Which numbers of a gene: `mean`, `sd`, `q05`, `q95`.
    outline
        How a spot is drawn: `circle`, `square`, `point` or `cell`, its own outline.
    mpp
        µm per pixel, where the prediction does not say it.
    """

    layers: tuple[str, ...] | None = None
    outline: str | None = None
    mpp: float | None = None


class Format(ABC):
    """One kind of file, written whole or not at all.

    Attributes
    ----------
    opened_by
        Programs that read it.
    takes
        Fields of `ExportOptions` that it uses; others are refused.
    """

    opened_by: str
    takes: frozenset[str] = frozenset()

    @abstractmethod
    def write(self, prediction: Prediction, path: Path, options: ExportOptions) -> None:
        """Write a prediction.

        Raises
        ------
        EosinError
            An option that is impossible, or that the prediction has no numbers for.
        """

    def write_features(self, section: Section, path: Path) -> None:
        """Write the features of a section; formats that cannot hold them raise `EosinError`."""
        fix = "choose one of " + ", ".join(f".{name}" for name in FORMATS if _has_features(FORMATS[name]))
        raise EosinError(f"{path.suffix} has no place for the features of section '{section.name}'", fix=fix)

    def check(self, options: ExportOptions) -> None:
        """Refuse an option that this format does not use, instead of passing it over in silence."""
        for name in unused_options(options, self.takes):
            formats = ", ".join(f".{suffix}" for suffix in FORMATS if name in FORMATS[suffix].takes)
            raise EosinError(f"this format takes no --{name}", fix=f"leave it out; it is for {formats}")


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
        known = ", ".join(f".{suffix}" for suffix in FORMATS)
        raise EosinError("its suffix names no format to export to", file=path, fix=f"end it in one of {known}")
    return FORMATS[name]


def _has_features(file_format: Format) -> bool:
    return type(file_format).write_features is not Format.write_features
