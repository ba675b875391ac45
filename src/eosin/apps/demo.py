"""The demo, which `make demo` runs: simulated tissue, a trained model, a held-out section, a report."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from eosin.api.bench import bench
from eosin.api.encode import encode
from eosin.api.parts.thumbnails import save_prediction, thumbnails
from eosin.data import read_prediction
from eosin.plurals import counted
from eosin.reporting import write_report
from eosin.scores.results import pick
from eosin.simulation.cohort import simulate, write_cohort
from eosin.storage.files import write_json
from eosin.types import Prediction
from eosin.types.gene_trust import MAP

log = logging.getLogger("eosin")

COHORT = {"n_sections": 11, "n_patients": 6, "size_um": 1400.0}
"""Two sections each of five patients to train on, and one of a sixth."""
MODELS = ("gene-mean", "ridge", "stflow")
GENES = "var:50"
ENCODER = "stain"
"""One member of the default encoder: with both, encoding takes twice as long, and it is most of the demo's time."""


def demo(out: str | Path = "demo", *, seed: int = 0) -> list[str]:
    """Simulate a cohort, train STFlow and the baselines, predict a section of an unseen patient, score, report.

    Parameters
    ----------
    out
        Gets `data/` (the cohort, in eosin's own layout), `scores.json`, `prediction.h5ad` and `report.html`.

    Returns
    -------
    list of str
        A few lines that say what was done and where the files are.
    """
    out, started = Path(out), time.monotonic()
    cohort = simulate(seed=seed, **COHORT)
    data = write_cohort(cohort, out / "data")
    sections = encode(data, out=out / "features", encoder=ENCODER)
    held_out = next(s for s in sections if sum(t.patient == s.patient for t in sections) == 1)
    split = ",".join(s.name for s in sections if s is not held_out) + f":{held_out.name}"
    asked = {"models": MODELS, "encoders": ENCODER, "genes": GENES, "split": split, "draws": 16}
    scores = bench(sections, **asked, out=out / "bench", keep_predictions=True)
    write_json(out / "scores.json", scores)
    kept_files = {
        cell["model"]: path for cell in scores["cells"] for path in _predictions(out / "bench", cell["model"])
    }
    predictions = [read_prediction(kept_files[model]) for model in ("stflow", "ridge")]
    save_prediction(predictions[0], out / "prediction.h5ad")
    write_report(
        out / "report.html",
        predictions=predictions,
        truth=[held_out],
        scores={cell["model"]: cell["metrics"] for cell in scores["cells"]},
        thumbnails=thumbnails(predictions),
        title=f"Section {held_out.name} of an unseen patient, simulated tissue",
        settings=dict(predictions[0].provenance),
        notes=["Simulated tissue: the numbers show that the machinery works, not how well it does on patients."],
    )
    coverage = next(pick(cell["metrics"], "coverage_90") for cell in scores["cells"] if cell["model"] == "stflow")
    pcc = {cell["model"]: pick(cell["metrics"], "pcc.mean") for cell in scores["cells"]}
    return [
        f"Simulated {counted(len(sections), 'section')} of {counted(len({s.patient for s in sections}), 'patient')}.",
        f"Trained on {len(sections) - 1} of them; "
        f"predicted 50 genes on {held_out.name}, of an unseen patient, 16 draws.",
        "Correlation with the measured counts, mean over genes: "
        + ", ".join(f"{model} {'undefined' if value is None else f'{value:.3f}'}" for model, value in pcc.items())
        + ".",
        *_verdicts(predictions[0], coverage),
        f"Look at {out / 'report.html'}, {out / 'prediction.h5ad'} (scanpy) and {out / 'scores.json'}.",
        f"It took {time.monotonic() - started:.0f} s.",
    ]


def _verdicts(prediction: Prediction, coverage: float | None) -> list[str]:
    """What the model says of how far to trust its prediction, and whether that was right."""
    lines, bars, trust, likeness = [], prediction.error_bars, prediction.trust, prediction.likeness
    if bars is not None and coverage is not None:
        patients = counted(bars.n_patients, "training patient")
        lines.append(
            f"Its 90 % intervals for a {bars.kind}, from {patients}, hold {coverage:.0%} of the measured values."
        )
    if trust is not None:
        readable = trust.verdicts.count(MAP)
        lines.append(
            f"By what training held out, the maps of {readable} of {counted(len(trust.verdicts), 'gene')} can be read."
        )
    return lines if likeness is None else [*lines, f"The slide is {likeness.line()}."]


def _predictions(folder: Path, model: str) -> list[Path]:
    """The predictions that a grid kept of one model."""
    return sorted((folder / "predictions").glob(f"{model}-stain-*/*.h5ad"))
