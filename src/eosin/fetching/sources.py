"""What a source of downloads is, and which options it takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from eosin.config import Registry
from eosin.errors import EosinError
from eosin.options.unused import unused_options


@dataclass(frozen=True)
class FetchOptions:
    """Options of a download; empty where not given.

    Attributes
    ----------
    name
        An encoder, or a species.
    out
        Folder or file to write to.
    organ, platform, id
        Only sections that have one of these.
    parts
        Only these folders of the data set.
    revision
        Commit on the hub.
    url
        Addresses to use instead of the usual ones.
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
    """One kind of thing that can be downloaded.

    Attributes
    ----------
    about
        What it is, in a line.
    takes
        Fields of `FetchOptions` that it uses; others are refused.
    """

    about: str
    takes: frozenset[str]

    @abstractmethod
    def fetch(self, options: FetchOptions, *, dry_run: bool) -> list[str]:
        """Download what the options name, or with `dry_run` only list it.

        Returns
        -------
        list of str
            Lines for the user: what was downloaded, where it is, its licence.

        Raises
        ------
        EosinError
            There is no such thing, no access to it, no connection, or too little space.
        """

    def check(self, options: FetchOptions) -> None:
        """Refuse an option that this source does not use, instead of passing it over in silence."""
        for name in unused_options(options, self.takes):
            flag = "NAME" if name == "name" else f"--{name}"
            raise EosinError(f"this source takes no {flag}", fix="leave it out (see: eosin fetch --help)")


SOURCES: Registry[Source] = Registry("source")
"""Sources by the first argument of `eosin fetch`."""
