"""An encoding that was killed goes on where it was and gives the same file; two processes do not make one file."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image as Picture

from eosin.encoders import Encoder, EncoderCard, View
from eosin.features import encode, feature_path, find_encoded
from eosin.features.journal import Journal
from eosin.storage.lock import held
from eosin.types import Image, Section, Spots

N, BATCH = 40, 4


class Slow(Encoder):
    """Sums of a window's columns, in no hurry; stops before call `stop`."""

    def __init__(self, seconds: float = 0.0, stop: int | None = None) -> None:
        self.views, self.spec = (View(8.0, 16),), "slow"
        self.card = EncoderCard("slow", "", "MIT", True, False, 16, "")
        self.seconds, self.stop, self.calls = seconds, stop, 0

    @property
    def key(self) -> str:
        return "slow;1"

    def encode(self, tiles: Sequence[torch.Tensor]) -> torch.Tensor:
        if self.calls == self.stop:
            raise KeyboardInterrupt
        self.calls += 1
        time.sleep(self.seconds)
        return torch.from_numpy(tiles[0].numpy()[..., 0].sum(1, dtype=np.float32))  # no threads: a fork has none


@pytest.fixture
def section(tmp_path: Path) -> Section:
    pixels = np.random.default_rng(0).integers(0, 255, (100, 200, 3)).astype(np.uint8)
    Picture.fromarray(pixels).save(tmp_path / "image.png")
    xy = np.stack([np.linspace(12, 88, N), np.full(N, 25.0)], 1)
    return Section(
        "A1", "p", Spots(xy, 5.0, tuple(f"s{i}" for i in range(N))), image=Image(tmp_path / "image.png", 0.5)
    )


def tables(folder: Path) -> dict[str, bytes]:
    with h5py.File(feature_path(folder, "A1", Slow())) as file:
        return {name: np.asarray(file[name]).tobytes() for name in file}


def part(folder: Path) -> Path:
    path = feature_path(folder, "A1", Slow())
    return path.with_name(f"{path.name}.part")


def stopped(section: Section, folder: Path, after: int) -> Path:
    with pytest.raises(KeyboardInterrupt):
        encode(section, Slow(stop=after), cache=folder, batch=BATCH)
    return part(folder)


# --- going on -----------------------------------------------------------------------------------------------------


def test_only_what_is_missing_is_encoded(section: Section, tmp_path: Path) -> None:
    encode(section, Slow(), cache=tmp_path / "whole", batch=BATCH)
    stopped(section, tmp_path / "c", after=6)
    rest = Slow()
    encode(section, rest, cache=tmp_path / "c", batch=BATCH)
    assert 0 < rest.calls <= N // BATCH - 5  # the batch at which it stopped may not have been written yet
    assert tables(tmp_path / "c") == tables(tmp_path / "whole")
    assert not part(tmp_path / "c").exists()


@pytest.mark.parametrize("symmetries", [False, True])
def test_a_journal_cut_anywhere_gives_the_same_file(section: Section, tmp_path: Path, *, symmetries: bool) -> None:
    encode(section, Slow(), cache=tmp_path / "whole", batch=BATCH, symmetries=symmetries)
    whole = tables(tmp_path / "whole")
    stop = 9 * (8 if symmetries else 1)
    with pytest.raises(KeyboardInterrupt):
        encode(section, Slow(stop=stop), cache=tmp_path / "c", batch=BATCH, symmetries=symmetries)
    written = part(tmp_path / "c").read_bytes()
    for cut in np.random.default_rng(1).integers(0, len(written), 6):
        part(tmp_path / "c").write_bytes(written[:cut])
        encode(section, Slow(), cache=tmp_path / "c", batch=BATCH, symmetries=symmetries)
        assert tables(tmp_path / "c") == whole
        feature_path(tmp_path / "c", "A1", Slow()).unlink()


def test_a_damaged_record_ends_the_journal(section: Section, tmp_path: Path) -> None:
    encode(section, Slow(), cache=tmp_path / "whole", batch=BATCH)
    path = stopped(section, tmp_path / "c", after=8)
    bad = bytearray(path.read_bytes())
    bad[len(bad) // 2] ^= 0x10
    path.write_bytes(bad)
    rest = Slow()
    encode(section, rest, cache=tmp_path / "c", batch=BATCH)
    assert 3 < rest.calls < N // BATCH
    assert tables(tmp_path / "c") == tables(tmp_path / "whole")


@pytest.mark.parametrize("change", ["batch", "image", "spots"])
def test_rows_of_another_run_are_not_taken_up(section: Section, tmp_path: Path, change: str) -> None:
    stopped(section, tmp_path / "c", after=6)
    if change == "image":
        Picture.fromarray(np.full((100, 200, 3), 7, np.uint8)).save(section.image.path)
    if change == "spots":
        section = section.take(np.arange(N)[::-1])
    size = 5 if change == "batch" else BATCH
    rest = Slow()
    made = encode(section, rest, cache=tmp_path / "c", batch=size).need_features()
    assert rest.calls == N // size
    np.testing.assert_array_equal(made.values, encode(section, Slow(), batch=size).need_features().values)


def test_a_journal_holds_what_was_appended(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)
    marks = np.array([1, 0, 1, 1, 1, 0, 1], bool)
    journal = Journal(tmp_path / "x.part", {"key": "a"})
    for start, stop in ((0, 3), (3, 4), (5, 7)):  # row 4 is lacking: what follows does not count
        journal.append(start, rows[start:stop], marks[start:stop])
    values, readable = np.zeros_like(rows), np.ones(7, bool)
    order = np.array([6, 0, 5, 1, 4, 2, 3])
    assert journal.recover(values, readable, order) == 4
    np.testing.assert_array_equal(values[order[:4]], rows[:4])
    np.testing.assert_array_equal(readable[order[:4]], marks[:4])
    assert not values[order[4:]].any()
    assert Journal(tmp_path / "x.part", {"key": "b"}).recover(values, readable, order) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment(section: Section, tmp_path: Path) -> None:
    encode(section, Slow(), cache=tmp_path / "whole", batch=BATCH)
    whole, rng = tables(tmp_path / "whole"), np.random.default_rng(int(time.time()))
    kept = 0
    for trial in range(3):
        folder = tmp_path / f"c{trial}"
        for _ in range(2):
            child = _fork(section, folder)
            _until(lambda: part(folder).exists() or not child.is_alive())  # noqa: B023
            time.sleep(rng.uniform(0, 0.2))
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            kept += part(folder).exists()
        encode(section, Slow(), cache=folder, batch=BATCH)  # the lock of the dead does not hold it up
        assert tables(folder) == whole
        assert not list(folder.rglob("*.part")) + list(folder.rglob("*.lock"))
    assert kept > 0


@pytest.mark.skipif(os.name != "posix", reason="only there is a dead process known as such")
def test_what_the_dead_left_beside_a_whole_file_goes(section: Section, tmp_path: Path) -> None:
    """A process may be killed after the file is in place, before the journal and the lock are gone."""
    encode(section, Slow(), cache=tmp_path, batch=BATCH)
    path = feature_path(tmp_path, "A1", Slow())
    names = ("A1.h5.lock", "A1.h5.part", ".A1-abcdefgh.h5")
    for find in (encode, find_encoded):
        with held(path):
            lock = (path.parent / names[0]).read_text().replace(f"pid={os.getpid()}", f"pid={2**22 + 5}")
        for name in names:
            (path.parent / name).write_text(lock)
        assert find(section, Slow(), cache=tmp_path) is not None
        assert not [name for name in names if (path.parent / name).exists()]


def test_what_the_living_hold_beside_a_whole_file_stays(section: Section, tmp_path: Path) -> None:
    """Who adds turned tiles to a file has its lock; the others read meanwhile."""
    encode(section, Slow(), cache=tmp_path, batch=BATCH)
    path = feature_path(tmp_path, "A1", Slow())
    with held(path):
        part(tmp_path).write_text("rows")
        assert encode(section, Slow(), cache=tmp_path).features is not None
        assert part(tmp_path).exists() and path.with_name("A1.h5.lock").exists()


def _fork(section: Section, folder: Path, seconds: float = 0.03):
    work = multiprocessing.get_context("fork").Process(
        target=encode, args=(section, Slow(seconds)), kwargs={"cache": folder, "batch": BATCH}
    )
    work.start()
    return work


def _until(true) -> None:
    end = time.monotonic() + 30
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    assert true()


# --- one at a time ------------------------------------------------------------------------------------------------


def test_the_second_waits_and_computes_nothing(
    section: Section, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Slow(0.03), Slow()
    thread = threading.Thread(target=encode, args=(section, first), kwargs={"cache": tmp_path, "batch": BATCH})
    thread.start()
    _until(lambda: first.calls > 0)
    with caplog.at_level(logging.INFO, "eosin"):
        made = encode(section, second, cache=tmp_path, batch=BATCH)
    thread.join()
    assert second.calls == 0 and "another process" in caplog.text
    np.testing.assert_array_equal(made.need_features().values, encode(section, Slow()).need_features().values)
    assert not list(tmp_path.rglob("*.lock"))
