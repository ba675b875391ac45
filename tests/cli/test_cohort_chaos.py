"""A cohort of slides, some of them broken, on several processes or Ray, disturbed in every way at once.

Workers and drivers are killed, the disk is full once, the file system is slow once. In the end the good slides are done
with the same bytes as one undisturbed process writes, the broken ones are a line each, and nothing else lies there.
"""

from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image as Picture

from cli.conftest import MPP, Ground

DISTURBED = """
import os, time

kind, real = os.environ.get("CHAOS"), os.replace
n_calls = 0


def replace(*paths, **named):
    global n_calls
    n_calls += 1
    if kind == "slow":
        time.sleep(0.2)
    if kind == "full" and n_calls == 2:
        raise OSError(28, "No space left on device")
    return real(*paths, **named)


os.replace = replace
"""
"""A `sitecustomize`, which every process of a run loads: a slow file system, or a disk that is full for a moment."""


@dataclass(frozen=True)
class Plan:
    """How large a cohort is and how it is disturbed; `at_length`: a full disk, a slow one, two runs at once as well."""

    n_slides: int
    on: str
    n_worker_kills: int
    n_driver_kills: int
    at_length: bool = True


def broken_slides(folder: Path, good: Path) -> list[tuple[Callable[[Path], object], dict[str, str], str]]:
    """Ten ways to be no slide: what writes the file, what the table says of it, a word of the reason."""
    pixels = np.full((300, 300, 3), 255, np.uint8)

    def picture(array: np.ndarray, **how: object) -> Callable[[Path], object]:
        return lambda path: Picture.fromarray(array).save(path, **how)

    folder.mkdir(exist_ok=True)
    (folder / "far.csv").write_text("id,x_um,y_um\na,90000,90000\n")
    (folder / "words.csv").write_text("id,x_um,y_um\na,here,there\n")
    return [
        (lambda path: path.write_bytes(good.read_bytes()[:2000]), {}, "decoded"),
        (lambda path: path.write_bytes(b""), {}, "is empty"),
        (lambda path: path.write_text("a letter"), {}, "not an image"),
        (lambda path: path.write_bytes(b"II*\0 cut"), {}, "damaged"),
        (lambda path: None, {}, "no such file"),
        (lambda path: shutil.copy(good, path), {"mpp": ""}, "--mpp"),
        (lambda path: path.mkdir(), {}, "no image"),
        (lambda path: shutil.copy(good, path), {"points": "far.csv"}, "outside the image"),
        (lambda path: shutil.copy(good, path), {"points": "words.csv"}, "words.csv"),
        (picture(pixels, format="PNG"), {}, "tissue"),
    ]


def cohort(folder: Path, ground: Ground, n_slides: int) -> tuple[Path, dict[str, str]]:
    """A table of slides, and what the reason of each broken one must hold."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    whole = np.asarray(Picture.open(ground.image))
    rows, reasons = [], {}
    kinds = broken_slides(folder, ground.image)
    n_broken = max(n_slides // 20, 2) if n_slides < 200 else len(kinds)
    broken = {int(i): kinds[j] for j, i in enumerate(rng.choice(n_slides, n_broken, replace=False))}
    for i in range(n_slides):
        name = f"slide{i:03d}"
        row = {"path": f"{name}.jpg", "id": name, "mpp": str(MPP), "points": ""}
        if i in broken:
            write, told, reason = broken[i]
            row |= {"path": f"broken{i:03d}.jpg"} | told
            write(folder / row["path"])
            reasons[name] = reason
        else:
            turned = np.roll(np.rot90(whole, i % 4), 3 * i, axis=1)
            Picture.fromarray(np.ascontiguousarray(turned)).save(folder / row["path"], quality=90)
        rows.append(row)
    with (folder / "cohort.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    return folder / "cohort.csv", reasons


class Driver:
    """`eosin predict` of the cohort in a process of its own."""

    def __init__(self, ground: Ground, table: Path, out: Path, on: str, tools: Path, chaos: str = ""):
        words = ("predict", ground.ridge, table, "--pitch-um", 250, "--draws", 2, "--on", on, "-o", out)
        paths = [str(tools), *sys.path]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "eosin", *map(str, words)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "CHAOS": chaos},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.out, self.on_ray = out, on.startswith("ray")

    def n_done(self) -> int:
        return sum(1 for _ in self.out.glob("*.h5ad"))

    def wait_for(self, n_more: int, before: int, limit_s: float = 300) -> None:
        """Until so many more slides are done, or the run has ended."""
        until = time.monotonic() + limit_s
        while self.process.poll() is None and self.n_done() < before + n_more:
            assert time.monotonic() < until, "no slide was done"
            time.sleep(0.02)

    def kill(self) -> None:
        """The driver and all that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def kill_a_worker(self, rng: random.Random) -> bool:
        """One process that does a slide, where one is found; of Ray not what serves its workers."""
        found = []
        for each in psutil.Process(self.process.pid).children(recursive=True):
            try:
                told = " ".join(each.cmdline())
                if "ray::_run" in told if self.on_ray else not each.children() and "tracker" not in told:
                    found.append(each)
            except psutil.NoSuchProcess:
                continue
        if found:
            rng.choice(found).kill()
        return bool(found)

    def end(self) -> tuple[int, str]:
        err = self.process.communicate(timeout=1800)[1]
        return self.process.returncode, err


def disturb(plan: Plan, start: Callable[..., Driver]) -> tuple[int, str]:
    """All that can go wrong, one after another; then one run to the end, whose workers are killed."""
    rng = random.Random(0)
    step = max(plan.n_slides // 12, 1)
    for _ in range(plan.n_driver_kills):
        run = start()
        run.wait_for(step, run.n_done())
        run.kill()
    for chaos in ("full", "slow") if plan.at_length else ():
        run = start(chaos=chaos)
        run.wait_for(step, run.n_done())
        run.kill()
    last, n_killed = start(), 0
    while last.process.poll() is None and n_killed < plan.n_worker_kills:
        before = last.n_done()
        last.wait_for(1, before)
        n_killed += last.process.poll() is None and last.kill_a_worker(rng)
    assert n_killed == plan.n_worker_kills, "the run ended before all workers were killed"
    return last.end()


def tree(out: Path) -> dict[str, bytes]:
    """Every file with a name for people."""
    return {p.name: p.read_bytes() for p in sorted(out.iterdir()) if p.is_file() and p.suffix == ".h5ad"}


PLANS = [
    pytest.param(Plan(4, "processes:2", 0, 1, at_length=False), id="short"),
    pytest.param(Plan(200, "processes:2", 6, 2), id="long", marks=pytest.mark.long),
    pytest.param(
        Plan(200, "ray", 6, 2),
        id="ray",
        marks=[pytest.mark.long, pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")],
    ),
]


@pytest.mark.parametrize("plan", PLANS)
def test_a_disturbed_cohort_ends_as_an_undisturbed_one(plan: Plan, ground: Ground, tmp_path: Path) -> None:
    table, reasons = cohort(tmp_path / "slides", ground, plan.n_slides)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sitecustomize.py").write_text(DISTURBED)
    quiet = Driver(ground, table, tmp_path / "quiet", "here", tools).end()
    assert quiet[0] == 3, quiet[1]

    def start(chaos: str = "") -> Driver:
        return Driver(ground, table, tmp_path / "out", plan.on, tools, chaos)

    code, err = disturb(plan, start)
    assert code == 3, err
    check(tmp_path / "out", tmp_path / "quiet", reasons, plan.n_slides)
    if not plan.at_length:
        return
    both = [start(), start()]  # two at once have nothing left to do but the broken ones
    assert [run.end()[0] for run in both] == [3, 3]
    check(tmp_path / "out", tmp_path / "quiet", reasons, plan.n_slides)


def check(out: Path, quiet: Path, reasons: dict[str, str], n_slides: int) -> None:
    """Good slides have the bytes of the undisturbed run, each broken one has a clear line, nothing else lies there."""
    with (out / "summary.csv").open(encoding="utf-8", newline="") as lines:
        found = list(csv.DictReader(lines))
    assert [row["id"] for row in found] == [f"slide{i:03d}" for i in range(n_slides)]
    assert {row["id"] for row in found if row["status"] == "failed"} == set(reasons)
    for row in found:
        if row["id"] in reasons:
            assert reasons[row["id"]] in row["reason"] and "\n" not in row["reason"], row
    ours, theirs = tree(out), tree(quiet)
    assert list(ours) == [f"slide{i:03d}.h5ad" for i in range(n_slides) if f"slide{i:03d}" not in reasons]
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert sorted(p.name for p in out.iterdir() if p.name not in ours) == [".eosin", "summary.csv"]
