"""One slide of a cohort as a job: what is to be done is an object (`Work`), what is done is in the ledger."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eosin.api.parts.ledger import Ledger, content_of_all
from eosin.api.parts.outputs import need_folder, need_other_file
from eosin.data.slide_entries import SlideEntry, of_shard
from eosin.errors import EosinError
from eosin.execution import Done, Execution, Failed, Here, Job, Outcome
from eosin.execution.by_name import execution_of
from eosin.options import CohortOptions
from eosin.storage.files import remove_partial_files
from eosin.storage.lock import clear_left_over, held

log = logging.getLogger("eosin")

_TRIES = 3
"""How often a slide is tried whose process dies."""
_BUSY = "busy"


class Work(ABC):
    """What is done to each slide of a cohort. It is sent to other processes."""

    verb: str
    """The command, as `predict`."""

    @abstractmethod
    def key(self) -> str:
        """Hash of all that the outputs depend on beside the slide: options, and what was trained."""

    @abstractmethod
    def files(self, entry: SlideEntry) -> str:
        """Hash of the files that the output of a slide depends on, without reading them."""

    @abstractmethod
    def make(self, entry: SlideEntry, out: Path) -> tuple[tuple[Path, ...], dict[str, Any]]:
        """Make the outputs of a slide in a folder, each whole or not at all; their paths, and facts for the summary."""

    def content(self, entry: SlideEntry) -> str | None:
        """Hash of what was read of a slide, where files may change that are not its own; None where it costs more."""
        del entry
        return None


@dataclass(frozen=True)
class SlideJob(Job[dict[str, Any]]):
    """One slide; its record is the result.

    Attributes
    ----------
    work
        What is done.
    entry
        The slide.
    out
        Folder of the outputs and records.
    wait
        For another process that is at this slide; else the record says `busy`.
    """

    work: Work
    entry: SlideEntry
    out: Path
    wait: bool = False

    @property
    def name(self) -> str:
        """The slide's id."""
        return self.entry.id

    def kept(self) -> dict[str, Any] | None:
        """The record of a slide that is done, by the same work and of the same content."""
        ledger = Ledger(self.out, self.work.verb)
        found = self._found(ledger)
        if found is not None:
            clear_left_over(ledger.file(self.entry.id))
        return found

    def _found(self, ledger: Ledger) -> dict[str, Any] | None:
        found = ledger.done(self.entry.id, self.work.key())
        if found is None:
            return None
        try:
            files = self.work.files(self.entry)
            if files == found["files"]:
                return found
            content = self.work.content(self.entry)
        except (EosinError, OSError):
            return None  # the run will say what is wrong
        if content is None or content != found.get("content"):
            return None
        found["files"] = files
        ledger.write(self.entry.id, found)
        return found

    def run(self) -> dict[str, Any]:
        """Make the output and its record; a record with the status `busy` where another process is at it."""
        ledger = Ledger(self.out, self.work.verb)
        place = ledger.file(self.entry.id)
        with held(place, wait=self.wait) as ours:
            if not ours:
                return {"id": self.entry.id, "status": _BUSY}
            if (found := self._found(ledger)) is not None:
                return found
            started, files = time.monotonic(), self.work.files(self.entry)
            outputs, facts = self.work.make(self.entry, self.out)
            for output in outputs:
                remove_partial_files(output)  # of a run that was killed
            remove_partial_files(place)
            record = {
                "id": self.entry.id,
                "status": "done",
                "path": str(self.entry.path),
                **ledger.of_outputs(outputs),
                "seconds": round(time.monotonic() - started, 2),
                **facts,
                "key": self.work.key(),
                "files": files,
                "output_hash": content_of_all(outputs),
            }
            ledger.write(self.entry.id, record)
            return record


@dataclass(frozen=True)
class CohortResult:
    """What came of a cohort.

    Attributes
    ----------
    records
        One for each slide, in the order of the cohort, with `status` `done` or `failed`.
    n_kept
        Slides that an earlier run had done.
    summary
        The table that was written.
    """

    records: tuple[dict[str, Any], ...]
    n_kept: int
    summary: Path

    @property
    def failed(self) -> tuple[dict[str, Any], ...]:
        """Records of the slides that failed."""
        return tuple(record for record in self.records if record["status"] != "done")


def do_cohort(
    work: Work, source: str | Path, listing: Callable[[], Sequence[SlideEntry]], out: Path, running: CohortOptions
) -> CohortResult:
    """Do the work on every slide of a source, shared out as asked.

    Parameters
    ----------
    work
        What is done.
    source
        Where the slides are, which is not written over.
    listing
        Lists the slides.
    out
        Folder of the outputs.
    running
        Where slides are done, and which part of them.

    Raises
    ------
    EosinError
        `out` cannot be such a folder, an impossible place or part, no slide.
    """
    need_folder(out)
    need_other_file(out, source)
    execution = execution_of(running.on)
    return do_all(work, of_shard(listing(), running.shard), out, execution=execution)


def do_all(work: Work, entries: Sequence[SlideEntry], out: Path, *, execution: Execution | None = None) -> CohortResult:
    """Do the work on every slide; a slide that fails does not stop the others.

    A slide whose process dies is tried again, three times in all. One that another run is at is left to it, and looked
    for at the end.

    Parameters
    ----------
    work
        What is done.
    entries
        The slides.
    out
        Folder of the outputs; `OUT/summary.csv` is kept up to date.
    execution
        Where slides are done; one after another in this process by default.
    """
    ledger, ids = Ledger(out, work.verb), [entry.id for entry in entries]
    records: dict[str, dict[str, Any]] = {}
    todo, n_kept = [SlideJob(work, entry, out) for entry in entries], 0
    for last in (False,) * (_TRIES - 1) + (True,):
        again: list[SlideJob] = []
        with closing((execution or Here()).map(todo, label=work.verb, unit="slides")) as outcomes:
            for place, outcome in outcomes:
                job = todo[place]
                if isinstance(outcome, Done) and outcome.result["status"] == _BUSY:
                    again.append(replace(job, wait=True))
                elif isinstance(outcome, Failed) and outcome.died and not last:
                    log.warning("%s: %s; it is tried again", job.name, outcome.reason)
                    again.append(job)
                else:
                    records[job.name] = _record_of(job, outcome, ledger)
                    n_kept += isinstance(outcome, Done) and outcome.kept
                    ledger.write_summary(ids)
        todo = again
        if not todo:
            break
    summary = ledger.write_summary(ids, now=True)
    return CohortResult(tuple(records[id_] for id_ in ids), n_kept, summary)


def _record_of(job: SlideJob, outcome: Outcome[dict[str, Any]], ledger: Ledger) -> dict[str, Any]:
    """The record of what came of a slide; a failure is written, a success has written its own."""
    if isinstance(outcome, Done):
        return outcome.result
    reason = f"{outcome.reason}; set aside after {_TRIES} tries" if outcome.died else outcome.reason
    record = {"id": job.name, "status": "failed", "path": str(job.entry.path), "reason": reason}
    ledger.write(job.name, record)
    log.warning("%s: %s", job.name, reason)
    return record
