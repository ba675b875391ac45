"""Pictures of tissue: H&E, and genes at spots. Drawn on figures of their own, without pyplot's global state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.errors import EosinError
from eosin.genes import TRANSFORMS, target
from eosin.geometry import nearest_spacing
from eosin.types import GenePanel, Prediction, Section, Spots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Thumbnail = tuple[np.ndarray, float]
"""An image uint8 [h w 3] and its µm per pixel, origin at the slide's top left."""

Extent = tuple[float, float, float, float]
"""What a map shows, µm: left, right, top, bottom."""

_MEAN_MAP, _SD_MAP = "viridis", "magma"
_INK = "#3b4252"


@dataclass(frozen=True)
class Layer:
    """One coloured map: values [s], the range its colours span, what it is and in which unit."""

    title: str
    values: np.ndarray
    low: float
    high: float
    colours: str
    unit: str


def new_figure(width_in: float, height_in: float, **kind: Any) -> Figure:
    """A figure that draws in memory and is forgotten with its last reference."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), **kind)
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure, dpi: int = 144) -> bytes:
    """A figure as PNG of 32 steps per colour, which halves its size and shows no difference."""
    import imagecodecs

    figure.set_dpi(dpi)
    canvas: Any = figure.canvas
    canvas.draw()
    coarse = np.asarray(canvas.buffer_rgba())[..., :3] & 0xF8
    return imagecodecs.png_encode(coarse | (coarse >> 5), level=7, filter=imagecodecs.PNG.FILTER.NONE)


def gene_layers(
    prediction: Prediction, gene: str, truth: np.ndarray | None, *, share_range: bool = True
) -> list[Layer]:
    """The maps of one gene: truth (where known), mean and (of two draws or more) sd.

    Truth and mean have one colour range, from the 1st to the 99th percentile of both, so that they can be compared by
    eye; `share_range=False` lets each span its own.
    """
    j, unit = prediction.panel.names.index(gene), unit_of(prediction.panel)
    mean = prediction.mean[:, j]
    found = [("measured", truth)] if truth is not None else []
    both = [*found, ("predicted mean", mean)]
    pool = np.concatenate([values for _, values in both])
    layers = [Layer(title, values, *_range(pool if share_range else values), _MEAN_MAP, unit) for title, values in both]
    if prediction.n_draws > 1:
        sd = prediction.sd[:, j]
        layers.append(Layer("predicted sd", sd, 0.0, max(float(np.percentile(sd, 99)), 1e-6), _SD_MAP, unit))
    return layers


class _Sheet:
    """Equal panels in rows and columns, each with room for a title and a colour bar.

    Placed by arithmetic: matplotlib's layout engines draw everything several times to find the same places.
    """

    _TITLE, _BAR, _GAP = 0.26, 0.68, 0.08  # inches: above each panel, beside it for the bar, between panels

    def __init__(self, n_rows: int, n_bars: int, extent_um: Extent, *, left: float = 0.08, slide: bool = False):
        self.width, self.extent_um = 2.5, extent_um
        self.height = self.width * _tallness(extent_um)
        self.left, self.slide = left, slide
        self.size = (
            left + slide * (self.width + self._GAP) + n_bars * (self.width + self._BAR + self._GAP),
            n_rows * (self.height + self._TITLE + self._GAP),
        )
        self.figure = new_figure(*self.size)

    def panel(self, row: int, column: int) -> tuple[Axes, Axes]:
        """The axes of a map and of its colour bar."""
        x = self.left + self.slide * (self.width + self._GAP) + column * (self.width + self._BAR + self._GAP)
        return self._axes(x, row, self.width), self._axes(x + self.width + 0.05, row, 0.09)

    def image(self, row: int) -> Axes:
        return self._axes(self.left, row, self.width)

    def _axes(self, x: float, row: int, width: float) -> Axes:
        y = self.size[1] - (row + 1) * (self.height + self._TITLE + self._GAP) + self._GAP
        w, h = self.size
        return self.figure.add_axes((x / w, y / h, width / w, self.height / h))


def draw_gene(spots: Spots, layers: Sequence[Layer], extent_um: Extent) -> bytes:
    """The maps of one gene side by side, as PNG."""
    sheet = _Sheet(1, len(layers), extent_um)
    for i, layer in enumerate(layers):
        draw_layer(*sheet.panel(0, i), spots, layer, extent_um)
    return to_png(sheet.figure, 110)


def draw_slide(thumbnail: Thumbnail | None, spots: Spots, extent_um: Extent) -> bytes:
    """H&E with a scale bar; without an image, the spots alone."""
    sheet = _Sheet(1, 0, extent_um, slide=True)
    draw_image(sheet.image(0), thumbnail, spots, extent_um)
    return to_png(sheet.figure)


def overview_figure(
    prediction: Prediction,
    genes: Sequence[str],
    *,
    truth: Section | None = None,
    thumbnail: Thumbnail | None = None,
    dpi: int = 144,
) -> bytes:
    """One picture of a result: a row per gene with H&E, measured, predicted mean and predicted sd.

    Parameters
    ----------
    prediction
        What to show.
    genes
        Genes of its panel, one row each.
    truth
        The measured section; without it the column is left out.
    thumbnail
        The H&E image and its µm per pixel; without it the spots' places are shown.

    Returns
    -------
    bytes
        A PNG.

    Raises
    ------
    EosinError
        A gene that is not in the panel; a truth that does not match.
    """
    check_genes(genes, prediction.panel)
    measured = None if truth is None else truth_values(prediction, truth)
    extent = extent_of(prediction.spots, thumbnail)
    rows = [gene_layers(prediction, g, _column(measured, prediction.panel, g)) for g in genes]
    sheet = _Sheet(len(rows), len(rows[0]), extent, left=0.4, slide=True)
    for i, (gene, layers) in enumerate(zip(genes, rows)):
        axis = sheet.image(i)
        draw_image(axis, thumbnail, prediction.spots, extent)
        axis.set_ylabel(gene, fontsize=13, fontweight="bold", color=_INK)
        for j, layer in enumerate(layers):
            draw_layer(*sheet.panel(i, j), prediction.spots, layer, extent)
    return to_png(sheet.figure, dpi)


def truth_values(prediction: Prediction, truth: Section) -> np.ndarray:
    """Measured model values [s g] at the prediction's spots, matched by spot id.

    Raises
    ------
    EosinError
        A spot or a gene of the prediction that the section does not have.
    """
    row = {spot: i for i, spot in enumerate(truth.spots.ids)}
    lost = [spot for spot in prediction.spots.ids if spot not in row]
    if lost:
        raise EosinError(
            f"section '{truth.name}' lacks {len(lost)} of {len(prediction.spots)} predicted spots, first '{lost[0]}'",
            fix="give the measured section that was predicted",
        )
    values = target(truth, prediction.panel)  # before taking rows: a size factor counts all genes, not all spots
    return np.asarray(values)[[row[spot] for spot in prediction.spots.ids]]


def check_genes(genes: Sequence[str], panel: GenePanel) -> None:
    missing = [gene for gene in genes if gene not in panel.names]
    if missing:
        raise EosinError(f"gene '{missing[0]}' is not among the {len(panel)} predicted genes", fix="name others")


def unit_of(panel: GenePanel) -> str:
    """How the numbers are to be read, for a colour bar."""
    return TRANSFORMS[panel.transform].unit


def extent_of(spots: Spots, thumbnail: Thumbnail | None) -> Extent:
    """What the maps show, µm: left, right, top, bottom; the spots with a margin, within the image."""
    margin = max(nearest_spacing(spots.xy_um) if len(spots) > 1 else 0.0, spots.diameter_um) * 1.2
    left, top = spots.xy_um.min(0) - margin
    right, bottom = spots.xy_um.max(0) + margin
    if thumbnail is not None:
        image, um_per_px = thumbnail
        left, top = max(left, 0.0), max(top, 0.0)
        right, bottom = min(right, image.shape[1] * um_per_px), min(bottom, image.shape[0] * um_per_px)
    return float(left), float(max(right, left + 1)), float(top), float(max(bottom, top + 1))


def draw_layer(axis: Axes, bar_axis: Axes, spots: Spots, layer: Layer, extent_um: Extent) -> None:
    """Discs that just touch, coloured by value, with a colour bar."""
    from matplotlib.collections import EllipseCollection

    spacing = nearest_spacing(spots.xy_um) if len(spots) > 1 else spots.diameter_um
    width = np.full(len(spots), 0.96 * max(spacing, 1e-3))
    discs = EllipseCollection(
        width, width, np.zeros(len(spots)), units="xy", offsets=spots.xy_um, offset_transform=axis.transData
    )
    discs.set(array=np.asarray(layer.values, float), cmap=layer.colours, clim=(layer.low, layer.high), linewidth=0)
    axis.add_collection(discs)
    _frame(axis, extent_um)
    axis.set_title(layer.title, fontsize=10, color=_INK)
    bar = bar_axis.figure.colorbar(discs, cax=bar_axis, extend=_extend(layer), extendfrac=0.03)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2, colors=_INK)
    bar.set_label(layer.unit, fontsize=7.5, color=_INK)


def draw_image(axis: Axes, thumbnail: Thumbnail | None, spots: Spots, extent_um: Extent) -> None:
    if thumbnail is None:
        axis.plot(*spots.xy_um.T, ".", color=_INK, markersize=2)
        axis.set_title("spots (no image given)", fontsize=10, color=_INK)
    else:
        image, um_per_px = thumbnail
        height, width = image.shape[:2]
        box = (0.0, width * um_per_px, height * um_per_px, 0.0)
        axis.imshow(image, extent=box, interpolation="antialiased", interpolation_stage="rgba")
        axis.set_title("H&E", fontsize=10, color=_INK)
    _frame(axis, extent_um)
    _scale_bar(axis, extent_um)


def _frame(axis: Axes, extent_um: Extent) -> None:
    left, right, top, bottom = extent_um
    axis.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[])
    for side in axis.spines.values():
        side.set_visible(False)


def _scale_bar(axis: Axes, extent_um: Extent) -> None:
    left, right, top, bottom = extent_um
    room = (right - left) / 4
    length = max((u * 10**p for p in range(-1, 6) for u in (1, 2, 5) if u * 10**p <= room), default=room)
    y, x = bottom - 0.045 * (bottom - top), left + 0.05 * (right - left)
    label = f"{length:g} µm" if length < 1000 else f"{length / 1000:g} mm"
    halo: dict[str, Any] = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "linewidth": 0}
    axis.plot([x, x + length], [y, y], color="black", linewidth=2.5, solid_capstyle="butt")
    axis.text(x + length / 2, y - 0.02 * (bottom - top), label, ha="center", va="bottom", fontsize=8, bbox=halo)


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = (float(v) for v in np.percentile(values, [1, 99]))
    return (low, high) if high - low > 1e-6 else (low - 0.5, low + 0.5)


def _extend(layer: Layer) -> Any:
    """Arrowheads on the colour bar where values lie beyond its ends."""
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
        (bool(layer.values.min() < layer.low), bool(layer.values.max() > layer.high))
    ]


def _tallness(extent_um: Extent) -> float:
    left, right, top, bottom = extent_um
    return float(np.clip((bottom - top) / (right - left), 0.3, 3.0))


def _column(values: np.ndarray | None, panel: GenePanel, gene: str) -> np.ndarray | None:
    return None if values is None else values[:, panel.names.index(gene)]


def thumbnail_of(thumbnails: Mapping[str, Thumbnail] | None, name: str) -> Thumbnail | None:
    """A section's image, made small enough for a page."""
    if not thumbnails or name not in thumbnails:
        return None
    image, um_per_px = thumbnails[name]
    image = np.asarray(image)[..., :3]
    stride = max(1, max(image.shape[:2]) // 700)
    height, width = (n // stride * stride for n in image.shape[:2])
    blocks = image[:height, :width].reshape(height // stride, stride, width // stride, stride, 3)
    return blocks.mean((1, 3)).astype(np.uint8), um_per_px * stride
