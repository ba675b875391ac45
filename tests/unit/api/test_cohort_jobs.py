"""A cohort slide by slide: what is done is skipped by content, what fails is a line, what is killed goes on."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eosin.api.parts.ledger import Ledger
from eosin.api.parts.slide_jobs import CohortResult, Work, do_all
from eosin.data.slide_entries import SlideEntry
from eosin.errors import EosinError
from eosin.execution import Processes
from eosin.execution.by_name import execution_of
from eosin.storage.files import atomic_file
from eosin.storage.lock import held


@dataclass(frozen=True)
class Copy(Work):
    """Writes the slide's text in capitals; `crash` in it kills the process, `bad` is an error."""

    option: str = ""
    verb = "copy"

    def key(self) -> str:
        return self.option

    def files(self, entry: SlideEntry) -> str:
        return entry.path.read_text()

    def content(self, entry: SlideEntry) -> str | None:
        return entry.path.read_text().split("#")[0]

    def make(self, entry: SlideEntry, out: Path) -> tuple[tuple[Path, ...], dict[str, Any]]:
        text = entry.path.read_text()
        with (out / "made").open("a") as log:
            log.write(f"{entry.id}\n")
        if "crash" in text or ("once" in text and (out / "made").read_text().count(entry.id) == 1):
            os._exit(7)
        if "bad" in text:
            raise EosinError("is broken", file=entry.path, fix="scan it again")
        if "fault" in text:
            raise KeyError("fault")
        with atomic_file(out / f"{entry.id}.txt") as part:
            part.write_text(text.upper() + self.option)
        return (out / f"{entry.id}.txt",), {"n_spots": len(text), "content": text.split("#")[0]}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def slides(folder: Path, **texts: str) -> list[SlideEntry]:
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [SlideEntry(name, folder / name) for name in texts]


def made(out: Path) -> list[str]:
    return (out / "made").read_text().split()


def rows(result: CohortResult) -> list[dict[str, str]]:
    with result.summary.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_slide_that_fails_is_a_line_and_the_others_are_done(tmp_path: Path, out: Path) -> None:
    entries = slides(tmp_path, a="one", b="bad", c="fault", d="two")
    result = do_all(Copy(), entries, out)
    assert [record["status"] for record in result.records] == ["done", "failed", "failed", "done"]
    assert [record["id"] for record in result.failed] == ["b", "c"]
    found = rows(result)
    assert [row["id"] for row in found] == ["a", "b", "c", "d"]
    assert found[1]["reason"].endswith("b: is broken; scan it again") and found[2]["reason"] == "KeyError: 'fault'"
    assert float(found[0]["seconds"]) >= 0
    assert found[0] | {"path": "", "seconds": ""} == {
        **dict.fromkeys(found[0], ""),
        **{"id": "a", "status": "done", "n_spots": "3", "output": "a.txt"},
    }
    assert (out / "d.txt").read_text() == "TWO"


def test_what_is_done_is_skipped_by_content(tmp_path: Path, out: Path) -> None:
    entries = slides(tmp_path, a="one", b="two#beside", c="bad")
    assert do_all(Copy(), entries, out).n_kept == 0
    again = do_all(Copy(), entries, out)
    assert again.n_kept == 2 and made(out) == ["a", "b", "c", "c"]  # what failed is tried again
    slides(tmp_path, a="other", b="two#else")
    changed = do_all(Copy(), entries, out)
    assert changed.n_kept == 1 and made(out)[4:] == ["a", "c"] and (out / "a.txt").read_text() == "OTHER"
    slides(tmp_path, c="mended")
    (out / "b.txt").write_text("cut")
    mended = do_all(Copy(), entries, out)
    assert not mended.failed and made(out)[6:] == ["b", "c"] and (out / "b.txt").read_text() == "TWO#ELSE"
    assert do_all(Copy("!"), entries, out).n_kept == 0 and (out / "a.txt").read_text() == "OTHER!"
    (out / ".eosin" / "copy" / "a.json").write_text("{")
    assert do_all(Copy("!"), entries, out).n_kept == 2


class CopyTwice(Copy):
    """Writes the slide's text in small letters as well."""

    def make(self, entry: SlideEntry, out: Path) -> tuple[tuple[Path, ...], dict[str, Any]]:
        (first,), facts = super().make(entry, out)
        (out / f"{entry.id}.low").write_text(entry.path.read_text().lower())
        return (first, out / f"{entry.id}.low"), facts


def test_a_slide_is_done_where_all_of_its_outputs_are_as_they_were(tmp_path: Path, out: Path) -> None:
    entries = slides(tmp_path, a="one", b="two", c="bad")
    result = do_all(CopyTwice(), entries, out)
    assert result.records[0]["output"] == "a.txt" and result.records[0]["more_outputs"] == ["a.low"]
    assert [row["more_outputs"] for row in rows(result)] == ["a.low", "b.low", ""]
    assert do_all(CopyTwice(), entries, out).n_kept == 2
    (out / "a.low").unlink()
    assert do_all(CopyTwice(), entries, out).n_kept == 1 and (out / "a.low").read_text() == "one"
    (out / "b.low").write_text("cut")
    assert do_all(CopyTwice(), entries, out).n_kept == 1 and (out / "b.low").read_text() == "two"


def test_slides_of_an_earlier_run_stay_in_the_summary(tmp_path: Path, out: Path) -> None:
    """As those of another shard."""
    entries = slides(tmp_path, a="one", b="two", c="three")
    do_all(Copy(), entries[2:], out)
    assert [row["id"] for row in rows(do_all(Copy(), entries[:2], out))] == ["a", "b", "c"]


def test_a_slide_whose_process_dies_is_tried_again_and_then_set_aside(tmp_path: Path, out: Path) -> None:
    entries = slides(tmp_path, a="one", b="crash", c="once", d="two")
    result = do_all(Copy(), entries, out, execution=Processes(2))
    assert [record["status"] for record in result.records] == ["done", "failed", "done", "done"]
    assert "set aside after 3 tries" in result.failed[0]["reason"]
    assert made(out).count("b") == 3 and made(out).count("c") == 2 and made(out).count("a") == 1


def test_a_slide_that_another_run_is_at_is_done_once(tmp_path: Path, out: Path) -> None:
    """The other run ends while this one does its other slides."""
    entries = slides(tmp_path, a="one", b="two")
    ledger = Ledger(out, "copy")
    lock = held(ledger.file("a"))
    lock.__enter__()

    @dataclass(frozen=True)
    class LetsGo(Copy):
        def make(self, entry: SlideEntry, out: Path) -> tuple[tuple[Path, ...], dict[str, Any]]:
            found = super().make(entry, out)
            if entry.id == "b":
                (out / "a.txt").write_text("BY THE OTHER")
                record = {"id": "a", "status": "done", "output": "a.txt", "key": "", "files": "one"}
                from eosin.api.parts.ledger import content_of

                ledger.write("a", {**record, "output_hash": content_of(out / "a.txt")})
                lock.__exit__(None, None, None)
            return found

    result = do_all(LetsGo(), entries, out)
    assert not result.failed and made(out) == ["b"] and (out / "a.txt").read_text() == "BY THE OTHER"


@pytest.mark.parametrize("on", ["processes", "processes:0", "processes:x", "here:2", "cloud"])
def test_an_impossible_place_is_refused(on: str) -> None:
    with pytest.raises(EosinError):
        execution_of(on)
    assert execution_of("processes:3") == Processes(3)


@pytest.mark.skipif(os.name != "posix", reason="only there is a dead process known as such")
def test_the_lock_of_the_dead_beside_a_record_goes(tmp_path: Path, out: Path) -> None:
    entries = slides(tmp_path, a="one")
    do_all(Copy(), entries, out)
    place = Ledger(out, "copy").file("a")
    with held(place):
        lock = place.with_name(f"{place.name}.lock")
        text = lock.read_text().replace(f"pid={os.getpid()}", f"pid={2**22 + 5}")
    lock.write_text(text)
    assert do_all(Copy(), entries, out).n_kept == 1
    assert not lock.exists()
