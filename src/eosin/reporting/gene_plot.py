"""`eosin plot`: maps of genes on the tissue, a row for each gene, as a figure of matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.errors import EosinError
from eosin.metrics import pcc_counted
from eosin.reporting.figures import INK, Extent, new_figure, tallness
from eosin.reporting.gathered import check_genes, truth_values
from eosin.reporting.maps import (
    ColouredMap,
    Thumbnail,
    colour_range,
    distance_layer,
    draw_spots,
    draw_tissue,
    extent_of,
    has_sd_map,
    is_under,
    unit_of,
)
from eosin.reporting.prediction_part import part_of, variation
from eosin.reporting.thinning import evenly_thinned
from eosin.types import Prediction, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = ("tissue", "mean", "truth", "difference", "interval", "sd", "distance")
"""What `--show` can name: the H&E, the predicted mean, the measured values, mean minus measured, half the width of the
90 % interval, the standard deviation, the distance from training."""
MOST_GENES = 40
_MOST_DRAWN = 100_000  # spots of one map; more are thinned evenly
_VECTORS = 5_000  # spots that an .svg or .pdf holds one by one; more become a picture in it


@dataclass(frozen=True)
class _Words:
    """A panel that says why there is no map."""

    title: str
    text: str


_Panel = ColouredMap | _Words | None
"""None: the tissue."""


def gene_figure(
    prediction: Prediction,
    genes: Sequence[str] = (),
    show: Sequence[str] = (),
    *,
    truth: Section | None = None,
    thumbnail: Thumbnail | None = None,
) -> Figure:
    """A row of maps for each gene, spots in their true width on the tissue, with a scale bar and units.

    Mean and truth of a gene share one range of colours. An interval that is as wide at every spot is no map: the panel
    gives its number and shows the distance from training.

    Parameters
    ----------
    prediction
        What to show.
    genes
        Genes of its panel; by default the three that are predicted best, as far as that is known.
    show
        Some of `KINDS`, in this order; by default tissue, mean, truth where it is given, and interval.
    truth
        The measured section.
    thumbnail
        The H&E image and its µm per pixel.

    Raises
    ------
    EosinError
        An unknown gene or kind, too many genes, a measured map without a truth, a truth that does not match.
    """
    show = tuple(dict.fromkeys(show)) or ("tissue", "mean", *(() if truth is None else ("truth",)), "interval")
    _check(prediction, genes, show, has_truth=truth is not None)
    genes = tuple(dict.fromkeys(genes))
    if not genes:
        every = None if truth is None else truth_values(prediction, truth)
        genes = best_genes(prediction, every)
    alone = part_of(prediction, None, [prediction.panel.names.index(gene) for gene in genes])
    measured = None if truth is None else truth_values(alone, truth)
    return values_figure(alone, genes, show, measured, thumbnail)


def values_figure(
    prediction: Prediction,
    genes: Sequence[str],
    show: Sequence[str],
    measured: np.ndarray | None,
    thumbnail: Thumbnail | None,
) -> Figure:
    """As `gene_figure`, of measured model values [s g] at the prediction's spots."""
    if thumbnail is not None and not is_under(thumbnail, prediction.spots):
        thumbnail = None
    rows = evenly_thinned(prediction.spots.xy_um, _MOST_DRAWN)
    n_spots, extent = len(prediction.spots), extent_of(prediction.spots, thumbnail)
    if len(rows) < n_spots:
        prediction = prediction.of_spots(rows)
        measured = None if measured is None else measured[rows]
    enlarged = float(np.sqrt(n_spots / max(len(rows), 1)))
    rows_of_panels = [_panels(prediction, gene, show, measured) for gene in genes]
    sheet = _Sheet(len(genes), [isinstance(panel, ColouredMap) for panel in rows_of_panels[0]], extent)
    for i, (gene, panels) in enumerate(zip(genes, rows_of_panels)):
        for k, panel in enumerate(panels):
            axis, bar = sheet.panel(i, k)
            _draw(axis, bar, prediction, panel, thumbnail, extent, enlarged)
            if k == 0:
                axis.set_ylabel(gene[:40], fontsize=13, fontweight="bold", color=INK, parse_math=False)
    note = "" if len(rows) == n_spots else f"; {len(rows):,} of {n_spots:,} spots drawn, enlarged"
    footer = f"{prediction.section}, {prediction.model}: {prediction.spots.summary() if not note else ''}{note}"
    sheet.write(footer.replace(": ; ", ": "))
    return sheet.figure


class _Sheet:
    """Equal maps in rows and columns, placed by arithmetic; only columns with colours have room for a bar."""

    _LEFT, _WIDTH, _TITLE, _BAR, _GAP, _FOOT = 0.42, 3.0, 0.4, 0.62, 0.12, 0.32  # inches

    def __init__(self, n_rows: int, with_bar: Sequence[bool], extent_um: Extent):
        self.height = self._WIDTH * tallness(extent_um)
        widths = [self._WIDTH + self._GAP + (self._BAR if bar else 0) for bar in with_bar]
        self.x = self._LEFT + np.r_[0, np.cumsum(widths)]
        self.with_bar = list(with_bar)
        self.size = float(self.x[-1]), n_rows * (self.height + self._TITLE + self._GAP) + self._FOOT
        self.figure = new_figure(*self.size)

    def panel(self, row: int, column: int) -> tuple[Axes, Axes | None]:
        """The axes of a map, and of its colour bar where the column has one."""
        x = float(self.x[column])
        axis = self._axes(x, row, self._WIDTH)
        return axis, self._axes(x + self._WIDTH + 0.06, row, 0.09) if self.with_bar[column] else None

    def write(self, text: str) -> None:
        """The line below the maps; a name may hold signs of mathematics, which are not read as such."""
        w, h = self.size
        self.figure.text(self._LEFT / w, 0.1 / h, text, fontsize=8, color=INK, va="bottom", parse_math=False)

    def _axes(self, x: float, row: int, width: float) -> Axes:
        w, h = self.size
        y = h - (row + 1) * (self.height + self._TITLE) - row * self._GAP
        return self.figure.add_axes((x / w, y / h, width / w, self.height / h))


def best_genes(prediction: Prediction, measured: np.ndarray | None, n: int = 3) -> tuple[str, ...]:
    """The genes predicted best: by their measured values [s g], else by training's held-out ones, else by variance."""
    if measured is not None:
        worth = pcc_counted(measured, prediction.mean)
    elif prediction.trust is not None:
        worth = prediction.trust.inner_pcc
    else:
        worth = variation(prediction)
    order = np.argsort(np.where(np.isnan(worth), np.inf, -worth), kind="stable")
    return tuple(prediction.panel.names[j] for j in order[:n])


def _check(prediction: Prediction, genes: Sequence[str], show: Sequence[str], *, has_truth: bool) -> None:
    if not len(prediction.spots):
        raise EosinError(f"the prediction of '{prediction.section}' has no spots", fix="predict a slide with tissue")
    check_genes(genes, prediction.panel)
    if len(genes) > MOST_GENES:
        raise EosinError(f"{len(genes)} genes are too many for one figure", fix=f"give {MOST_GENES} at most")
    for kind in show:
        if kind not in KINDS:
            raise EosinError(f"no map is called '{kind}'", fix=f"show some of {', '.join(KINDS)}")
        if kind in ("truth", "difference") and not has_truth:
            raise EosinError(f"'{kind}' needs the measured section", fix="give it by --truth DATA")


def _panels(prediction: Prediction, gene: str, show: Sequence[str], measured: np.ndarray | None) -> list[_Panel]:
    """What stands in the row of a gene."""
    j = prediction.panel.names.index(gene)
    truth = None if measured is None else np.asarray(measured[:, j], dtype=float)
    mean, unit = prediction.mean[:, j], unit_of(prediction.panel)
    low, high = colour_range(mean if truth is None else np.concatenate([truth, mean]))
    panels: list[_Panel] = []
    for kind in show:
        if kind == "mean":
            panels.append(ColouredMap("predicted mean", mean, low, high, "viridis", unit))
        elif kind == "truth" and truth is not None:
            panels.append(ColouredMap("measured", truth, low, high, "viridis", unit))
        elif kind == "difference" and truth is not None:
            misses = mean - truth
            known = np.abs(misses[np.isfinite(misses)])
            reach = max(float(np.percentile(known, 99)) if known.size else 0.0, 1e-6)
            panels.append(ColouredMap("predicted − measured", misses, -reach, reach, "RdBu_r", unit))
        elif kind in ("interval", "sd"):
            panels.append(_spread(part_of(prediction, None, [j]), kind, unit))
        elif kind == "distance":
            panels.append(_distance(prediction))
        else:
            panels.append(None)
    return panels


def _spread(one: Prediction, kind: str, unit: str) -> _Panel:
    """The map of the error bars of one gene; where they are one number, that number beside the distance."""
    if not one.has_spread:
        return _instead(one, "no error bars: one draw")
    values = one.sd[:, 0] if kind == "sd" else (one.quantile(0.95)[:, 0] - one.quantile(0.05)[:, 0]) / 2
    if has_sd_map(one):
        title = "predicted sd" if kind == "sd" else "half of the 90 % interval"
        return ColouredMap(title, values, 0.0, max(float(np.nanpercentile(values, 99)), 1e-6), "magma", unit)
    bars = one.error_bars
    if kind == "interval" and bars is not None:  # not cut at 0, where the widths of single spots differ
        width = float(bars.scale[0]) * (bars.standard_quantile(0.95) - bars.standard_quantile(0.05)) / 2
        return _instead(one, f"90 % interval: ±{width:.2f} at every spot")
    return _instead(one, f"sd {float(np.median(values)):.2f} at every spot")


def _instead(prediction: Prediction, title: str) -> _Panel:
    distance = _distance(prediction)
    if isinstance(distance, ColouredMap):
        return replace(distance, title=f"{title}\ninstead of a map: distance from training")
    return _Words(title, "No map: the width is the same\nat every spot, and the distance\nfrom training is not known.")


def _distance(prediction: Prediction) -> _Panel:
    if prediction.likeness is None:
        return _Words("distance from training", "Not known: this prediction\nholds no distances.")
    return replace(distance_layer(prediction.likeness), title="distance from training")


def _draw(
    axis: Axes,
    bar: Axes | None,
    prediction: Prediction,
    panel: _Panel,
    thumbnail: Thumbnail | None,
    extent: Extent,
    enlarged: float,
) -> None:
    if isinstance(panel, ColouredMap) and bar is not None:
        draw_tissue(axis, thumbnail, extent, muted=True)
        as_picture = len(prediction.spots) > _VECTORS
        draw_spots(axis, bar, prediction.spots, panel, enlarged=enlarged, as_picture=as_picture)
        axis.set_title(panel.title, fontsize=10 if "\n" not in panel.title else 8.5, color=INK)
        return
    draw_tissue(axis, thumbnail, extent)
    if isinstance(panel, _Words):
        box = {"facecolor": "white", "alpha": 0.9, "linewidth": 0, "boxstyle": "round,pad=0.6"}
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9, "color": INK, "bbox": box}
        axis.text(0.5, 0.5, panel.text, transform=axis.transAxes, **style)
        axis.set_title(panel.title, fontsize=10, color=INK)
    elif thumbnail is None:
        axis.plot(*prediction.spots.xy_um.T, ".", color=INK, markersize=2, rasterized=True)
        axis.set_title("spots (no image given)", fontsize=10, color=INK)
    else:
        axis.set_title("H&E", fontsize=10, color=INK)
