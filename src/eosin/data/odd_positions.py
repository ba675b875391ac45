"""Positions of an AnnData that are none, run upwards, have a third number, or are of the reduced picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eosin.data.libraries import BARCODE_CORE
from eosin.data.position_columns import X_AND_Y_UM
from eosin.errors import EosinError

if TYPE_CHECKING:
    from anndata import AnnData

_MOST_WITHOUT = 0.05
"""Share of spots that may have no position."""
_LARGEST_FACTOR, _FEWEST = 0.5, 20
"""Of reduced pictures that positions may be taken from unseen, and spots from which on they tell."""


def without_place(xy: np.ndarray, path: Path) -> np.ndarray:
    """[s] which spots have no position: it is not finite, or several lie at (0, 0), where tools put such.

    None where many have none, which the record refuses.

    Raises
    ------
    EosinError
        Many lie at (0, 0).
    """
    nowhere: np.ndarray = np.array(~np.isfinite(xy).all(1))
    at_origin = (xy == 0).all(1)
    if (n := int(at_origin.sum())) > 1 and n < len(xy):
        if n > _MOST_WITHOUT * len(xy):
            problem = f"{n} of {len(xy)} spots lie at (0, 0), where tools put those without a position"
            raise EosinError(problem, file=path, fix="leave them out, or store their positions")
        nowhere |= at_origin
    return nowhere if nowhere.sum() <= _MOST_WITHOUT * len(xy) else np.zeros(len(xy), dtype=bool)


def odd_axes(adata: AnnData, xy: np.ndarray, path: Path) -> list[str]:
    """Notes where y runs upwards, or a third number of `obsm["spatial"]` differs between spots.

    Raises
    ------
    EosinError
        The first of three numbers is the same for all, as z is in tables of z, y, x; or columns of `obs` in µm say that
        y stands before x.
    """
    notes, stored = [], np.shape(adata.obsm["spatial"])
    finite = xy[np.isfinite(xy).all(1)]
    if len(finite) < 2:
        return []
    if len(stored) == 2 and stored[1] > 2 and not hasattr(adata.obsm["spatial"], "columns"):
        if np.ptp(finite[:, 0]) == 0 and np.ptp(finite[:, 1]) > 0:
            problem = f"obsm['spatial'] has {stored[1]} columns, of which the first is the same for all spots"
            raise EosinError(problem, file=path, fix="store x before y, and no z before them")
        others = np.asarray(adata.obsm["spatial"][:, 2:], dtype=np.float64)
        if np.nanmax(np.ptp(others, axis=0)) > 0:
            notes.append(f"obsm['spatial'] has {stored[1]} columns, of which the first two are taken for x and y")
    for first, second in X_AND_Y_UM:
        if {first, second} <= set(adata.obs):
            pair = [adata.obs[name] for name in (first, second)]
            own = [np.asarray(column, np.float64) for column in pair if getattr(column.dtype, "kind", "O") in "iuf"]
            told = np.stack(own, 1) if len(own) == 2 else np.zeros((0, 2))
            if len(told) and np.allclose(xy[:, ::-1], told, rtol=1e-4) and not np.allclose(told[:, 0], told[:, 1]):
                problem = f"obsm['spatial'] holds y before x: its second column is obs['{first}']"
                raise EosinError(problem, file=path, fix="exchange its columns")
    for axis, name, way in ((1, "y", "upwards, as in a plot; in a picture it runs down"), (0, "x", "to the left")):
        if finite[:, axis].max() < 0:
            notes.append(f"{name} is negative throughout: it seems to run {way}")
    return notes


def check_not_reduced(xy: np.ndarray, reduced: tuple[tuple[int, int], float] | None, path: Path) -> None:
    """Refuse pixels of the reduced picture in the place of those of the full one: all spots lie within its size.

    Parameters
    ----------
    xy
        Positions [s 2], pixels.
    reduced
        Height and width of the reduced picture, and its pixels per pixel of the full one.
    """
    if reduced is None or reduced[1] >= _LARGEST_FACTOR or len(xy) < _FEWEST:
        return
    (height, width), factor = reduced
    if np.isfinite(xy).all() and (xy >= 0).all() and (xy <= (width, height)).all():
        full = f"{width / factor:.0f} x {height / factor:.0f} px"
        problem = f"all spots lie within {width} x {height} px, the size of the reduced picture, and not of {full}"
        fix = f"store positions in pixels of the full picture: divide them by the scale factor, {factor:.4g}"
        raise EosinError(problem, file=path, fix=fix)


def no_positions(adata: AnnData, path: str | Path) -> EosinError:
    """The error of an AnnData without `obsm["spatial"]`, by what it has in its place."""
    import re

    barcodes = sum(re.search(BARCODE_CORE, str(name)) is not None for name in adata.var_names[:200])
    if barcodes > min(adata.n_vars, 200) / 2:
        return EosinError("is genes x spots: its columns are barcodes", file=path, fix="transpose it (adata.T)")
    there = f"; its obsm has {', '.join(map(str, list(adata.obsm)[:6]))}" if len(adata.obsm) else ""
    fix = f"store the spots' pixel positions there, x before y{there}"
    return EosinError("has no obsm['spatial']", file=path, fix=fix)


def check_type(stored: np.ndarray, path: str | Path) -> None:
    """Refuse positions of a type of number that is too small for pixels of a slide: larger ones begin anew.

    Raises
    ------
    EosinError
        It is of 8 bit, or of 16 bit with negative numbers.
    """
    size = stored.dtype.itemsize if stored.dtype.kind in "iu" else 8
    if size == 1 or (size == 2 and stored.dtype.kind == "i" and stored.size and stored.min() < 0):
        problem = f"obsm['spatial'] is of type {stored.dtype}, which is too small for positions"
        raise EosinError(problem, file=path, fix="store them as float32 or int32, from the original")
