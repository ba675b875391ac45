"""Break every file of a layout in every kind of way, and hold a reader to one law: sections or an `EosinError`.

The cases run in a process of their own with a limit on time and memory, since a damaged HDF5 file can do anything: a
forked one, or a fresh one where the libraries of the layout have threads that a fork would lose.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eosin.data import read
from eosin.errors import EosinError
from eosin.storage import hdf5

MEMORY = 1 << 30  # bytes beyond what reading the sound layout takes
SECONDS = 30

Damage = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """One file, and what is done to it."""

    label: str
    file: Path
    damage: Damage


def survive(path: Path, reader: str, *, n_flips: int = 6, at_most: int = 1000, fresh: bool = False) -> list[str]:
    """Run the cases on the layout at `path` and return what went wrong, one line each."""
    cases, wrong, start = damages(path, n_flips, at_most), [], 0
    assert len(cases) > 10
    while start < len(cases):
        told, begun = _batch(path, reader, (n_flips, at_most, start), fresh=fresh)
        start += max(begun, 1)
        wrong += [line.format(label=cases[start - 1].label) for line in told]
    return wrong


def damages(path: Path, n_flips: int = 6, at_most: int = 1000) -> list[Case]:
    """Every kind of damage to one file of every kind; evenly chosen among where there are more than `at_most`."""
    cases = list(_damages(path, n_flips))
    return [cases[i] for i in np.unique(np.linspace(0, len(cases) - 1, min(at_most, len(cases))).astype(int))]


def _damages(path: Path, n_flips: int) -> Iterator[Case]:
    for number, file in enumerate(_kinds(path)):
        name = str(file.relative_to(path)) if file != path else file.name
        size = file.stat().st_size
        cuts = sorted({0, 1, 8, size // 4, size // 2, 3 * size // 4, size - 1} - {size})
        yield from (Case(f"{name} cut at {n}", file, cut(n)) for n in cuts if 0 <= n < size)
        rng = np.random.default_rng(number)
        yield from (Case(f"{name} flip {k}", file, flip(rng.integers(size, size=8))) for k in range(n_flips) if size)
        yield from (Case(f"{name} {label}", file, damage) for label, damage in WHOLE.items())


def cut(n: int) -> Damage:
    return lambda file: file.write_bytes(file.read_bytes()[:n])


def flip(places: np.ndarray) -> Damage:
    def damage(file: Path) -> None:
        data = bytearray(file.read_bytes())
        for place in places:
            data[place] ^= 1 << int(place) % 8
        file.write_bytes(data)

    return damage


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def _outside(file: Path) -> None:
    elsewhere = file.parent.parent / "elsewhere.bin"
    elsewhere.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 8)
    file.unlink()
    file.symlink_to(elsewhere)


WHOLE: dict[str, Damage] = {
    "is gone": lambda file: file.unlink(),
    "is a folder": _folder,
    "is a link to itself": _loop,
    "is a link out": _outside,
    "is of zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "is one long line": lambda file: file.write_bytes(b"7" * 3_000_000),
    "is not text": lambda file: file.write_bytes(bytes(range(128, 256)) * 20),
    "is twice itself": lambda file: file.write_bytes(file.read_bytes() * 2),
}


def _kinds(path: Path) -> list[Path]:
    """One file of each kind: of each ending and place. Pictures are left out, since no reader opens them."""
    found: dict[tuple, Path] = {}
    for file in sorted([path] if path.is_file() else path.rglob("*")):
        if file.is_file() and file.suffix not in (".tif", ".tiff", ".png", ".jpg", ".svs"):
            parts = file.relative_to(path).parts
            found.setdefault((*parts[:-1], file.suffix), file)
    return list(found.values())


def _batch(path: Path, reader: str, plan: tuple[int, int, int], *, fresh: bool) -> tuple[list[str], int]:
    """Run cases in one child, until the end or its death; what went wrong, and how many were begun."""
    kept = path.with_name(f"{path.name}.kept")
    _copy(path, kept)
    lines, status = _in_fresh(path, reader, plan) if fresh else _in_fork(path, reader, plan)
    _remove(path)
    kept.rename(path)
    wrong = [line.partition(" ")[2] for line in lines if line.startswith("wrong")]
    if status:
        wrong.append("{label}: " + f"the process ended with {status}")
    return wrong, sum(line == "begun" for line in lines)


def _in_fork(path: Path, reader: str, plan: tuple[int, int, int]) -> tuple[list[str], int]:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        run_cases(path, reader, plan, write_end)
        os._exit(0)  # Python's own end would run the hooks of the test run
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        lines = pipe.read().decode().splitlines()
    return lines, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _in_fresh(path: Path, reader: str, plan: tuple[int, int, int]) -> tuple[list[str], int]:
    code = (
        f"from pathlib import Path; from unit.data.fuzz import run_cases; run_cases(Path({str(path)!r}), {reader!r}, "
    )
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    command = [sys.executable, "-W", "ignore", "-c", f"{code}{plan}, 1)"]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONPATH": paths}, check=False)
    return done.stdout.decode().splitlines(), done.returncode


def run_cases(path: Path, reader: str, plan: tuple[int, int, int], out: int) -> None:
    """Run the cases from a number on, and write to a pipe which begin and which go wrong."""
    faulthandler.disable()  # pytest's would print the stack of a crash
    n_flips, at_most, start = plan
    hdf5._PATIENCE_S = 5.0
    read(path, reader=reader)  # so that libraries are loaded before memory is limited
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + 4 * MEMORY, mapped + 4 * MEMORY))
    for case in damages(path, n_flips, at_most)[start:]:
        os.write(out, b"begun\n")
        body = case.file.read_bytes()
        signal.alarm(SECONDS)
        case.damage(case.file)
        problem = _outcome(path, reader)
        too_much = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > base + MEMORY
        problem = "more than 1 GiB" if too_much else problem
        if problem:
            os.write(out, f"wrong {case.label}: {problem}\n".replace("{", "(").replace("}", ")").encode())
        _remove(case.file)
        case.file.write_bytes(body)
        if too_much:  # the peak stays; the next process begins anew
            break
    signal.alarm(0)


def _outcome(path: Path, reader: str) -> str | None:
    try:
        read(path, reader=reader)
    except EosinError as error:
        return "several lines" if "\n" in str(error) else None
    except BaseException as error:
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return None


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
