"""Pictures of tissue: H&E, and genes at spots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.genes import TRANSFORMS
from eosin.geometry import nearest_spacing
from eosin.reporting.figures import INK, Extent
from eosin.types import GenePanel, Likeness, Prediction, Spots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Thumbnail = tuple[np.ndarray, float]
"""An image uint8 [h w 3] and its µm per pixel, origin at the slide's top left."""

_THUMBNAIL_PX = 1000  # longer side of an image in a page
_MEAN_MAP, _SD_MAP = "viridis", "magma"


@dataclass(frozen=True)
class ColouredMap:
    """Values at spots, and how they are coloured.

    Attributes
    ----------
    title
        What is shown.
    values
        [s].
    low, high
        The range that the colours span.
    colours
        Name of a colour map of matplotlib.
    unit
        Unit of the values, for the colour bar.
    """

    title: str
    values: np.ndarray
    low: float
    high: float
    colours: str
    unit: str


def gene_layers(
    prediction: Prediction, gene: str, truth: np.ndarray | None, *, share_range: bool = True
) -> list[ColouredMap]:
    """The maps of one gene: truth (where known), mean, and the sd of draws where there are no error bars.

    Error bars have one sd per gene, which is no map.

    Truth and mean have one colour range, from the 1st to the 99th percentile of both, so that they can be compared by
    eye; `share_range=False` lets each span its own.
    """
    j, unit = prediction.panel.names.index(gene), unit_of(prediction.panel)
    mean = prediction.mean[:, j]
    shown = [("predicted mean", mean)] if truth is None else [("measured", truth), ("predicted mean", mean)]
    pool = np.concatenate([values for _, values in shown])
    layers = []
    for title, values in shown:
        low, high = colour_range(pool if share_range else values)
        layers.append(ColouredMap(title, values, low, high, _MEAN_MAP, unit))
    if has_sd_map(prediction):
        sd = prediction.sd[:, j]
        layers.append(ColouredMap("predicted sd", sd, 0.0, max(float(np.percentile(sd, 99)), 1e-6), _SD_MAP, unit))
    return layers


def distance_layer(likeness: Likeness) -> ColouredMap:
    """The map of the distance of each spot's features from those of training, from 0 to twice the limit."""
    unit = f"1: usual in training; limit {likeness.spot_limit:.2f}"
    return ColouredMap("distance", likeness.distance, 0.0, 2 * likeness.spot_limit, _SD_MAP, unit)


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


def is_under(thumbnail: Thumbnail, spots: Spots) -> bool:
    """Whether at least half of the spots lie on an image; else it is of another slide, or of another scale."""
    return float(on_image(thumbnail, spots).mean()) >= 0.5 if len(spots) else True


def on_image(thumbnail: Thumbnail, spots: Spots) -> np.ndarray:
    """Which spots lie on an image, bool [s]."""
    image, um_per_px = thumbnail
    inside = (spots.xy_um >= 0) & (spots.xy_um <= np.array(image.shape[1::-1]) * um_per_px)
    return inside[:, 0] & inside[:, 1]


def draw_layer(axis: Axes, bar_axis: Axes, spots: Spots, layer: ColouredMap, extent_um: Extent) -> None:
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
    axis.set_title(layer.title, fontsize=10, color=INK)
    bar = bar_axis.figure.colorbar(discs, cax=bar_axis, extend=_extend(layer), extendfrac=0.03)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2, colors=INK)
    bar.set_label(layer.unit, fontsize=7.5, color=INK)


def draw_tissue(axis: Axes, thumbnail: Thumbnail | None, extent_um: Extent, *, muted: bool = False) -> None:
    """The H&E where it is known, in a frame of µm with a scale bar.

    Muted, it is nearly grey and pale: colours of a map upon it are then not taken for those of the stain.
    """
    if thumbnail is not None:
        image, um_per_px = thumbnail
        height, width = image.shape[:2]
        box = (0.0, width * um_per_px, height * um_per_px, 0.0)
        axis.imshow(
            muted_image(image) if muted else image, extent=box, interpolation="antialiased", interpolation_stage="rgba"
        )
    _frame(axis, extent_um)
    _scale_bar(axis, extent_um)


def muted_image(image: np.ndarray) -> np.ndarray:
    """An image uint8 [h w 3] nearly without colour, and pale."""
    shown = np.asarray(image, dtype=np.float32)[..., :3]
    grey = shown @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    mixed = 0.25 * shown + 0.75 * grey[..., None]
    return np.clip(255 - 0.65 * (255 - mixed), 0, 255).astype(np.uint8)


def draw_spots(
    axis: Axes,
    bar_axis: Axes,
    spots: Spots,
    layer: ColouredMap,
    *,
    enlarged: float = 1.0,
    alpha: float = 0.85,
    as_picture: bool = False,
) -> None:
    """Semi-transparent discs of the spots' true width in µm, coloured by value, with a colour bar.

    A value that is not known has a grey rim and no colour. Discs that would be narrower than a dot are a dot.

    Parameters
    ----------
    enlarged
        Factor of the width, where only some of the spots are drawn.
    as_picture
        Whether discs of a vector file are one picture in it.
    """
    from matplotlib.collections import EllipseCollection

    left, right = axis.get_xlim()
    dot_um = abs(right - left) / 600
    width = np.maximum(spots.widths_um() * enlarged, dot_um)
    values = np.ma.masked_invalid(np.asarray(layer.values, float))
    known = ~np.ma.getmaskarray(values)
    for rows, style in (
        (known, {"linewidth": 0}),
        (~known, {"facecolor": "none", "edgecolor": "#77797f", "linewidth": 0.5}),
    ):
        if rows is not known and not rows.any():
            continue
        discs = EllipseCollection(
            width[rows],
            width[rows],
            np.zeros(int(rows.sum())),
            units="xy",
            offsets=spots.xy_um[rows],
            offset_transform=axis.transData,
            **style,
        )
        discs.set(alpha=alpha, rasterized=as_picture)
        axis.add_collection(discs)
        if rows is known:
            discs.set(array=values[rows], cmap=layer.colours, clim=(layer.low, layer.high))
            bar = bar_axis.figure.colorbar(discs, cax=bar_axis, extend=_extend(layer), extendfrac=0.03)
            bar.outline.set_visible(False)
            bar.ax.tick_params(labelsize=7, length=2, colors=INK)
            bar.set_label(layer.unit, fontsize=8, color=INK)
            if bar.solids is not None:
                bar.solids.set(alpha=1, edgecolor="face")


def has_sd_map(prediction: Prediction) -> bool:
    """Whether the sd differs from spot to spot: that of draws does; error bars have one number for each gene."""
    return prediction.error_bars is None and prediction.n_draws > 1


def draw_image(axis: Axes, thumbnail: Thumbnail | None, spots: Spots, extent_um: Extent) -> None:
    """H&E with a scale bar; without an image, a dot at every spot."""
    if thumbnail is None:
        axis.plot(*spots.xy_um.T, ".", color=INK, markersize=2)
        axis.set_title("spots (no image given)", fontsize=10, color=INK)
    else:
        image, um_per_px = thumbnail
        height, width = image.shape[:2]
        box = (0.0, width * um_per_px, height * um_per_px, 0.0)
        axis.imshow(image, extent=box, interpolation="antialiased", interpolation_stage="rgba")
        axis.set_title("H&E", fontsize=10, color=INK)
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


def colour_range(values: np.ndarray) -> tuple[float, float]:
    """The range that colours span: from the 1st to the 99th percentile of the values that are known."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(known, [1, 99]))
    return (low, high) if high - low > 1e-6 else (low - 0.5, low + 0.5)


def _extend(layer: ColouredMap) -> Any:
    """Arrowheads on the colour bar where values lie beyond its ends."""
    return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
        (bool((layer.values < layer.low).any()), bool((layer.values > layer.high).any()))
    ]


def thumbnail_of(thumbnails: Mapping[str, Thumbnail] | None, name: str) -> Thumbnail | None:
    """A section's image, made small enough for a page."""
    if not thumbnails or name not in thumbnails:
        return None
    image, um_per_px = thumbnails[name]
    image = np.ascontiguousarray(np.asarray(image)[..., :3])
    longest = max(image.shape[:2])
    if longest <= _THUMBNAIL_PX:
        return image, um_per_px
    from PIL import Image

    height, width = (max(1, round(n * _THUMBNAIL_PX / longest)) for n in image.shape[:2])
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BOX)
    return np.asarray(small), um_per_px * longest / _THUMBNAIL_PX
