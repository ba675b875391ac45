"""Coverage of error bars on new patients of simulated cohorts.

    python benchmarks/trust_simulated.py [--patients 3,5,8] [--sd 0.15,0.5] [--cohorts 20] [--models kernel,ridge]
                                         [--sections 2] [--encoder stain]

A cohort has K training patients with two sections each (or --sections), of whom one more section is kept apart, and two
new patients with one. `--encoder "stain?px=96"` takes a fifth of the time; the pictures have 2 µm/px. For every K and
size of patient differences: share of values inside the 90 % interval, mean over cohorts, smallest and largest, and PCC;
first on the new patients, then on the sections kept apart.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eosin.api.encode import encode
from eosin.engine import Trained, predict, train
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
    parser.add_argument("--sections", type=int, default=2, help="of each training patient")
    parser.add_argument("--encoder", default="stain")
    given = parser.parse_args(arguments)
    for n_patients in map(int, given.patients.split(",")):
        for sd in map(float, given.sd.split(",")):
            found: dict[tuple[str, str], list[tuple[float, float]]] = {}
            for seed in range(given.cohorts):
                new, training, known = parts(n_patients, sd, seed, given.sections, given.encoder)
                for model in given.models.split(","):
                    trained = train(training, model=model, panel=given.genes)
                    for whose, judged in (("new patients", new), ("known patients", known)):
                        found.setdefault((model, whose), []).append(measured(trained, judged))
            for (model, whose), rows in found.items():
                inside, pcc = np.array(rows).T
                print(
                    f"{n_patients} patients, sd {sd}: {model}, {whose}: {inside.mean():.3f} inside "
                    f"({inside.min():.3f} to {inside.max():.3f}), PCC {pcc.mean():.3f}, {len(rows)} cohorts",
                    flush=True,
                )


def parts(n_patients: int, sd: float, seed: int, n_sections: int, encoder: str = "stain") -> tuple[list[Section], ...]:
    """Sections with features: of two new patients, of training, and one more of each training patient."""
    n = n_patients + 2
    size = {"size_um": 1300.0, "mpp": 2.0}
    own = n_sections + 1
    cohort = simulate(n_sections=own * n, n_patients=n, patient_sd=sd, seed=1000 * n_patients + seed, **size)
    with tempfile.TemporaryDirectory() as folder:
        data = write_cohort(cohort, Path(folder) / "data")
        sections = encode(data, out=Path(folder) / "features", encoder=encoder)
    of_patient: dict[str, list[Section]] = {}
    for section in sections:
        of_patient.setdefault(section.patient, []).append(section)
    names = sorted(of_patient)
    new = [of_patient[name][0] for name in names[n_patients:]]
    training = [section for name in names[:n_patients] for section in of_patient[name][:n_sections]]
    return new, training, [of_patient[name][n_sections] for name in names[:n_patients]]


def measured(trained: Trained, judged: list[Section]) -> tuple[float, float]:
    """Share inside the 90 % interval, and PCC, mean over the judged sections."""
    rows = []
    for section in judged:
        made, truth = predict(trained, section), target(section, trained.panel)
        assert made.error_bars is not None
        pcc = mean_defined(pcc_counted(truth, made.mean))
        rows.append((coverage_of_bars(truth, made.mean, made.error_bars), pcc))
    inside, correlation = np.mean(rows, axis=0)
    return float(inside), float(correlation)


if __name__ == "__main__":
    main(sys.argv[1:])
