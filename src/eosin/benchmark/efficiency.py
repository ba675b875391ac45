"""Time and memory of one prediction against the number of spots, with features given: the study "efficiency".

STFlow, figure 5, and FLAG, table 10. Needs no data: sections are simulated. A model's state is that after one epoch on
a section of 256 spots; what a prediction costs does not depend on how long was trained. Each measurement is a process
of its own, and one that takes too long or too much is ended and recorded as that.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

from eosin.benchmark.measure import failure
from eosin.benchmark.studies import StudyCell
from eosin.engine import Trained, device_for, predict, resolve, train
from eosin.errors import EosinError
from eosin.execution import Done, Job, Limits, Processes, begin_phase
from eosin.execution.memory import Peak, return_freed_memory
from eosin.progress import task
from eosin.storage.files import fingerprint, read_json, write_json
from eosin.types import Features, GenePanel, Section, Spots

SCHEMA = 1
FILE = "efficiency.json"
"""In the folder of results."""
_TRAINING_SPOTS = 256


@dataclass(frozen=True)
class Load:
    """What is asked of every model.

    Attributes
    ----------
    sizes
        Spots of the sections that are predicted.
    n_features, n_genes
        Numbers per spot that go in and come out.
    draws
        Of each prediction.
    limit_s, limit_gib
        A process that computes for longer over training or over predicting, or that holds more, is ended. Seconds of
        the processor, all threads together, where the system tells; else of the clock.
    threads
        Of torch.
    """

    sizes: tuple[int, ...] = (2_000, 10_000, 50_000)
    n_features: int = 1024
    n_genes: int = 50
    draws: int = 1
    limit_s: float = 300.0
    limit_gib: float = 8.0
    threads: int = 1


def measure_efficiency(
    cells: Sequence[StudyCell], out: str | Path | None = None, load: Load = Load()
) -> dict[str, Any]:
    """Measure every row at every size, each in a fresh process; sizes beyond one that failed are left out.

    Returns
    -------
    dict
        `cells`: label, model, spots, status (`done`, `failed`, `skipped`), and where done `seconds` and `cpu_seconds`
        (of all threads together; other work on the machine disturbs them less) of preparing and drawing, and `mib`,
        the rise of memory above its start (None where the system does not say). Also written to `OUT/efficiency.json`
        after each; what is done there already is not measured again.

    Raises
    ------
    EosinError
        An unknown model, preset or setting; sizes or limits that are none.
    """
    if not load.sizes or min(load.sizes) < 1 or min(load.limit_s, load.limit_gib) <= 0:
        raise EosinError("sizes and limits must be positive", fix="as --sizes 2000,10000 --limit 300 --max-gib 8")
    keys = {cell.label: _key(cell, load) for cell in cells}  # refuses what cannot run before anything runs
    path = None if out is None else Path(out) / FILE
    before = read_json(path)["cells"] if path and path.is_file() else []
    known = {record["key"]: record for record in before if record["status"] == "done"}
    results: dict[str, Any] = {"schema": SCHEMA, "study": "efficiency", "load": asdict(load), "cells": []}
    with task("efficiency", len(cells) * len(load.sizes), "measurements") as tick:
        for cell in cells:
            broken = False
            for n in sorted(load.sizes):
                key = fingerprint(keys[cell.label], n)
                record = known.pop(key, None) or (_skipped() if broken else _measured(cell, n, load))
                broken = record["status"] != "done"
                results["cells"].append({**record, "label": cell.label, "model": cell.model, "n_spots": n, "key": key})
                if path is not None:  # with what is known of rows that are still to come, or were not asked for
                    write_json(path, {**results, "cells": [*results["cells"], *known.values()]})
                tick()
    return results


def growth(cells: Iterable[Mapping[str, Any]], what: str) -> float | None:
    """The exponent b of cost ~ spots^b between the two largest finished sizes of one row; None with fewer than two."""
    points = sorted((c["n_spots"], c[what]) for c in cells if c["status"] == "done" and c.get(what))
    steps = [np.log(y2 / y1) / np.log(n2 / n1) for (n1, y1), (n2, y2) in pairwise(points)]
    return float(steps[-1]) if steps else None


def efficiency_rows(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """A line per model: CPU seconds and MiB at each size, and the exponents of growth (1 is linear)."""
    rows = []
    for label in dict.fromkeys(c["label"] for c in results["cells"]):
        own = [c for c in results["cells"] if c["label"] == label]
        row = {"model": label}
        for cell in own:
            row[f"{cell['n_spots']:,} spots: CPU s"] = _number(cell, "cpu_seconds")
        row["growth of time"] = _exponent(growth(own, "cpu_seconds"))
        for cell in own:
            row[f"{cell['n_spots']:,} spots: MiB"] = _number(cell, "mib")
        row["growth of memory"] = _exponent(growth(own, "mib"))
        rows.append(row)
    return rows


def scene(n_spots: int, load: Load, seed: int = 0) -> Section:
    """A jittered square lattice with random features; counts that depend on some of them."""
    rng = np.random.default_rng([seed, n_spots])
    side = int(np.ceil(np.sqrt(n_spots)))
    lattice = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[:n_spots] * 100.0
    features = rng.standard_normal((n_spots, load.n_features), dtype=np.float32)
    informative = features[:, : min(8, load.n_features)]
    weight = np.random.default_rng(seed).normal(0, 0.3, (informative.shape[1], load.n_genes))
    return Section(
        f"S{n_spots}",
        "simulated",
        Spots(lattice + rng.normal(0, 15, (n_spots, 2)), 100.0, tuple(f"{i}" for i in range(n_spots))),
        features=Features(features, "given", "given"),
        counts=sparse.csr_matrix(rng.poisson(np.exp(informative @ weight + 1))),
        genes=tuple(f"G{j}" for j in range(load.n_genes)),
    )


def _key(cell: StudyCell, load: Load) -> str:
    name, tables = resolve(cell.model, cell.settings)
    return fingerprint(name, tables, load.n_features, load.n_genes, load.draws, load.threads)


def _skipped() -> dict[str, Any]:
    return {"status": "skipped", "error": "a smaller size did not finish"}


@dataclass(frozen=True)
class Measurement(Job[dict[str, Any]]):
    """One model at one size: what training leaves is given back, then a prediction is measured."""

    cell: StudyCell
    n_spots: int
    load: Load

    @property
    def name(self) -> str:
        """The row's label and the size."""
        return f"{self.cell.label} at {self.n_spots}"

    def run(self) -> dict[str, Any]:
        """Seconds, seconds of the processor and MiB of preparing and drawing."""
        torch.set_num_threads(self.load.threads)
        small = scene(_TRAINING_SPOTS, self.load)
        trained = _trained_briefly(self.cell, small)
        section = scene(self.n_spots, self.load)
        predict(trained, small, draws=1)  # what only the first call costs is not the model's
        return_freed_memory()  # else what training left behind would be used again and not count
        begin_phase("predicting")
        on_gpu = device_for(trained.model).type == "cuda"
        peak, wall, cpu = Peak(), time.perf_counter(), time.process_time()
        predict(trained, section, draws=self.load.draws)
        return {
            "seconds": round(time.perf_counter() - wall, 4),
            "cpu_seconds": round(time.process_time() - cpu, 4),
            "mib": None if (mib := peak.mib(gpu=on_gpu)) is None else round(mib, 1),
            "n_parameters": trained.model.n_parameters,
            "device": "gpu" if on_gpu else "cpu",
        }


def _trained_briefly(cell: StudyCell, section: Section) -> Trained:
    quick = {"epochs": 1, "regions_per_section": 1, "regions_per_step": 1, "early_stopping": False}
    tables = {"model": dict(cell.settings.get("model", {})), "train": {**cell.settings.get("train", {}), **quick}}
    return train([section], model=cell.model, settings=tables, panel=GenePanel(section.genes or ()))


def _measured(cell: StudyCell, n_spots: int, load: Load) -> dict[str, Any]:
    """The record of one measurement, made in a process of its own while nothing else runs."""
    apart = Processes(1, limits=Limits(load.limit_s, load.limit_gib, phase="training"))
    with closing(apart.map([Measurement(cell, n_spots, load)])) as outcomes:
        _, outcome = next(outcomes)
    return {"status": "done", **outcome.result} if isinstance(outcome, Done) else failure(outcome)


def _number(cell: Mapping[str, Any], what: str) -> str:
    if cell["status"] == "done":
        return "-" if cell[what] is None else f"{cell[what]:.3g}" if cell[what] < 100 else f"{cell[what]:.0f}"
    return cell["error"] if cell["status"] == "failed" else "-"


def _exponent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
