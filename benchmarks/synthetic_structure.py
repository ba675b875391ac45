"""Structure on simulated tissue: where do models that draw beat models that regress, and where not?

    python benchmarks/synthetic_structure.py                    # a quarter of an hour on one free core
    python benchmarks/synthetic_structure.py --models ridge,stflow --draws 8

Sections are simulated so that one picture has many answers: what no picture tells (a smooth field, and clones that
look alike) moves expression more than what it shows, together for many genes and over several spots. The features of
a spot are what its picture shows (glands, nuclei, fibres, ...), with a little noise. Training sees five patients, the
test is on the sections of a sixth. Models have their defaults, or preset `small` where named so; rows `by CRPS` choose
the epoch by the CRPS of draws (`train.select`) instead of by the correlation of their mean.

Row `perfect` is no model: other tissue behind the same pictures, drawn by the simulator itself. It says what each
number is when the distribution is right. Of a model without draws, its one answer stands where a draw would.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import numpy as np

from eosin import metrics
from eosin.engine import predict, train
from eosin.genes import choose_panel, target
from eosin.scores.results import pick
from eosin.scores.scoring import score
from eosin.simulation import cohort as synthetic
from eosin.simulation.synthetic_genes import Causes, design_genes, express
from eosin.simulation.tissue_field import GRID_UM, sample, smooth_field
from eosin.types import Features, GenePanel, Prediction, Section

SETTINGS = synthetic.TissueSettings.of(
    {
        "n_sections": 18,
        "n_patients": 6,
        "mpp": 4.0,  # images are drawn and not looked at
        "mean_count": 12.0,
        "library_sd": 0.15,
        "dispersion": 20.0,
        "zero_inflation": 0.02,
        "morphology": 0.7,
        "neighbour": 0.6,
        "hidden": 1.0,
        "clone": 1.3,
        "patient_sd": 0.1,
        "seed": 11,
    }
)
REGRESSORS = ("ridge", "histogene:small", "triplex:small", "stnet", "forest")
GENERATORS = ("stflow", "egnn", "flag:small", "stem:small")
LONGER = {"train": {"select": "crps", "epochs": 40, "patience": 10, "lr": 1e-3}}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {m: (m, {}) for m in (*REGRESSORS, *GENERATORS)} | {
    "stflow, by CRPS": ("stflow", LONGER),
    "egnn, by CRPS": ("egnn", LONGER),
    "flag:small, by CRPS": ("flag:small", {"train": {"select": "crps"}}),
}
HEAD = {
    "pcc.mean": "PCC",
    "mse": "MSE",
    "rvd": "RVD",
    "gsc": "GSC",
    "ssc": "SSC",
    "rvd_draw": "RVD of a draw",
    "gsc_draw": "GSC of a draw",
    "ssc_draw": "SSC of a draw",
    "moran_gap": "Moran gap of a draw",
    "crps": "CRPS",
    "coverage_90": "90 % cover",
    "energy": "energy distance",
    "cpu_seconds": "CPU s",
}
BETTER: dict[str, int] = dict.fromkeys(("mse", "rvd", "rvd_draw", "moran_gap", "crps", "energy"), -1)


def perfect(cohort: synthetic.Cohort, index: int, panel: GenePanel, draws: int) -> Prediction:
    """Draws from the true distribution given the picture: field, clones, patient's levels and counts drawn anew."""
    s, section, truth = cohort.settings, cohort.sections[index], cohort.truth[index]
    shown = np.concatenate([t.seen for t in cohort.truth])
    standard = (truth.seen - shown.mean(0)) / np.maximum(shown.std(0), 1e-6)
    genes, xy, side = design_genes(s), section.spots.xy_um, round(s.size_um / GRID_UM)
    shape = side, side
    drawn = []
    for k in range(draws):
        rng = np.random.default_rng([s.seed, 99, index, k])
        state = np.tanh(3 * sample(smooth_field(rng, shape, 320 / GRID_UM), xy)) * np.clip(3 * truth.seen[:, 0], 0, 1)
        field = sample(smooth_field(rng, shape, 700 / GRID_UM), xy)
        causes = Causes(section.spots, truth.seen, state, field)
        level = rng.normal(0, s.patient_sd, s.n_genes)
        other = express(rng, causes, standard, genes, level, s)
        drawn.append(
            target(synthetic._section(rng, index, synthetic._Drawn(0, np.zeros(0), causes), other, genes, s), panel)
        )
    return Prediction(section.name, section.spots, panel, np.stack(drawn), "perfect", 0)


def seen(cohort: synthetic.Cohort, noise: float = 0.1) -> list[Section]:
    """The sections with what their pictures show as features, each standardised over the cohort."""
    shown = np.concatenate([truth.seen for truth in cohort.truth])
    rng, sections = np.random.default_rng(cohort.settings.seed), []
    for section, truth in zip(cohort.sections, cohort.truth):
        values = (truth.seen - shown.mean(0)) / np.maximum(shown.std(0), 1e-6) + rng.normal(0, noise, truth.seen.shape)
        sections.append(section.with_features(Features(values.astype(np.float32), "seen", "seen")))
    return sections


def judge(predictions: list[Prediction], truths: list[Section]) -> dict[str, Any]:
    """The scores, and two more of single draws: energy distance, and how far Moran's I of each gene is off."""
    found = score(predictions, truths)
    row: dict[str, Any] = {key: pick(found, key) for key in HEAD if key in found or key == "pcc.mean"}
    energy, gap = [], []
    for prediction, section in zip(predictions, truths):
        truth, weights = target(section, prediction.panel), metrics.spatial_weights(section.spots.xy_um)
        true_i = np.nan_to_num(metrics.morans_i(truth, weights))
        for draw in prediction.draws:
            energy.append(metrics.energy_distance(truth, draw))
            gap.append(np.abs(np.nan_to_num(metrics.morans_i(draw, weights)) - true_i).mean())
    row |= {"energy": float(np.mean(energy)), "moran_gap": float(np.mean(gap))}
    if predictions[0].n_draws == 1:
        row |= {f"{key}_draw": row[key] for key in ("rvd", "gsc", "ssc")}
    return row


def cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"


def table(rows: dict[str, dict[str, Any]]) -> str:
    lines = [["model", *HEAD.values()], ["---"] * (len(HEAD) + 1)]
    lines += [[name, *(cell(row.get(key)) for key in HEAD)] for name, row in rows.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def verdict(rows: dict[str, dict[str, Any]]) -> list[str]:
    """Per number, the best regressor against the best model that draws."""
    said = []
    for key, title in HEAD.items():
        if key in ("coverage_90", "cpu_seconds"):
            continue
        best = {}
        for side, names in (("regressor", REGRESSORS), ("generator", [n for n in rows if n not in REGRESSORS])):
            own = {n: rows[n][key] for n in names if n in rows and n != "perfect" and rows[n].get(key) is not None}
            if own:
                best[side] = max(own.items(), key=lambda item: BETTER.get(key, 1) * item[1])
        if len(best) == 2:
            (one, a), (other, b) = best["regressor"], best["generator"]
            won = BETTER.get(key, 1) * (b - a)
            side = "level" if abs(won) < 0.005 else "drawing wins" if won > 0 else "regression wins"
            said.append(f"{title}: {one} {a:.3f}, {other} {b:.3f}: {side}")
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", help="models by commas, with their defaults; all rows by default")
    parser.add_argument("--draws", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.0f} s] {text}", file=sys.stderr, flush=True)

    cohort = synthetic.simulate(SETTINGS)
    sections = seen(cohort)
    judged = [i for i, section in enumerate(sections) if section.patient == sections[-1].patient]
    training, truths = [s for s in sections if s.patient != sections[-1].patient], [sections[i] for i in judged]
    panel = choose_panel("var:50", training)
    say(f"{sum(map(len, training))} spots of {len(training)} sections to train on, {sum(map(len, truths))} to test")
    rows = {"perfect": judge([perfect(cohort, i, panel, given.draws) for i in judged], truths)}
    asked = {m: (m, {}) for m in given.models.split(",")} if given.models else ROWS
    for name, (model, settings) in asked.items():
        cpu = time.process_time()
        trained = train(training, model=model, settings=settings, panel=panel, seed=given.seed)
        predictions = [predict(trained, section, draws=given.draws, seed=given.seed) for section in truths]
        rows[name] = {"cpu_seconds": time.process_time() - cpu, **judge(predictions, truths)}
        chosen = trained.metrics.get("epochs")
        said = f"{name}" if chosen is None else f"{name}, {chosen} epochs chosen"
        say(f"{said}: " + ", ".join(f"{HEAD[key]} {cell(value)}" for key, value in rows[name].items()))
    print(table(rows), *verdict(rows), json.dumps(rows), sep="\n")


if __name__ == "__main__":
    main()
