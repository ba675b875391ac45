"""What another tool's AnnData says of scale, before anything is decided: `eosin.data.foreign_scale` weighs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.data.array_map import ArrayMap, array_map
from eosin.data.missing import positive_number
from eosin.data.scale_keys import hest_scale, may_be_scales
from eosin.data.uns_spatial import stated_number, stated_scale
from eosin.errors import EosinError
from eosin.geometry import nearest_spacing

if TYPE_CHECKING:
    from anndata import AnnData

_BIN = re.compile(r"(?:^|[^A-Za-z0-9])s_(\d{3})um_(\d+)_(\d+)")
_STEREO = ("bin_size", "bin_type")
"""Keys of stereopy's in `uns`, whose positions count pixels of `uns["resolution"]` nm."""
_RESOLUTION_NM = (100.0, 10_000.0)


@dataclass(frozen=True)
class ScaleFacts:
    """What a file says of scale, before anything is decided.

    Attributes
    ----------
    adata, xy, path
        The spots, their positions [s 2] in the file's unit, and the file.
    record
        `uns["eosin"]`.
    factors
        `scalefactors` of the library.
    image, image_ratio
        The image beside the file, and how many times larger it is than the picture of the positions.
    """

    adata: AnnData
    xy: np.ndarray
    path: Path
    record: Mapping[str, Any]
    factors: Mapping[str, Any]
    image: Path | None = None
    image_ratio: float = 1.0

    @cached_property
    def finite_xy(self) -> np.ndarray:
        """Positions [s 2] that are numbers."""
        return self.xy[np.isfinite(self.xy).all(1)]

    @cached_property
    def array(self) -> ArrayMap | None:
        """The map from `array_col`, `array_row` to positions; by the barcodes of bins where `obs` has none that fit."""
        return self._array_of_obs or self._array_of_bins

    @property
    def _array_of_obs(self) -> ArrayMap | None:
        if not {"array_col", "array_row"} <= set(self.adata.obs):
            return None
        try:
            places = self.adata.obs[["array_col", "array_row"]].to_numpy(np.float64)
        except (TypeError, ValueError):
            return None
        return array_map(places, self.xy)

    @property
    def _array_of_bins(self) -> ArrayMap | None:
        if self.bin_um is None:
            return None
        matches = [_BIN.search(str(name)) for name in self.adata.obs_names]
        places = [(np.nan, np.nan) if match is None else (match.group(3), match.group(2)) for match in matches]
        return array_map(np.array(places, dtype=np.float64), self.xy, hexagonal=False)

    @cached_property
    def pitch(self) -> float:
        """Distance of neighbouring spots in the file's unit; by the array where that fits, else the median."""
        if self.array is not None and self.array.is_lattice:
            return self.array.pitch
        return nearest_spacing(self.finite_xy)

    @cached_property
    def bin_um(self) -> float | None:
        """Width of a bin of Visium HD by the barcodes, `s_008um_00012_00034-1`; None for spots of another kind."""
        widths = {match.group(1) for name in self.adata.obs_names if (match := _BIN.search(str(name)))}
        return float(widths.pop()) if len(widths) == 1 and int(next(iter(widths))) > 0 else None

    @property
    def is_visium(self) -> bool:
        """Whether the places on the array and the positions are Visium's lattice."""
        return self.bin_um is None and self.array is not None and self.array.hexagonal and self.array.is_lattice

    def number(self, key: str) -> float | None:
        """A finite positive number of the scale factors."""
        return stated_number(self.factors, key, self.path)

    @property
    def cell_area(self) -> float | None:
        """Median area of cells in µm², as Xenium's tables have it."""
        import pandas as pd

        if "cell_area" not in self.adata.obs:
            return None
        return positive_number(float(pd.to_numeric(self.adata.obs["cell_area"], errors="coerce").median()))

    @property
    def stored(self) -> tuple[float, str] | None:
        """µm per pixel as Space Ranger wrote it, and where."""
        value = self.number("microns_per_pixel")
        return None if value is None else (value, "microns_per_pixel of uns['spatial']")

    @property
    def noted(self) -> tuple[float, str] | None:
        """µm per pixel as eosin, HEST or stereopy noted it, and where."""
        if (own := stated_scale(self.record, self.path, " of uns['eosin']")) is not None:
            return own, "uns['eosin']"
        value, key, _ = hest_scale([self.adata.uns], self.path)
        if value is not None:
            return value, f"uns['{key}']"
        return None if self.stereo_um is None else (self.stereo_um, "uns['resolution']")

    @property
    def others(self) -> list[tuple[str, float]]:
        """Numbers that may be µm per pixel by their names, and where they stand; none is taken for the scale."""
        return may_be_scales(self.adata.uns, self.factors)

    @cached_property
    def stereo_um(self) -> float | None:
        """µm of a unit of the positions by stereopy's `uns["resolution"]`, which is in nm."""
        if not set(_STEREO) & set(self.adata.uns):
            return None
        nm = stated_number(self.adata.uns, "resolution", self.path)
        return nm / 1000 if nm is not None and _RESOLUTION_NM[0] <= nm <= _RESOLUTION_NM[1] else None

    @property
    def stereo_bin_um(self) -> float | None:
        """Width of a bin of stereopy; None where it binned by cells."""
        if self.stereo_um is None or str(self.adata.uns.get("bin_type", "bins")) != "bins":
            return None
        n_units = stated_number(self.adata.uns, "bin_size", self.path)
        return None if n_units is None else n_units * self.stereo_um

    @cached_property
    def of_image(self) -> float | None:
        """µm per pixel of the picture of the positions, as the image beside the file says."""
        if self.image is None:
            return None
        from eosin.slide import scale_of  # image libraries load only where a file is asked

        try:
            own = scale_of(self.image)
        except EosinError:
            return None  # whoever encodes it says what is wrong with it
        return None if own is None else own * self.image_ratio
