"""Sections and predictions as SpatialData, as scverse's tools and viewers expect them.

Spots are circles in `shapes["spots"]`, cells with outlines polygons, in pixels of the full-resolution slide (system
`global`) and in µm (`um`); the table `{model}_spots` annotates them. Pixels of the slide are not copied:
`uns["eosin"]["image"]` says where it is.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.data.anndata_door import Thumbnails, to_anndata
from eosin.data.footprint_table import OUTLINES
from eosin.data.readers.native import section_to_anndata
from eosin.data.readers.spatialdata_store import need_spatialdata
from eosin.storage.files import atomic_folder
from eosin.types import Prediction, Section, Spots

if TYPE_CHECKING:
    from anndata import AnnData

SPOTS = "spots"
"""Key of the spots' shapes, and the ending of the table's name (`{model}_{tile_key}`, as wsidata names tables)."""


def to_spatialdata(
    record: Prediction | Section, *, draws: bool = False, thumbnails: Thumbnails | None = None, path: str | Path = "."
) -> Any:
    """A section or a prediction as a `spatialdata.SpatialData`.

    Parameters
    ----------
    record
        A prediction: `X` is the mean, `layers` the error bars. A measured section: `X` is the counts.
    draws
        Also store every draw of a prediction, as `obsm["draws"]` [s k g]
    thumbnails
        Small images of the slide; the larger one becomes `images["thumbnail"]`, laid under the spots.
    path
        Where it will be written; named in an error only.

    Raises
    ------
    EosinError
        The package `spatialdata` is not installed.
    """
    spatialdata = need_spatialdata(path)
    from spatialdata.models import TableModel

    if isinstance(record, Prediction):
        table, name = to_anndata(record, draws=draws), record.model
        del table.uns["spatial"]  # its blank pictures; here shapes and images say all that
    else:
        table, name = section_to_anndata(record), "measured"
    table.uns.pop(OUTLINES, None)  # the shapes are these
    mpp = None if record.image is None else record.image.mpp
    parts: dict[str, Any] = {"shapes": {SPOTS: _shapes(record.spots, mpp)}, "tables": {}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of columns turned into categories
        parts["tables"][f"{_key(name)}_{SPOTS}"] = TableModel.parse(
            _annotating(table), region=SPOTS, region_key="region", instance_key="spot_id"
        )
        if thumbnails is not None:
            parts["images"] = {"thumbnail": _image(thumbnails, mpp)}
        attrs = {"eosin": {"thumbnails": ["thumbnail"]}}
        return spatialdata.SpatialData(**parts, attrs=attrs)


def write_spatialdata(
    record: Prediction | Section, path: str | Path, *, draws: bool = False, thumbnails: Thumbnails | None = None
) -> None:
    """Write a section or a prediction as a SpatialData store, whole or not at all; see `to_spatialdata`.

    Raises
    ------
    EosinError
        The package `spatialdata` is not installed, or the store cannot be written.
    """
    sdata = to_spatialdata(record, draws=draws, thumbnails=thumbnails, path=path)
    with atomic_folder(path) as partial, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        partial.rmdir()  # SpatialData writes into no folder that is there
        sdata.write(partial)


def _key(name: str) -> str:
    """A name that SpatialData allows: letters, digits, `_`, `-` and `.`."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip("_.") or "model"


def _shapes(spots: Spots, mpp: float | None) -> Any:
    """Circles of spots, or polygons of cells; a cell without an outline is a circle of many corners among them."""
    import pandas as pd
    from spatialdata.models import ShapesModel
    from spatialdata.transformations import Identity, Scale

    unit_um = 1.0 if mpp is None else mpp
    systems = {"global": Identity(), "um": Scale([unit_um, unit_um], axes=("x", "y"))}
    index, xy, radius = pd.Index(spots.ids, dtype=object), spots.xy_um / unit_um, spots.widths_um() / 2 / unit_um
    if spots.footprints is None or spots.footprints.outlines is None:
        return ShapesModel.parse(xy, geometry=0, radius=radius, index=index, transformations=systems)
    import geopandas
    import shapely

    polygons: Any = shapely.buffer(shapely.points(xy), radius)
    outlines = spots.footprints.outlines
    sizes = np.diff(outlines.starts)[outlines.drawn]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    corners = outlines.corners_um.astype(np.float64) / unit_um
    polygons[outlines.drawn] = shapely.polygons(shapely.linearrings(corners, indices=owner))
    return ShapesModel.parse(geopandas.GeoDataFrame(geometry=polygons, index=index), transformations=systems)


def _annotating(table: AnnData) -> AnnData:
    import pandas as pd

    table.obs["region"] = pd.Categorical([SPOTS] * table.n_obs)
    table.obs["spot_id"] = list(table.obs_names)
    return table


def _image(thumbnails: Thumbnails, mpp: float | None) -> Any:
    from spatialdata.models import Image2DModel
    from spatialdata.transformations import Scale

    px = thumbnails.hires_um_per_px / (1.0 if mpp is None else mpp)
    return Image2DModel.parse(
        np.moveaxis(thumbnails.hires, -1, 0),
        dims=("c", "y", "x"),
        c_coords=["r", "g", "b"],
        transformations={"global": Scale([px, px], axes=("x", "y"))},
    )
