"""Coverage of error bars on new patients of simulated cohorts.

    python benchmarks/trust_simulated.py [--patients 3,5,8] [--sd 0.15,0.5] [--cohorts 20] [--models kernel,ridge]

A cohort has K training patients with two sections each, and two new patients with one. Encoder `stain`. For every K and
size of patient differences: share of values inside the 90 % interval on the new patients, mean over cohorts and the
worst cohort; PCC beside it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eosin.api.encode import encode
from eosin.engine import predict, train
from eosin.genes import target
from eosin.metrics import coverage_of_bars, mean_defined, pcc_counted
from eosin.simulation.cohort import simulate, write_cohort
from eosin.types import Section


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", default="3,5,8")
    parser.add_argument("--sd", default="0.15,0.5")
    parser.add_argument("--cohorts", type=int, default=20)
    parser.add_argument("--models", default="kernel,ridge")
    parser.add_argument("--genes", default="var:30")
    given = parser.parse_args(arguments)
    for n_patients in map(int, given.patients.split(",")):
        for sd in map(float, given.sd.split(",")):
            found: dict[str, list[tuple[float, float]]] = {model: [] for model in given.models.split(",")}
            for seed in range(given.cohorts):
                sections = encoded(n_patients, sd, seed)
                names = sorted({s.patient for s in sections})
                training = [s for s in sections if s.patient in names[:n_patients]]
                judged = [s for s in sections if s.patient not in names[:n_patients] and s.name.endswith("1")]
                for model, rows in found.items():
                    rows.append(measured(training, judged, model, given.genes))
            for model, rows in found.items():
                inside, pcc = np.array(rows).T
                print(
                    f"{n_patients} patients, sd {sd}: {model} {inside.mean():.3f} inside (worst {inside.min():.3f}), "
                    f"PCC {pcc.mean():.3f}, {len(rows)} cohorts",
                    flush=True,
                )


def encoded(n_patients: int, sd: float, seed: int) -> list[Section]:
    """The sections of a cohort of K + 2 patients, with features."""
    n = n_patients + 2
    size = {"size_um": 1300.0, "mpp": 2.0}
    cohort = simulate(n_sections=2 * n, n_patients=n, patient_sd=sd, seed=1000 * n_patients + seed, **size)
    with tempfile.TemporaryDirectory() as folder:
        return encode(write_cohort(cohort, Path(folder) / "data"), out=Path(folder) / "features", encoder="stain")


def measured(training: list[Section], judged: list[Section], model: str, genes: str) -> tuple[float, float]:
    """Share inside the 90 % interval, and PCC, mean over the judged sections."""
    trained, rows = train(training, model=model, panel=genes), []
    for section in judged:
        made, truth = predict(trained, section), target(section, trained.panel)
        assert made.error_bars is not None
        pcc = mean_defined(pcc_counted(truth, made.mean))
        rows.append((coverage_of_bars(truth, made.mean, made.error_bars), pcc))
    inside, correlation = np.mean(rows, axis=0)
    return float(inside), float(correlation)


if __name__ == "__main__":
    main(sys.argv[1:])
