"""A cohort that is disturbed at every write: what is found afterwards is whole, and the next run ends with the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eosin.api.parts.ledger import Ledger
from eosin.api.parts.slide_jobs import Work, do_all
from eosin.data.slide_entries import SlideEntry
from eosin.errors import EosinError
from eosin.storage.files import atomic_file

N_SLIDES = 3
N_WRITES = 2 * N_SLIDES + 2
"""An output and a record for each slide, and two summaries."""


@dataclass(frozen=True)
class Capitals(Work):
    verb = "predict"

    def key(self) -> str:
        return "k"

    def files(self, entry: SlideEntry) -> str:
        return entry.path.read_text()

    def make(self, entry: SlideEntry, out: Path) -> tuple[tuple[Path, ...], dict[str, Any]]:
        with atomic_file(out / f"{entry.id}.txt") as part:
            part.write_text(entry.path.read_text().upper())
        return (out / f"{entry.id}.txt",), {}


def cohort(folder: Path) -> list[SlideEntry]:
    folder.mkdir(exist_ok=True)
    for i in range(N_SLIDES):
        (folder / f"s{i}").write_text(f"slide {i}")
    return [SlideEntry(f"s{i}", folder / f"s{i}") for i in range(N_SLIDES)]


def disturbed(real: Callable[..., Any], at: int, act: Callable[[], None]) -> Callable[..., Any]:
    """A function of the system whose call number `at` does something else first."""
    n_calls = 0

    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        if n_calls == at:
            act()
        return real(*arguments, **named)

    return call


def check_whole(entries: list[SlideEntry], out: Path) -> None:
    """Everything that lies there under its name is whole, and what a record calls done is there."""
    for entry in entries:
        output, record = out / f"{entry.id}.txt", Ledger(out, "predict").record(entry.id)
        assert not output.exists() or output.read_text() == entry.path.read_text().upper()
        if record is not None and record["status"] == "done":
            assert output.exists()


def check_undisturbed(entries: list[SlideEntry], out: Path) -> None:
    """The next run does the rest, and leaves the same summary as a run that was never disturbed."""
    result = do_all(Capitals(), entries, out)
    assert not result.failed
    lines = [line.split(",")[:2] for line in result.summary.read_text().splitlines()[1:]]
    assert lines == [[entry.id, "done"] for entry in entries]
    assert sorted(path.name for path in out.iterdir()) == [".eosin", "s0.txt", "s1.txt", "s2.txt", "summary.csv"]


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("at", range(1, N_WRITES + 1))
def test_a_full_disk_at_any_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, at: int) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    entries, out = cohort(tmp_path / "slides"), tmp_path / "out"
    out.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, disturbed(getattr(os, call), at, full))
        try:
            do_all(Capitals(), entries, out)
        except EosinError as error:
            assert "full" in str(error) or "space" in str(error)
    check_whole(entries, out)
    check_undisturbed(entries, out)


def killed(folder: Path) -> None:
    """Run in a process of its own: a child for each write, which is killed at it."""
    for at in range(1, N_WRITES + 1):
        entries, out = cohort(folder / "slides"), folder / f"out{at}"
        out.mkdir()
        child = os.fork()
        if child == 0:
            os.replace = disturbed(os.replace, at, lambda: os._exit(9))
            do_all(Capitals(), entries, out)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (0, 9)


def test_a_kill_at_any_write(tmp_path: Path) -> None:
    code = (
        "import importlib.util, sys, pathlib; "
        "spec = importlib.util.spec_from_file_location('faults', sys.argv[1]); "
        "faults = importlib.util.module_from_spec(spec); sys.modules['faults'] = faults; "
        "spec.loader.exec_module(faults); faults.killed(pathlib.Path(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, __file__, str(tmp_path)], check=True, timeout=300)
    n_killed = 0
    for at in range(1, N_WRITES + 1):
        entries, out = cohort(tmp_path / "slides"), tmp_path / f"out{at}"
        n_killed += not (out / "summary.csv").exists()
        check_whole(entries, out)
        for part in out.glob(".summary-*.csv"):
            part.unlink()  # another run may be writing it, so that nobody removes it
        check_undisturbed(entries, out)
    assert n_killed >= 2
