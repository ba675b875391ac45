"""A cell's death is the cell's own; and what is measured apart is what is measured here."""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.context
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import toy
from eosin.benchmark.measure import CellJob
from eosin.data import splits
from eosin.execution import Here, Processes, worker
from eosin.models import MODELS
from eosin.types import Section
from unit.benchmark import faults
from unit.benchmark.asking import bench


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return toy.cohort(30)


def run(sections: list[Section], out: Path, **given: Any) -> list[dict[str, Any]]:
    given = {"models": ["ridge", "gene-mean"], "genes": "var:4", "draws": 2, "execution": Processes(1), **given}
    return bench({"toy": sections}, splits=splits("A1,A2:B1", sections), out=out, **given)["cells"]


def test_numbers_do_not_depend_on_the_process(sections: list[Section], tmp_path: Path) -> None:
    apart = run(sections, tmp_path / "apart", save=faults.touch)
    here = run(sections, tmp_path / "here", execution=Here())
    for one, other in zip(apart, here):
        assert one["metrics"] == other["metrics"] and one["pcc_genes"] == other["pcc_genes"]
        assert one["key"] == other["key"]
    pids = {int(path.read_text()) for path in (tmp_path / "apart" / "predictions").rglob("B1.h5ad")}
    assert len(pids) == 2 and os.getpid() not in pids


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (faults.killed, "out of memory"),
        (faults.crashed, "crashed (SIGABRT)"),
        (faults.left, "ended with code 3"),
        (faults.full, "out of memory; lower --draws"),
        (faults.broken, "ValueError: a fault of the model"),
    ],
)
def test_one_cell_dies_and_the_others_live(
    sections: list[Section], tmp_path: Path, fault: Callable[..., None], says: str
) -> None:
    cells = run(sections, tmp_path, save=fault)
    assert [cell["status"] for cell in cells] == ["failed", "done"]
    assert says in cells[0]["error"] and cells[0]["metrics"] == {}
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").glob("gene-mean*")}
    again = run(sections, tmp_path, save=faults.touch)
    assert [cell["status"] for cell in again] == ["done", "done"]
    assert all(path.stat().st_mtime_ns == at for path, at in kept.items())  # only the failed one ran again


def test_interrupting_ends_the_cell_and_keeps_what_was_done(sections: list[Section], tmp_path: Path) -> None:
    run(sections, tmp_path, models=["gene-mean"])

    def press_when_running() -> None:
        deadline = time.monotonic() + 50
        while time.monotonic() < deadline and not list(tmp_path.rglob("predictions/ridge*/B1.h5ad")):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    finger = threading.Thread(target=press_when_running)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        run(sections, tmp_path, save=faults.slow, models=["ridge"])
    finger.join()
    (file,) = tmp_path.rglob("predictions/ridge*/B1.h5ad")
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)  # nothing goes on in the background
    assert json.loads((tmp_path / "scores.json").read_text())["cells"][0]["status"] == "done"


def test_a_model_that_only_this_process_knows_is_run_in_it(sections: list[Section], tmp_path: Path) -> None:
    MODELS.add("mine", MODELS["gene-mean"])
    try:
        cells = run(sections, tmp_path, models=["mine"])
    finally:
        del MODELS._known["mine"]
    assert cells[0]["status"] == "done"


def test_a_function_of_a_test_is_used_here(sections: list[Section], tmp_path: Path) -> None:
    seen = []
    run(sections, tmp_path, models=["ridge"], save=lambda prediction, path: seen.append(prediction.section))
    assert seen == ["B1"]


def test_a_cell_that_trains_a_network_does_not_load_torchs_compiler(sections: list[Section], tmp_path: Path) -> None:
    """Its process starts without, and would load it for 3 s of a core, as each cell."""
    tables = {"egnn": {"model": {"n_layers": 1, "width": 8, "base": "ridge"}, "train": {"epochs": 1}}}
    (cell,) = run(sections, tmp_path, models=["egnn"], tables=tables, save=faults.compiler)
    assert cell["status"] == "done" and cell["n_parameters"] > 0
    (file,) = tmp_path.rglob("predictions/egnn*/B1.h5ad")
    assert file.read_text() == ""


def test_costs_are_noted(sections: list[Section], tmp_path: Path) -> None:
    for cell in run(sections, tmp_path):
        spent = cell["inference"]
        assert spent["seconds_per_1000"] > 0 and cell["seconds_train"] >= 0 and cell["n_parameters"] > 0
        assert spent["mib_per_1000"] is None or spent["mib_per_1000"] >= 0
        assert spent["device"] in ("cpu", "gpu") and spent["threads"] >= 1


@pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="processes are spawned here")
def test_what_scoring_loads_late_is_loaded_once_for_all_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each cell's process loads it, for 2 s."""
    asked: list[str] = []
    context = multiprocessing.context.ForkServerContext
    monkeypatch.setattr(context, "set_forkserver_preload", lambda _, names: asked.extend(names))
    worker._context(CellJob)
    assert {"eosin.benchmark.measure", "sklearn.metrics", "torch.distributed.tensor"} <= set(asked)
