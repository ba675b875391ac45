"""What is done of a cohort: one small JSON per slide in OUT/.eosin/, and OUT/summary.csv made of them.

A slide is done where its record says with which work and of which content its outputs were made, and all of them are as
they were written. Records are replaced whole; the summary is made anew from them, so that a kill at any write loses no
more than a line of the summary, which the next run writes again.
"""

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eosin.errors import EosinError
from eosin.features.image_hash import image_hash
from eosin.slide import is_slide
from eosin.storage.files import atomic_file, fingerprint, read_json, write_json

log = logging.getLogger("eosin")

_FOLDER = ".eosin"
_SUMMARY_S = 5.0
"""Time between two summaries while slides come, seconds."""
FIRST = ("id", "status", "section", "patient", "n_spots", "slide", "seconds", "output", "path", "reason")
"""Columns of the summary; what else records hold stands behind them."""
_MORE = "more_outputs"
_NOT_IN_SUMMARY = ("key", "files", "content", "output_hash")


def content_of(path: Path) -> str:
    """Hash of what lies at a path: sampled bytes of a slide or file, or those of all files of a folder, with names."""
    if is_slide(path):
        return str(image_hash(path))
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return fingerprint(*[text for file in files for text in (str(file.relative_to(path)), str(image_hash(file)))])


def content_of_all(outputs: Sequence[Path]) -> str:
    """Hash of what lies at the paths of one slide's outputs."""
    hashes = [content_of(output) for output in outputs]
    return hashes[0] if len(hashes) == 1 else fingerprint(*hashes)


@dataclass
class Ledger:
    """The records of a folder of outputs.

    Attributes
    ----------
    out
        The folder.
    verb
        What is done to the slides; each has records of its own.
    """

    out: Path
    verb: str
    _last: float = field(default=-1e9, init=False, repr=False)

    def file(self, id_: str) -> Path:
        """Where the record of a slide lies."""
        return self.out / _FOLDER / self.verb / f"{id_}.json"

    def record(self, id_: str) -> dict[str, Any] | None:
        """The record of a slide; None where there is none that can be read."""
        try:
            found = read_json(self.file(id_))
        except EosinError:
            return None
        return found if isinstance(found, dict) else None

    def done(self, id_: str, key: str) -> dict[str, Any] | None:
        """The record of a slide that was done by the work of this key, and whose outputs are as they were written."""
        found = self.record(id_)
        if found is None or found.get("status") != "done" or found.get("key") != key:
            return None
        outputs = [self.out / str(name) for name in (found.get("output"), *found.get(_MORE, ()))]
        there = all(output.exists() for output in outputs)
        return found if there and content_of_all(outputs) == found.get("output_hash") else None

    def of_outputs(self, outputs: Sequence[Path]) -> dict[str, Any]:
        """What a record says of the outputs of a slide: the one to open, and the others where there are any."""
        first, *others = (str(output.relative_to(self.out)) for output in outputs)
        return {"output": first, **({_MORE: others} if others else {})}

    def ids(self) -> list[str]:
        """The slides that have a record, by name."""
        return sorted(file.stem for file in self.file("x").parent.glob("*.json"))

    def write(self, id_: str, record: Mapping[str, Any]) -> None:
        """Write the record of a slide, whole."""
        write_json(self.file(id_), dict(record))

    def write_summary(self, ids: Sequence[str], *, now: bool = False) -> Path:
        """Write the summary of all slides that have a record, those of `ids` first and in their order.

        Parameters
        ----------
        now
            Else only where the last one is some seconds old.
        """
        path = self.out / f"{'summary' if self.verb == 'predict' else f'summary-{self.verb}'}.csv"
        if not now and time.monotonic() - self._last < _SUMMARY_S:
            return path
        known = set(ids)
        others = [id_ for id_ in self.ids() if id_ not in known]
        records = [found for id_ in (*ids, *others) if (found := self.record(id_)) is not None]
        more = dict.fromkeys(name for one in records for name in one if name not in (*FIRST, *_NOT_IN_SUMMARY))
        with atomic_file(path) as part, part.open("w", encoding="utf-8", newline="") as lines:
            writer = csv.DictWriter(lines, (*FIRST, *more), restval="", extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows({**record, _MORE: "; ".join(record.get(_MORE, ()))} for record in records)
        self._last = time.monotonic()
        return path
