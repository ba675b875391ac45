"""What Stem's short samplers lose against the thousand steps of the paper, on simulated tissue and on her2st.

    python benchmarks/stem_samplers.py                                      # simulated tissue
    python benchmarks/stem_samplers.py --her2st DATA --features FEATURES    # and her2st, C2 to C5 -> C6

`stem:small` is trained once on each; then only the sampler changes (`eosin.engine.checkpoint.with_settings`). Noise is
not mirrored, since ancestral steps forget where they began. Samplers draw with several seeds: the number behind ± is
the sd over these, below which a difference between two rows means nothing. CPU seconds are those of one
prediction; `factor` is how many times less than the ancestral sampler's. Energy distance is that between all genes of
a single draw and of the truth, over spots.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eosin import metrics
from eosin.data import read
from eosin.encoders.base import ENCODERS
from eosin.engine import Trained, predict, train
from eosin.engine.checkpoint import with_settings
from eosin.features import attach, encode
from eosin.genes import target
from eosin.scores.results import pick
from eosin.scores.scoring import score
from eosin.simulation import cohort as synthetic
from eosin.types import Section

SAMPLERS: Mapping[str, Mapping[str, Any]] = {
    "ancestral, all levels": {"sampler": "ancestral"},
    "ddim 50": {"sampler": "ddim", "n_steps": 50},
    "ddim 20": {"sampler": "ddim", "n_steps": 20},
    "dpm 20": {"sampler": "dpm", "n_steps": 20},
    "dpm 10": {"sampler": "dpm", "n_steps": 10},
    "dpm 10, mirrored (as set)": {"sampler": "dpm", "n_steps": 10, "mirrored": True},
}
HEAD = {
    "pcc.mean": "PCC",
    "crps": "CRPS",
    "energy": "energy distance",
    "gsc": "GSC of the mean",
    "gsc_draw": "GSC of a draw",
    "coverage_90": "90 % cover",
}
TISSUE = {"n_sections": 4, "n_patients": 4, "size_um": 2000, "mpp": 1.0, "hidden": 1.0, "morphology": 0.7, "seed": 5}


def simulated() -> list[Section]:
    cohort = synthetic.simulate(**TISSUE)
    with tempfile.TemporaryDirectory() as folder:
        by_name = {section.name: section for section in read(synthetic.write_cohort(cohort, folder))}
        return [encode(by_name[section.name], ENCODERS["stain"]()) for section in cohort.sections]


def her2st(data: Path, features: Path | None) -> list[Section]:
    sections = read(data, sections=["C2", "C3", "C4", "C5", "C6"])
    encoder = ENCODERS["stain"]()
    made = [None if features is None else attach(section, features, "stain") for section in sections]
    return [have or encode(section, encoder) for have, section in zip(made, sections)]


def measure(trained: Trained, section: Section, draws: int, seed: int) -> dict[str, float]:
    """The numbers of one prediction, and its CPU seconds."""
    started = time.process_time()
    prediction = predict(trained, section, draws=draws, seed=seed, device="cpu")
    spent = time.process_time() - started
    truth = target(section, prediction.panel)
    found = score(prediction, section)
    own: dict[str, float] = {key: float(pick(found, key) or np.nan) for key in HEAD if key != "energy"}
    own["energy"] = float(np.mean([metrics.energy_distance(truth, draw) for draw in prediction.draws]))
    return {**own, "seconds": spent}


def compare(title: str, sections: list[Section], draws: int, seeds: int, slow_seeds: int) -> dict[str, dict[str, Any]]:
    """Train on all but the last section; then every sampler on the last."""
    trained = train(sections[:-1], model="stem:small", panel="var:50")
    held, rows = sections[-1], {}
    for name, settings in SAMPLERS.items():
        model = with_settings(trained, {"mirrored": False, **settings})
        n = slow_seeds if settings["sampler"] == "ancestral" else seeds
        found = [measure(model, held, draws, seed) for seed in range(n)]
        rows[name] = {key: [one[key] for one in found] for key in found[0]}
        print(f"{title}: {name}: {json.dumps(rows[name])}", file=sys.stderr, flush=True)
    return rows


def cell(values: list[float]) -> str:
    mean = f"{np.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.3f}"


def table(rows: Mapping[str, Mapping[str, list[float]]]) -> str:
    slowest = np.mean(rows["ancestral, all levels"]["seconds"])
    lines = [["sampler", *HEAD.values(), "CPU s", "factor"], ["---"] * (len(HEAD) + 3)]
    for name, row in rows.items():
        seconds = np.mean(row["seconds"])
        lines.append([name, *(cell(row[key]) for key in HEAD), f"{seconds:.1f}", f"{slowest / seconds:.0f}"])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--her2st", type=Path, help="data folder; left out if it is not there")
    parser.add_argument("--features", type=Path, help="its feature files; made anew if not given")
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3, help="of the short samplers; 2 or more")
    parser.add_argument("--slow-seeds", type=int, default=1, help="of the ancestral one, minutes each")
    parser.add_argument("--only", choices=("simulated", "her2st"))
    given = parser.parse_args()
    cohorts = {}
    if given.only != "her2st":
        cohorts["simulated tissue"] = simulated()
    if given.only != "simulated" and given.her2st is not None and given.her2st.is_dir():
        cohorts["her2st, C2 to C5 -> C6"] = her2st(given.her2st, given.features)
    for title, sections in cohorts.items():
        expected = metrics.expected_coverage(given.draws, 0.9)
        size = f"{len(sections[-1])} spots, 50 genes, {given.draws} draws"
        said = f"{title}: {size} (90 % intervals of calibrated ones hold {expected:.3f})"
        rows = compare(title, sections, given.draws, given.seeds, given.slow_seeds)
        print(said, table(rows), sep="\n\n", end="\n\n", flush=True)


if __name__ == "__main__":
    main()
