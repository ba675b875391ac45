"""Tables in files without a name: arrays like others, that leave nothing behind."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.storage.scratch import let_go, scratch_table


def test_it_is_an_array_whose_pages_come_back(tmp_path: Path) -> None:
    table = scratch_table((50, 40, 30), tmp_path, in_memory=0)
    assert isinstance(table, np.memmap) and table.dtype == np.float32 and not table.any()
    values = np.random.default_rng(0).normal(size=table.shape).astype(np.float32)
    for row in range(50):
        table[row] = values[row]
        let_go(table)
    view = np.asarray(table)[:, 3:].transpose(1, 0, 2)
    let_go(view, None, values)
    assert np.array_equal(view, values[:, 3:].transpose(1, 0, 2)) and np.array_equal(table, values)
    assert not list(tmp_path.iterdir())  # it has no name


def test_a_small_one_is_in_memory(tmp_path: Path) -> None:
    table = scratch_table((5, 4), tmp_path / "is not made")
    assert type(table) is np.ndarray and table.shape == (5, 4) and not list(tmp_path.iterdir())


def test_a_full_disk_is_said_when_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(EosinError, match=r"has no room for 4.0 GiB of numbers in between .*TMPDIR"):
        scratch_table((1 << 20, 1 << 10), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_kill_leaves_nothing(tmp_path: Path) -> None:
    code = "import os, sys; from eosin.storage.scratch import scratch_table"
    code += "; table = scratch_table((99, 99), sys.argv[1], in_memory=0); table[:] = 1; os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert not list(tmp_path.iterdir())


def test_a_file_system_that_reserves_nothing_does_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", never)
    table = scratch_table((7, 5), tmp_path, in_memory=0)
    table[:] = 3
    assert table.sum() == 105
