"""Draw docs/erbb2.png: ERBB2 on a section of her2st, measured, predicted, and the bounds of the 90 % interval.

python docs/make_real_picture.py [DATA] [--prediction FILE] [--work FOLDER] [-o PNG]

DATA is the folder of her2st (Andersson et al., Nature Communications 2021), by default ../shared/data/her2st beside
the checkout. The section C6 is predicted by the kernel regression, trained on the other five sections (C2 to C5 of the
same patient, and B4); without --prediction this is done first, in --work, which takes some minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib
import numpy as np

import eosin
from eosin.api.parts.sections import truth_of
from eosin.data import read_prediction
from eosin.metrics import pcc_counted
from eosin.reporting.gathered import truth_values
from eosin.slide import open_slide
from eosin.storage.files import atomic_file
from eosin.types import Prediction, Section

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.collections import PatchCollection
from matplotlib.patches import Circle

ROOT = Path(__file__).resolve().parents[1]
GENE, HELD_OUT, TRAINED_ON = "ERBB2", "C6", "B4,C2,C3,C4,C5"
RIM_UM = 200
"""Tissue shown around the outermost spots."""


def predict(data: Path, work: Path) -> Path:
    """The prediction of C6, made in a working folder; features and a trained model that lie there are used again."""
    file, features = work / "C6.h5ad", work / "features"
    sections = eosin.encode(data, out=features, sections=f"{TRAINED_ON},{HELD_OUT}")
    training = [section for section in sections if section.name != HELD_OUT]
    model = eosin.train(training, model="kernel", genes=f"var:50+{GENE},GATA3")
    eosin.predict(model, next(section for section in sections if section.name == HELD_OUT), out=file)
    return file


def tissue_picture(prediction: Prediction, extent_um: tuple[float, float, float, float]) -> np.ndarray:
    """The slide inside left, right, bottom, top (µm), about 900 pixels wide."""
    assert prediction.image is not None
    left, right, bottom, top = extent_um
    width = max(right - left, bottom - top)
    with open_slide(prediction.image.path, mpp=prediction.image.mpp) as slide:
        return slide.read(np.array([(left + right) / 2, (bottom + top) / 2]), width, 900)


def draw(prediction: Prediction, truth: Section, out: Path) -> str:
    """Write the picture; returns a line that says what it shows."""
    j = prediction.panel.names.index(GENE)
    measured = truth_values(prediction, truth)[:, j]
    maps = {
        "H&E": None,
        "measured": measured,
        "predicted mean": prediction.mean[:, j],
        "lower bound (5 %)": prediction.quantile(0.05)[:, j],
        "upper bound (95 %)": prediction.quantile(0.95)[:, j],
    }
    xy, radius = prediction.spots.xy_um, prediction.spots.diameter_um / 2
    low, high = xy.min(0) - RIM_UM, xy.max(0) + RIM_UM
    centre, half = (low + high) / 2, (high - low).max() / 2
    extent = (centre[0] - half, centre[0] + half, centre[1] + half, centre[1] - half)
    picture = tissue_picture(prediction, extent)
    pale = (255 - (255 - picture.astype(float)) * 0.35).astype(np.uint8)
    values = np.concatenate([values for values in maps.values() if values is not None])
    limits = np.percentile(values, [1, 99])
    figure, axes = plt.subplots(1, 5, figsize=(14, 3.0), layout="constrained")
    shown = None
    for axis, (title, values) in zip(axes, maps.items()):
        axis.imshow(picture if values is None else pale, extent=extent)
        axis.set_title(title, fontsize=11)
        axis.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))
        axis.set_axis_off()
        if values is None:
            axis.plot([low[0] + 150, low[0] + 1150], [high[1] - 150] * 2, color="black", lw=2)
            axis.text(low[0] + 150, high[1] - 230, "1 mm", fontsize=9, va="bottom")
            continue
        shown = PatchCollection([Circle(place, radius * 1.6) for place in xy], cmap="viridis", clim=limits, lw=0)
        shown.set_array(values)
        axis.add_collection(shown)
    figure.colorbar(shown, ax=axes, shrink=0.8, pad=0.01, extend="both", label=f"{GENE}, ln(1 + count)")
    with atomic_file(out) as partial, partial.open("wb") as file:
        figure.savefig(file, dpi=110, format="png")
    plt.close(figure)
    inside = np.mean((measured >= maps["lower bound (5 %)"]) & (measured <= maps["upper bound (95 %)"]))
    pcc = pcc_counted(measured[:, None], prediction.mean[:, [j]])[0]
    return f"{out}: {GENE} on {prediction.section}, correlation {pcc:.2f}, {inside:.0%} of spots inside the interval"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=ROOT.parent / "shared" / "data" / "her2st")
    parser.add_argument("--prediction", type=Path, help="an .h5ad of C6; made from DATA where it is not given")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "erbb2", help="where features and the run go")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "docs" / "erbb2.png")
    given = parser.parse_args()
    try:
        prediction = read_prediction(given.prediction or predict(given.data, given.work))
        line = draw(prediction, truth_of(prediction.section, given.data), given.out)
    except eosin.EosinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
