"""Places on a capture area's array (row, column) against positions on the image: scale, pitch and direction of axes.

Visium's spots are 100 µm apart on a hexagonal lattice, of which the array counts half columns: rows are √3/2 of a pitch
apart, columns half a pitch, and every other place of a row is void. Bins of Visium HD are a square lattice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

PITCH_UM = 100.0
"""Of Visium, of every version."""
LEAST_SHARE, MOST_SHARE = 0.45, 0.8
"""Of the pitch that a spot's width may be: 0.55 as printed, 0.65 as Space Ranger writes it."""
SAME, NEAR = 0.02, 0.1
"""How far two scales may differ: two that are written down, and one that is measured on positions."""
_FEWEST = 3
_MOST_OFF, _MOST_STRETCH = 0.15, 0.05
"""Of a lattice: how far spots may lie off it, of its pitch; and how much longer one axis may be than the other."""


@dataclass(frozen=True)
class ArrayMap:
    """The linear map from (column, row) on the array to (x, y) on the image, fitted to all spots.

    Attributes
    ----------
    per_step
        [2 2] units of the image per column and per row; a row vector of the array times it is one of the image.
    hexagonal
        Whether the array counts half columns, as Visium's.
    off
        Root mean square distance of spots from where the map puts them, units of the image.
    """

    per_step: np.ndarray
    hexagonal: bool
    off: float

    @property
    def _per_pitch(self) -> np.ndarray:
        """[2 2] units of the image per pitch, along both axes of the array."""
        return self.per_step / np.array([[0.5], [np.sqrt(0.75)]]) if self.hexagonal else self.per_step

    @property
    def pitch(self) -> float:
        """Distance of neighbouring spots, units of the image."""
        return float(np.sqrt(abs(np.linalg.det(self._per_pitch))))

    @property
    def is_lattice(self) -> bool:
        """Whether the spots lie where the map puts them and both axes are of one scale."""
        return self.fits and self.stretch < _MOST_STRETCH

    @property
    def is_stretched(self) -> bool:
        """Whether the spots lie where the map puts them, but one axis is of another scale than the other."""
        return self.fits and self.stretch >= _MOST_STRETCH

    @property
    def fits(self) -> bool:
        """Whether the spots lie where the map puts them."""
        return self.off < _MOST_OFF * self.pitch

    @property
    def stretch(self) -> float:
        """How much longer a pitch is along one axis than along the other, as a share."""
        longer, shorter = np.linalg.svd(self._per_pitch, compute_uv=False)
        return float(longer / shorter - 1) if shorter > 0 else float("inf")

    def note(self) -> list[str]:
        """A note where array and image do not fit, or their axes run against one another.

        The capture area's columns lie along x and its rows along y, however the slide is turned: the determinant of
        the map is positive. It is negative where x and y were exchanged, or where the picture is mirrored.
        """
        if not self.is_lattice:
            return ["array_row, array_col and positions do not fit one lattice: the scale may be wrong"]
        if np.linalg.det(self.per_step) >= 0:
            return []
        across = abs(self.per_step[0, 1] * self.per_step[1, 0]) > abs(self.per_step[0, 0] * self.per_step[1, 1])
        if across and self.per_step[0, 1] * self.per_step[1, 0] > 0:
            return [
                "rows and columns seem exchanged: x runs along array_row and y along array_col; positions are taken "
                "as they are (x before y), see whether they lie on the tissue"
            ]
        return ["positions are mirrored against array_row and array_col; see whether they lie on the tissue"]


def array_map(array: np.ndarray, xy: np.ndarray, *, hexagonal: bool | None = None) -> ArrayMap | None:
    """The map from places on the array [s 2] (column, row) to positions [s 2]; None where too few spots fix it.

    `hexagonal` says that the array is Visium's; by default it is seen by the places that are void.
    """
    finite = np.isfinite(array).all(1) & np.isfinite(xy).all(1)
    array, xy = np.asarray(array, np.float64)[finite], np.asarray(xy, np.float64)[finite]
    if len(array) < _FEWEST:
        return None
    if hexagonal is None:
        hexagonal = bool(np.all((array[:, 0] + array[:, 1]) % 2 == array[0].sum() % 2))
    try:
        with np.errstate(all="ignore"):
            array, xy = array - array.mean(0), xy - xy.mean(0)
            if np.linalg.matrix_rank(array) < 2:
                return None
            per_step, *_ = np.linalg.lstsq(array, xy, rcond=None)
            off = float(np.sqrt(np.mean(np.sum((array @ per_step - xy) ** 2, axis=1))))
            area = abs(np.linalg.det(per_step))
    except np.linalg.LinAlgError:  # numbers beyond any image
        return None
    return ArrayMap(per_step, hexagonal, off) if np.isfinite(off) and np.isfinite(area) and area > 0 else None


def array_notes(obs: Any, xy: np.ndarray) -> list[str]:
    """A note where positions [s 2] run against `array_col` and `array_row` of a table; none without a lattice."""
    if not {"array_col", "array_row"} <= set(obs):
        return []
    try:
        places = np.stack([np.asarray(obs[name], np.float64) for name in ("array_col", "array_row")], 1)
    except (TypeError, ValueError):
        return []
    fitted = array_map(places, xy)
    return fitted.note() if fitted is not None and fitted.is_lattice else []
