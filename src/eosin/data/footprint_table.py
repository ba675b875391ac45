"""Areas and outlines of cells in an AnnData, as 10x's tables call them, and back.

`obs["cell_id"]`, `obs["cell_area"]` (µm²), and `uns["cell_outlines"]`: the columns `cell_id`, `vertex_x`, `vertex_y` of
a table with a row per corner, as `cell_boundaries.parquet` of Xenium, in the unit of `obsm["spatial"]`. Cells are told
by their ids, so that the table stays right where rows of the object are dropped or sorted.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.data.cell_outlines import Rings
from eosin.data.reader import blame
from eosin.errors import EosinError
from eosin.types import Footprints, Outlines, Spots

if TYPE_CHECKING:
    from anndata import AnnData

ID, AREA, OUTLINES = "cell_id", "cell_area", "cell_outlines"
_COLUMNS = (ID, "vertex_x", "vertex_y")


def put_footprints(adata: AnnData, spots: Spots, mpp: float | None) -> None:
    """Store areas and outlines, where the spots are cells; `mpp` µm per pixel, None where positions are µm."""
    import pandas as pd

    if spots.footprints is None:
        return
    outlines = spots.footprints.outlines
    adata.obs[ID] = list(spots.ids)
    adata.obs[AREA] = spots.footprints.area_um2
    if outlines is not None:
        codes = np.repeat(np.arange(len(spots), dtype=np.int32), np.diff(outlines.starts))
        corners = outlines.corners_um / np.float32(1.0 if mpp is None else mpp)
        of_corner = pd.Categorical.from_codes(codes, pd.Index(spots.ids, dtype=object))  # pyright: ignore
        adata.uns[OUTLINES] = dict(zip(_COLUMNS, (of_corner, *np.ascontiguousarray(corners.T))))


def areas_in(adata: AnnData) -> np.ndarray | None:
    """`obs["cell_area"]` [s] in µm², NaN for what is no area; None where there is none at all."""
    import pandas as pd

    if AREA not in adata.obs:
        return None
    area = pd.to_numeric(adata.obs[AREA], errors="coerce").to_numpy(np.float64)
    area = np.where(np.isfinite(area) & (area > 0), area, np.nan)
    return area if np.isfinite(area).any() else None


def get_footprints(adata: AnnData, unit_um: float, path: str | Path, *, wider: float = 1.0) -> Footprints | None:
    """What `put_footprints` stored; None where the rows are no cells.

    Parameters
    ----------
    unit_um
        µm of one unit of `obsm["spatial"]`.
    wider
        How many times as long distances are as when areas were stored, where another µm per pixel is given.

    Raises
    ------
    EosinError
        The table of outlines was altered out of shape.
    """
    area = areas_in(adata)
    if area is None and AREA not in adata.obs:
        return None
    area = np.full(adata.n_obs, np.nan) if area is None else area * wider**2
    with blame(path):
        return Footprints(area, _outlines(adata, unit_um))


def footprints_of_shapes(adata: AnnData, shapes: Any, to_um: np.ndarray) -> Footprints | None:
    """Areas by `obs["cell_area"]`, and outlines where a cell's shape is a polygon; None where rows are no cells.

    Parameters
    ----------
    shapes
        GeoDataFrame with a shape for each row.
    to_um
        [2 3] map from the shapes' unit to µm of the section.
    """
    area = areas_in(adata)
    if area is None:
        return None
    if set(shapes.geometry.geom_type) != {"Polygon"}:
        return Footprints(area)
    import shapely

    corners, owner = shapely.get_coordinates(shapely.get_exterior_ring(shapes.geometry.to_numpy()), return_index=True)
    outlines, _ = Rings.of_corners(corners @ to_um[:, :2].T + to_um[:, 2], owner).largest(adata.n_obs)
    return Footprints(area, outlines)


def _outlines(adata: AnnData, unit_um: float) -> Outlines | None:
    stored: Any = adata.uns.get(OUTLINES)
    if stored is None:
        return None
    import pandas as pd

    try:
        ids, x, y = (stored[column] for column in _COLUMNS)
        of_corner = pd.Categorical(ids)
        place = adata.obs_names.get_indexer(of_corner.categories.astype(str))
        owner = np.where(of_corner.codes >= 0, place[of_corner.codes], -1)
        corners = np.stack([np.asarray(axis, dtype=np.float32) for axis in (x, y)], 1) * np.float32(unit_um)
        if len(corners) != len(owner):
            raise ValueError("columns of different lengths")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        problem = f"uns['{OUTLINES}'] is no table of {', '.join(_COLUMNS)} ({error})"
        raise EosinError(problem, fix="remove it, or write the file again") from error
    outlines, _ = Rings.of_corners(corners, owner).largest(adata.n_obs)
    return outlines
