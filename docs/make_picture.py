"""Draw docs/overview.png from the result of `make demo`.

python docs/make_picture.py [DEMO] [PNG]     by default demo/ and docs/overview.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from eosin.api.parts.sections import truth_of
from eosin.api.parts.thumbnails import thumbnails
from eosin.data import read_prediction
from eosin.errors import EosinError
from eosin.metrics import pcc_counted
from eosin.reporting import overview_figure
from eosin.reporting.gathered import truth_values
from eosin.storage.files import atomic_file
from eosin.types import Prediction, Section

ROOT = Path(__file__).resolve().parents[1]
QUANTILES = (0.98, 0.7, 0.3)
"""Genes by rank of correlation: near the best, above and below the middle. Honest pictures show what fails, too."""


def choose(prediction: Prediction, truth: Section) -> list[str]:
    """One gene for each of `QUANTILES`, best first."""
    pcc = np.nan_to_num(pcc_counted(truth_values(prediction, truth), prediction.mean))
    order = np.argsort(pcc, kind="stable")
    return [prediction.panel.names[order[round(q * (len(order) - 1))]] for q in QUANTILES]


def draw(demo: Path, out: Path) -> list[str]:
    """Write the picture; returns the genes shown."""
    prediction = read_prediction(demo / "prediction.h5ad")
    truth = truth_of(prediction.section, demo / "data")
    genes = choose(prediction, truth)
    small = thumbnails([prediction]).get(prediction.section)
    with atomic_file(out) as partial:
        partial.write_bytes(overview_figure(prediction, genes, truth=truth, thumbnail=small, dpi=96))
    return genes


def main(arguments: list[str]) -> int:
    demo = Path(arguments[0]) if arguments else ROOT / "demo"
    out = Path(arguments[1]) if len(arguments) > 1 else ROOT / "docs" / "overview.png"
    try:
        genes = draw(demo, out)
    except EosinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{out}: {', '.join(genes)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
