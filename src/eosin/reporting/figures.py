"""Figures of matplotlib without pyplot's global state: made in memory, laid out by arithmetic, encoded as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.storage.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Extent = tuple[float, float, float, float]
"""What a map shows, µm: left, right, top, bottom."""

INK = "#3b4252"
"""Colour of text and axes."""


def new_figure(width_in: float, height_in: float, **options: Any) -> Figure:
    """A figure that draws in memory and is forgotten with its last reference; `options` are those of `Figure`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), **options)
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure, dpi: int = 144) -> bytes:
    """A figure as PNG of 32 steps per colour, which halves its size and shows no difference."""
    import imagecodecs

    coarse = to_pixels(figure, dpi) & 0xF8
    return imagecodecs.png_encode(coarse | (coarse >> 5), level=7, filter=imagecodecs.PNG.FILTER.NONE)


def save_figure(figure: Figure, path: str | Path, dpi: int) -> None:
    """Write a figure in the format of the suffix, whole or not at all; equal figures give equal bytes."""
    from matplotlib import rc_context

    kind = Path(path).suffix.lower().lstrip(".")
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with rc_context({"svg.hashsalt": "eosin"}), atomic_file(path) as partial:
        figure.savefig(partial, format=kind, dpi=dpi, metadata=dates.get(kind))


def to_pixels(figure: Figure, dpi: int) -> np.ndarray:
    """A figure as pixels uint8 [h w 3]."""
    figure.set_dpi(dpi)
    canvas: Any = figure.canvas
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


class MapSheet:
    """Equal panels in rows and columns, each with room for a title and a colour bar.

    Placed by arithmetic: matplotlib's layout engines draw everything several times to find the same places.
    """

    _TITLE, _BAR, _GAP = 0.26, 0.68, 0.08  # inches: above each panel, beside it for the bar, between panels

    def __init__(self, n_rows: int, n_bars: int, extent_um: Extent, *, left: float = 0.08, slide: bool = False):
        self.width, self.extent_um = 2.5, extent_um
        self.height = self.width * tallness(extent_um)
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
        """The axes of a row's image of the slide."""
        return self._axes(self.left, row, self.width)

    def _axes(self, x: float, row: int, width: float) -> Axes:
        y = self.size[1] - (row + 1) * (self.height + self._TITLE + self._GAP) + self._GAP
        w, h = self.size
        return self.figure.add_axes((x / w, y / h, width / w, self.height / h))


def tallness(extent_um: Extent) -> float:
    """Height of a map by its width, within reason."""
    left, right, top, bottom = extent_um
    return float(np.clip((bottom - top) / (right - left), 0.3, 3.0))
