"""Draw docs/erbb2.png: ERBB2 on a section of her2st, measured, predicted, and the bounds of the 90 % interval.

python docs/make_real_picture.py [DATA] [--prediction FILE] [--work FOLDER] [-o PNG]

DATA is the folder of her2st (Andersson et al., Nature Communications 2021), by default ../shared/data/her2st beside
the checkout. The section C6 is predicted by the kernel regression, trained on the other five sections (C2 to C5 of the
same patient, and B4); without --prediction this is done first, in --work, which takes some minutes.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

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
    measured, mean = truth_values(prediction, truth)[:, j], prediction.mean[:, j]
    low, high = prediction.quantile(0.05)[:, j], prediction.quantile(0.95)[:, j]
    maps = {
        "measured": measured,
        "predicted mean": mean,
        "lower bound (5 %)": low,
        "upper bound (95 %)": high,
    }
    limits = np.percentile(np.concatenate(list(maps.values())), [1, 99])
    corners = prediction.spots.xy_um.min(0) - RIM_UM, prediction.spots.xy_um.max(0) + RIM_UM
    centre, half = (corners[0] + corners[1]) / 2, (corners[1] - corners[0]).max() / 2
    extent = (centre[0] - half, centre[0] + half, centre[1] + half, centre[1] - half)
    picture = tissue_picture(prediction, extent)
    pale = (255 - (255 - picture.astype(float)) * 0.35).astype(np.uint8)
    figure, axes = plt.subplots(2, 3, figsize=(10.5, 6.2), layout="constrained")
    for axis in axes.flat[:5]:
        axis.imshow(picture if axis is axes[0, 0] else pale, extent=extent)
        axis.set(xlim=(corners[0][0], corners[1][0]), ylim=(corners[1][1], corners[0][1]))
        axis.set_axis_off()
    axes[0, 0].set_title("H&E, section " + prediction.section)
    x, y = corners[0][0] + 150, corners[1][1] - 150
    axes[0, 0].plot([x, x + 1000], [y, y], color="black", lw=2.5)
    axes[0, 0].text(x, y - 90, "1 mm", fontsize=11, va="bottom")
    for axis, (title, values) in zip(axes.flat[1:5], maps.items()):
        spots = [Circle(place, prediction.spots.diameter_um * 0.8) for place in prediction.spots.xy_um]
        shown = PatchCollection(spots, cmap="viridis", clim=limits, lw=0)
        shown.set_array(values)
        axis.add_collection(shown)
        axis.set_title(title)
    figure.colorbar(shown, ax=axes[:, :2], shrink=0.7, extend="both", label=f"{GENE}, ln(1 + count)", location="left")
    draw_band(axes[1, 2], measured, mean, low, high)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110, format="png")
    plt.close(figure)
    with atomic_file(out) as partial, partial.open("wb") as file:  # 256 colours: a third of the bytes
        Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    inside = np.mean((measured >= low) & (measured <= high))
    pcc = pcc_counted(measured[:, None], mean[:, None])[0]
    return f"{out}: {GENE} on {prediction.section}, correlation {pcc:.2f}, {inside:.0%} of spots inside the interval"


def draw_band(axis, measured: np.ndarray, mean: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Measured values against the predicted mean, a point for each spot, with the interval as a band."""
    order = np.argsort(mean)
    axis.fill_between(mean[order], low[order], high[order], color="0.88", label="90 % interval")
    axis.plot(mean[order], mean[order], color="0.5", lw=1)
    axis.scatter(mean, measured, s=12, color="tab:purple", alpha=0.7, lw=0, label="spots")
    axis.set(xlabel="predicted mean", ylabel="measured", title="against each other", box_aspect=0.8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="upper left", fontsize=9)


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
