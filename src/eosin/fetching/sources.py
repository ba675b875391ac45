"""What a source is, and what may be ordered from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path

from eosin.config import Registry
from eosin.errors import EosinError


@dataclass(frozen=True)
class Order:
    """What is asked of a source; empty where nothing is said.

    Attributes
    ----------
    name
        Which of its things.
    out
        Where to.
    organ, platform, id
        Only sections that have one of these.
    parts
        Only these folders.
    revision
        Commit on the hub.
    url
        Other addresses than the usual ones.
    """

    name: str | None = None
    out: Path | None = None
    organ: tuple[str, ...] = ()
    platform: tuple[str, ...] = ()
    id: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    revision: str | None = None
    url: tuple[str, ...] = ()


class Source(ABC):
    """One kind of thing that can be fetched.

    Attributes
    ----------
    about
        What it is.
    takes
        Which fields of an `Order` it heeds; others are refused.
    """

    about: str
    takes: frozenset[str]

    @abstractmethod
    def fetch(self, order: Order, *, dry_run: bool) -> list[str]:
        """Fetch what was ordered, or with `dry_run` only say what it is; returns what to tell the user, in lines."""

    def check(self, order: Order) -> None:
        """Refuse an order of what this source does not have."""
        for field in fields(Order):
            if getattr(order, field.name) and field.name not in self.takes:
                said = "a NAME" if field.name == "name" else f"--{field.name}"
                raise EosinError(f"this source takes no {said}", fix="leave it out (see: eosin fetch --help)")


SOURCES: Registry[Source] = Registry("source")
"""Sources by the name they are asked for."""
