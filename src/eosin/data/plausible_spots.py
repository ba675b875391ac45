"""Whether spots can be spots: how far apart they lie, and how wide they are."""

from __future__ import annotations

import numpy as np

from eosin.errors import EosinError
from eosin.geometry import nearest_spacing
from eosin.types.places import is_finite

FEW = 10
"""Spots up to which nothing is said of how they lie."""
LEAST_UM, MOST_UM = 0.3, 10_000.0
"""Distance of neighbours, by the area that they fill: Stereo-seq's finest bins are 0.5 µm."""
_WIDEST_UM = 300_000.0
"""The largest slides of whole organs are 200 mm long."""
_MANY = 200_000
"""Spots above which the pitch is not measured for a note."""
MOST_SHARED, _FEWEST_SHARED = 0.05, 3
"""Share of spots that lie at the place of another from which on places are lost, and their number at least."""
_WIDE, _NARROW = 1.5, 0.1
"""Width of a spot, in units of the distance to its nearest neighbour."""


def check_spread(xy_um: np.ndarray) -> None:
    """Refuse positions [s 2] that are plainly in another unit than µm: mm, nm, or pixels of another picture.

    Raises
    ------
    EosinError
        Spots lie nearer than those of any platform, or fill more than any slide.
    """
    finite = xy_um[np.isfinite(xy_um).all(1)]
    if len(finite) <= FEW:
        return
    size_um = np.ptp(finite, axis=0)
    apart_um = float(np.sqrt(max(size_um[0], 1e-9) * max(size_um[1], 1e-9) / len(finite)))
    fix = "check its unit and scale (--mpp)"
    if size_um.max() > _WIDEST_UM or apart_um > MOST_UM:
        problem = f"{len(finite)} spots fill {size_um[0] / 1000:.4g} x {size_um[1] / 1000:.4g} mm, more than any slide"
        raise EosinError(problem, fix=f"{fix}: positions in nm, or pixels that were scaled twice?")
    if min(size_um) > 0 and apart_um < LEAST_UM:
        problem = f"{len(finite)} spots lie within {size_um[0]:.3g} x {size_um[1]:.3g} µm, nearer than any platform's"
        raise EosinError(problem, fix=f"{fix}: positions in mm?")


def odd_width(xy_um: np.ndarray, diameter_um: float) -> list[str]:
    """A note where spots are far wider than they lie apart, or far narrower: a width in pixels or in mm."""
    finite = xy_um[np.isfinite(xy_um).all(1)]
    if not FEW < len(finite) <= _MANY or not is_finite(diameter_um):  # which the record of spots refuses
        return []
    pitch_um = nearest_spacing(finite)
    if not pitch_um > 0 or _NARROW <= diameter_um / pitch_um <= _WIDE:
        return []
    return [f"spots are {diameter_um:.3g} µm wide and lie {pitch_um:.3g} µm apart: is their width in µm?"]


def shared_places(xy_um: np.ndarray) -> list[str]:
    """A note where a few spots lie at the place of another, as those whose position a tool lost lie at (0, 0).

    Raises
    ------
    EosinError
        Over a twentieth do.
    """
    finite = xy_um[np.isfinite(xy_um).all(1)]
    if len(finite) > _MANY or not len(finite):
        return []
    places, counts = np.unique(finite, axis=0, return_counts=True)
    n_others = len(finite) - len(places)
    if not n_others:
        return []
    x, y = places[int(np.argmax(counts))]
    problem = f"{n_others} of {len(finite)} spots lie at the place of another, as at ({x:.4g}, {y:.4g}) µm"
    if n_others > max(MOST_SHARED * len(finite), _FEWEST_SHARED):
        raise EosinError(problem, fix="leave out spots without a position, or give a section a file")
    return [f"{problem}: have they a position?"]
