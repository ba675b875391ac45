"""A small simulated cohort, encoded once, and two trained models: what the tests of the command line stand on."""

from __future__ import annotations

import logging
import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from eosin.cli import main
from eosin.progress import Silent, show_with
from eosin.simulation.cohort import simulate, write_cohort

ENCODER = "stain?px=96"
"""Small windows: the same code as the default ones at a fraction of the time."""
MPP = 2.0
NARROW = ("--model.base", "ridge", "--model.n-layers", "1", "--model.width", "16", "--model.edge-width", "16")
"""An STFlow that trains in a second; its default base, the kernel, takes longer than the network."""
SMALL = (*NARROW, "--train.epochs", "2")


@dataclass(frozen=True)
class Said:
    """What a command returned and wrote."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line that tells a user's error."""
        assert self.code == 1, self
        told = [line for line in self.err.splitlines() if line.startswith("eosin: ")]
        assert len(told) == 1, self.err
        assert self.err.rstrip("\n").endswith(told[0]), self.err
        assert "Traceback" not in self.err
        return told[0]


Run = Callable[..., Said]


@dataclass(frozen=True)
class Ground:
    """Folders that tests may read and must not change."""

    data: Path
    features: Path
    ridge: Path
    stflow: Path
    prediction: Path
    """STFlow on section A1, 3 draws."""

    @property
    def image(self) -> Path:
        return self.data / "images" / "A1.jpg"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands run in an empty folder, and leave neither progress bars nor log levels behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EOSIN_CACHE", str(tmp_path / "eosin-cache"))
    yield
    show_with(Silent())
    logging.getLogger("eosin").setLevel(logging.NOTSET)


@pytest.fixture
def eosin(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command of the command line within this process."""

    def run(*argv: object) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in argv])
        return Said(code, *capsys.readouterr())

    return run


def start_server_of_processes() -> None:
    """Start the process that cells are forked from, where this system has such, with all that they need."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing.forkserver import ensure_running

        from eosin.benchmark.measure import CellJob

        multiprocessing.get_context("forkserver").set_forkserver_preload(["eosin.benchmark.plan", *CellJob.ahead])
        ensure_running()


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Four sections of two patients, about 30 spots each; encoded; a ridge and an STFlow trained on three of them."""
    start_server_of_processes()  # else that of a test of `encode` would serve all, and each cell import for itself
    root = tmp_path_factory.mktemp("ground")
    made = Ground(root / "data", root / "features", root / "ridge", root / "stflow", root / "prediction" / "A1.h5ad")
    cohort = simulate(n_sections=4, n_patients=2, size_um=700, mpp=MPP, n_genes=20, seed=1)
    write_cohort(cohort, made.data)
    beside = ("--features", made.features, "--encoder", ENCODER, "--genes", "var:6")
    others = ("--sections", "A2", "--sections", "B1", "--sections", "B2")
    commands = [
        ("encode", made.data, "-o", made.features, "--encoder", ENCODER),
        ("train", made.data, "--model", "ridge", *beside, *others, "-o", made.ridge),
        ("train", made.data, "--model", "stflow", *beside, *others, *SMALL, "-o", made.stflow),
        (
            *("predict", made.stflow, made.data, "--section", "A1", "--draws", 3),
            *("--features", made.features, "-o", made.prediction),
        ),
    ]
    for command in commands:
        code = main([str(word) for word in command])
        assert code == 0, command
    return made


@pytest.fixture
def data(ground: Ground, tmp_path: Path) -> Path:
    """A copy of the cohort that a test may spoil."""
    return Path(shutil.copytree(ground.data, tmp_path / "data"))


def files_below(folder: Path) -> list[str]:
    """All files and folders, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
