"""Whether positions of Xenium are µm: by how far they reach, compared with all that tells how large the region is."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eosin.data.readers.tenx.xenium_frame import pixel_um_of
from eosin.data.uns_spatial import stated_number
from eosin.errors import EosinError
from eosin.storage.files import read_json

_FARTHER, _FARTHER_UM = 1.5, 200.0
"""How much farther than the cells transcripts may reach."""
_BEYOND = 1.05
"""How far positions may reach beyond the morphology image."""
_FIX = "take both of one region, in µm and not in pixels"
_MORPHOLOGY = ("morphology*.ome.tif", "morphology_focus/*.ome.tif")
_UNKNOWN = "neither cells nor a morphology image tell how large the region is: transcripts are taken to be in µm"


@dataclass(frozen=True)
class Extent:
    """The box that positions fill: smallest and largest x and y."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, xy: np.ndarray) -> Extent:
        """Of positions [m 2]; empty where there are none."""
        finite = xy[np.isfinite(xy).all(1)]
        return cls(finite.min(0, initial=np.inf), finite.max(0, initial=-np.inf))

    def __or__(self, other: Extent) -> Extent:
        return Extent(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


def check_extent(file: Path, extent: Extent, kind: str, cells: Path | None = None) -> list[str]:
    """Refuse positions that are no µm of the region, by the files beside them; a note where nothing tells.

    Compared are the centres of cells, else the morphology image, else the area that `experiment.xenium` states.

    Parameters
    ----------
    file
        The table of the positions.
    extent
        The box that they fill.
    kind
        What the positions are of: `transcripts` or `cells`.
    cells
        The table of cells beside transcripts.

    Raises
    ------
    EosinError
        Positions reach far beyond all of the region, as those in pixels do.
    """
    folder = file.parent
    told = None if cells is None else _extent_of(cells)
    if told is not None and cells is not None:
        limits = (max(_FARTHER * size, size + _FARTHER_UM) for size in told)
        _refuse(file, extent, told, limits, kind, f"the cells of {cells.name}")
    if (image := _morphology(folder)) is not None:
        size_um = image[1][0] * pixel_um_of(folder)[0], image[1][1] * pixel_um_of(folder)[0]
        _refuse(file, extent, size_um, (_BEYOND * size for size in size_um), kind, f"{image[0].name}")
    if told is not None or image is not None:
        return []
    return _check_area(file, extent, kind)


def _refuse(file: Path, extent: Extent, told: Any, limits: Any, kind: str, whose: str) -> None:
    for axis, reached, size, limit in zip("xy", extent.high, told, limits):
        if reached > limit:
            problem = f"{kind} reach {axis} = {reached:.0f} µm, {whose} {size:.0f}"
            raise EosinError(problem, file=file, fix=_FIX)


def _check_area(file: Path, extent: Extent, kind: str) -> list[str]:
    """By the area in µm² of `experiment.xenium`, which positions in pixels exceed by over twenty times."""
    told = file.parent / "experiment.xenium"
    facts: Any = read_json(told) if told.is_file() else {}
    area = stated_number(facts, "region_area", told, "") if isinstance(facts, dict) else None
    if area is None:
        return [_UNKNOWN] if kind == "transcripts" else []
    box = float(np.prod(np.maximum(extent.high - extent.low, 0.0)))
    if box * pixel_um_of(file.parent)[0] ** 2 > 0.8 * area:
        problem = f"{kind} fill a box of {box / 1e6:.3g} mm², the region has {area / 1e6:.3g} by {told.name}"
        raise EosinError(problem, file=file, fix=_FIX)
    return []


def _morphology(folder: Path) -> tuple[Path, tuple[int, int]] | None:
    """The morphology image and its width and height in pixels; None where there is none that opens."""
    from eosin.slide.tiff import read_facts  # image libraries load only where a file is asked

    for pattern in _MORPHOLOGY:
        for image in sorted(folder.glob(pattern)):
            with contextlib.suppress(EosinError, OSError):
                return image, read_facts(image).size_px
    return None


def _extent_of(cells: Path) -> tuple[float, float] | None:
    """The largest x and y of the centres of cells; of a Parquet file by its statistics. None where there are none."""
    names = ("x_centroid", "y_centroid")
    try:
        if cells.suffix != ".parquet":
            import pandas as pd

            table = pd.read_csv(cells, usecols=lambda name: name in names)
            largest = {name: float(table[name].max()) for name in names}
        else:
            largest = _by_statistics(cells, names)
    except Exception:  # a damaged table, or one without statistics: whoever reads it says so
        return None
    x, y = (largest[name] for name in names)
    return (x, y) if np.isfinite(x) and np.isfinite(y) else None


def _by_statistics(cells: Path, names: tuple[str, ...]) -> dict[str, float]:
    import pyarrow.parquet as pq

    facts = pq.read_metadata(cells)
    largest = dict.fromkeys(names, -np.inf)
    for group in (facts.row_group(i) for i in range(facts.num_row_groups)):
        for column in (group.column(j) for j in range(group.num_columns)):
            if column.path_in_schema in largest:
                value = float(column.statistics.max)
                largest[column.path_in_schema] = max(largest[column.path_in_schema], value)
    return largest
