"""One process at a time holds the lock beside a file; no dead one does, and nobody removes another's."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from eosin.errors import EosinError
from eosin.storage import lock


def _left(path: Path, **other: object) -> Path:
    """A lock as a process of another number, start or machine leaves it."""
    with lock.held(path):
        left = path.with_name(f"{path.name}.lock")
        lines = dict(line.partition("=")[::2] for line in left.read_text().splitlines())
    assert other.keys() < lines.keys()
    left.write_text("".join(f"{key}={value}\n" if value else f"{key}\n" for key, value in {**lines, **other}.items()))
    return left


def _pid(left: Path) -> int:
    (line,) = (line for line in left.read_text().splitlines() if line.startswith("pid="))
    return int(line.removeprefix("pid="))


@pytest.mark.skipif(os.name != "posix", reason="only there is a dead process known as such")
@pytest.mark.parametrize("other", [{"pid": 2**22 + 5}, {"start": "1"}])
def test_a_dead_process_holds_nothing(tmp_path: Path, other: dict, caplog: pytest.LogCaptureFixture) -> None:
    """Neither one whose number is free, nor one whose number another process has by now."""
    left = _left(tmp_path / "x.h5", **other)
    with lock.held(tmp_path / "x.h5"):
        assert _pid(left) == os.getpid()
    assert not left.exists() and "taken over" in caplog.text


@pytest.mark.parametrize("text", [None, "", "no JSON", "[]"])
def test_a_silent_lock_of_elsewhere_is_taken_over(
    tmp_path: Path, text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_SILENT_S", 0.1)
    left = _left(tmp_path / "x.h5", host="elsewhere", pid=2**22 + 5)
    if text is not None:
        left.write_text(text)
    with lock.held(tmp_path / "x.h5", poll_s=0.02):
        assert _pid(left) == os.getpid()


def test_a_lock_that_shows_life_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_SILENT_S", 1.0)
    left = _left(tmp_path / "x.h5", host="elsewhere")
    stop = threading.Event()

    def live() -> None:
        for i in range(1, 1000):
            if stop.wait(0.02):
                return
            os.utime(left, (i, i))

    alive, got = threading.Thread(target=live), threading.Event()

    def want() -> None:
        with lock.held(tmp_path / "x.h5", poll_s=0.02):
            got.set()

    wanting = threading.Thread(target=want)
    alive.start()
    wanting.start()
    assert not got.wait(1.5)
    stop.set()
    alive.join()
    left.unlink()
    assert got.wait(20)
    wanting.join()


def test_an_error_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(EosinError), lock.held(tmp_path / "a" / "x.h5"):
        raise EosinError("no")
    assert not list(tmp_path.rglob("*.lock"))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file, not a folder")
    with pytest.raises(EosinError, match=r"x\.h5: cannot be written"), lock.held(tmp_path / "a" / "x.h5"):
        pytest.fail("entered")


def test_the_lock_of_another_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with lock.held(path):
        left = path.with_name("x.h5.lock")
        text = left.read_text().replace(f"pid={os.getpid()}", f"pid={2**22 + 5}")
        (tmp_path / "aside").write_text(text)
        (tmp_path / "aside").rename(left)  # taken over meanwhile
    assert left.read_text() == text


def test_a_living_process_shows_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_BEAT_S", 0.02)
    with lock.held(tmp_path / "x.h5"):
        left = tmp_path / "x.h5.lock"
        os.utime(left, (1, 1))
        end = time.monotonic() + 30
        while left.stat().st_mtime == 1 and time.monotonic() < end:
            time.sleep(0.005)
        assert left.stat().st_mtime > 1


def test_a_lock_of_another_version_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = _left(tmp_path / "x.h5", host="elsewhere", duration="7.0")
    got = threading.Event()

    def want() -> None:
        with lock.held(tmp_path / "x.h5", poll_s=0.02):
            got.set()

    wanting = threading.Thread(target=want)
    wanting.start()
    assert not got.wait(0.3)
    left.unlink()
    assert got.wait(20)
    wanting.join()
