"""How large the positions of another tool's AnnData are in µm, and how wide its spots: facts in the file go first.

In this order: what the file says (`microns_per_pixel` of Space Ranger, positions that are µm by their columns), what
the user says (`--mpp`, `--positions-um`), what eosin noted, what follows from bins or from Visium's lattice. What is
told twice is compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.data.array_map import LEAST_SHARE, MOST_SHARE, NEAR, PITCH_UM, SAME, ArrayMap, array_map
from eosin.data.h5ad import is_in_um, width_at
from eosin.data.missing import positive_number
from eosin.errors import EosinError
from eosin.geometry import nearest_spacing
from eosin.types import check_mpp
from eosin.types.places import is_finite

if TYPE_CHECKING:
    from anndata import AnnData

_BIN = re.compile(r"(?:^|[^A-Za-z0-9])s_(\d{3})um_\d+_\d+")
_NOTED_KEYS = ("pixel_size_um_estimated", "pixel_size_um_embedded")
VISIUM_UM = 55.0
"""Width of a spot of Visium, of every version."""
_PITCH_UM = (1.0, 1000.0)  # outside, no spots of any platform lie


@dataclass(frozen=True)
class ForeignScale:
    """What is known of scale.

    Attributes
    ----------
    unit_um
        µm of a unit of `obsm["spatial"]`.
    mpp
        µm per pixel of the full-resolution image; None where positions are µm and nothing says it.
    diameter_um
        Width of a spot.
    platform
        `Visium`, `Visium HD`, or `unknown`.
    notes
        What was assumed, and what contradicts it.
    """

    unit_um: float
    mpp: float | None
    diameter_um: float
    platform: str
    notes: tuple[str, ...]


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
    """

    adata: AnnData
    xy: np.ndarray
    path: Path
    record: Mapping[str, Any]
    factors: Mapping[str, Any]

    @cached_property
    def finite_xy(self) -> np.ndarray:
        """Positions [s 2] that are numbers."""
        return self.xy[np.isfinite(self.xy).all(1)]

    @cached_property
    def array(self) -> ArrayMap | None:
        """The map from `array_col`, `array_row` to positions, where `obs` has these."""
        if not {"array_col", "array_row"} <= set(self.adata.obs):
            return None
        try:
            places = self.adata.obs[["array_col", "array_row"]].to_numpy(np.float64)
        except (TypeError, ValueError):
            return None
        return array_map(places, self.xy)

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
        return positive_number(self.factors.get(key))

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
        """µm per pixel as eosin or HEST noted it, and where."""
        if self.record.get("mpp") is not None:
            return self.record["mpp"], "uns['eosin']"
        values = ((positive_number(self.adata.uns.get(key)), f"uns['{key}']") for key in _NOTED_KEYS)
        return next(((value, where) for value, where in values if value is not None), None)


def scale_of_anndata(facts: ScaleFacts, mpp: float | None, *, positions_um: bool = False) -> ForeignScale:
    """The scale of the positions, from the facts in the file and what the user says.

    Raises
    ------
    EosinError
        Nothing says the scale, two facts contradict each other, or `mpp` contradicts a fact.
    """
    told_um = positions_um or facts.record.get("spatial_unit") == "um"
    in_um = told_um or (facts.stored is None and facts.noted is None and is_in_um(facts.adata, facts.path))
    scale, notes = _mpp(facts, mpp, in_um=in_um)
    if in_um and not told_um:
        notes.append("positions are µm by the columns they are in")
    unit_um = 1.0 if in_um or scale is None else scale
    pitch_um = facts.pitch * unit_um
    _check_bins(facts, pitch_um)
    _check_width(facts)
    platform = "Visium HD" if facts.bin_um is not None else "Visium" if facts.is_visium else "unknown"
    notes += _odd_pitch(facts, pitch_um)
    diameter_um, width_notes = _diameter(facts, None if in_um else scale, unit_um, pitch_um)
    return ForeignScale(unit_um, scale, diameter_um, platform, (*notes, *width_notes))


def _mpp(facts: ScaleFacts, mpp: float | None, *, in_um: bool) -> tuple[float | None, list[str]]:
    """µm per pixel of the image, and a note where it was not written down."""
    path = facts.path
    told = ((mpp, "--mpp"), facts.stored or (None, ""), facts.noted or (None, ""))
    if mpp is not None:
        check_mpp(mpp, path)
    if facts.stored is not None:
        for value, where in (told[0], told[2]):
            if is_finite(value) and abs(value / facts.stored[0] - 1) > SAME:
                problem = f"{where} says {value:g} µm per pixel, {facts.stored[1]} says {facts.stored[0]:g}"
                raise EosinError(problem, file=path, fix="leave out the wrong one")
    known = next((value for value, _ in told if value is not None), None)
    if known is not None or in_um:
        return None if known is None else check_mpp(known, path), []
    if facts.bin_um is not None and facts.pitch > 0:
        scale = check_mpp(facts.bin_um / facts.pitch, path)
        return scale, [f"{scale:.4f} µm/px from the pitch of bins of {facts.bin_um:g} µm"]
    if facts.is_visium:
        scale = check_mpp(PITCH_UM / facts.pitch, path)
        return scale, [f"{scale:.4f} µm/px from the 100 µm pitch of Visium's array"]
    raise _no_scale(facts)


def _no_scale(facts: ScaleFacts) -> EosinError:
    fix = f"give --mpp, the µm per pixel of the full-resolution image, or --positions-um if they are µm{_hint(facts)}"
    return EosinError("does not say the scale of obsm['spatial']", file=facts.path, fix=fix)


def _hint(facts: ScaleFacts) -> str:
    """What the scale would be, where the spots may be of a platform whose pitch is known."""
    pitch, width = facts.pitch, facts.number("spot_diameter_fullres") or 0.0
    if not pitch > 0 or _is_irregular(facts.finite_xy):
        return ""
    if bin_um := facts.number("bin_size_um"):
        return f"; if the spots are bins of {bin_um:g} µm, it is {bin_um / pitch:.4g}"
    if width > 0.9 * pitch:  # bins touch one another, spots do not
        return f"; if the spots are bins of 8 or 16 µm, it is {8 / pitch:.4g} or {16 / pitch:.4g}"
    return f"; if the spots are Visium's, 100 µm apart, it is {PITCH_UM / pitch:.4g}"


def _is_irregular(xy: np.ndarray) -> bool:
    """Whether the distances of nearest neighbours differ, as those of cells do."""
    from scipy.spatial import cKDTree

    nearest = cKDTree(xy).query(xy, k=2)[0][:, 1]
    low, high = np.quantile(nearest, [0.1, 0.9])
    return bool(high > 1.5 * low)


def _check_bins(facts: ScaleFacts, pitch_um: float) -> None:
    """Refuse a scale by which bins are not as far apart as they are wide."""
    known = not _is_irregular(facts.finite_xy) if facts.array is None else facts.array.is_lattice
    if facts.bin_um is None or not known:
        return
    if abs(pitch_um / facts.bin_um - 1) > NEAR:
        problem = f"bins of {facts.bin_um:g} µm by their barcodes lie {pitch_um:.3g} µm apart at this scale"
        fix = f"by the bins it is {facts.bin_um / facts.pitch:.4g} µm per pixel: give that as --mpp, or no --mpp"
        raise EosinError(problem, file=facts.path, fix=fix)


def _check_width(facts: ScaleFacts) -> None:
    """Refuse positions of a reduced picture: a spot of Visium is 0.55 to 0.65 of the pitch wide."""
    width_px = facts.number("spot_diameter_fullres")
    if not facts.is_visium or width_px is None or LEAST_SHARE < width_px / facts.pitch < MOST_SHARE:
        return
    problem = f"spots lie {facts.pitch:.4g} px apart, and spot_diameter_fullres says that one is {width_px:.4g} px wide"
    fix = "store positions in pixels of the full-resolution image"
    for name in ("hires", "lowres"):
        factor = facts.number(f"tissue_{name}_scalef")
        if factor is not None and LEAST_SHARE < width_px * factor / facts.pitch < MOST_SHARE:
            fix = (
                f"positions seem to be pixels of the {name} picture: divide them by tissue_{name}_scalef, {factor:.4g}"
            )
            break
    raise EosinError(problem, file=facts.path, fix=fix)


def _odd_pitch(facts: ScaleFacts, pitch_um: float) -> list[str]:
    """Notes where spots are farther apart or nearer than those of the platform are."""
    notes = facts.array.note() if facts.array is not None and facts.array.is_lattice else []
    if facts.is_visium and abs(pitch_um / PITCH_UM - 1) > NEAR:
        notes.append(f"the pitch is {pitch_um:.3g} µm at this scale where Visium's is 100: the scale may be wrong")
    elif np.isfinite(pitch_um) and not _PITCH_UM[0] <= pitch_um <= _PITCH_UM[1]:
        notes.append(f"the spots lie {pitch_um:.3g} µm apart: the scale may be wrong, or the positions be µm")
    return notes


def _diameter(facts: ScaleFacts, scale: float | None, unit_um: float, pitch_um: float) -> tuple[float, list[str]]:
    """Width of a spot in µm, and a note where it is assumed or told twice."""
    if noted := width_at(facts.record, scale):
        return noted, []
    width_px = facts.number("spot_diameter_fullres")
    if facts.bin_um is not None:
        odd = width_px is not None and abs(width_px * unit_um / facts.bin_um - 1) > NEAR
        said = f"spot_diameter_fullres says {width_px * unit_um:.3g} µm" if width_px and odd else ""
        return facts.bin_um, [f"bins are {facts.bin_um:g} µm wide by their barcodes; {said}"] if said else []
    if width_px is not None:
        return width_px * unit_um, []
    if (area_um2 := facts.cell_area) is not None:
        width_um = 2 * float(np.sqrt(area_um2 / np.pi))
        return width_um, [f"cells are {width_um:.3g} µm wide by the median of obs['cell_area']"]
    if facts.is_visium:
        return VISIUM_UM, [f"spot diameter {VISIUM_UM:g} µm, as Visium's"]
    assumed = pitch_um / 2 if pitch_um > 0 else 100.0
    return assumed, [f"spot diameter assumed to be half the pitch, {assumed:.3g} µm"]


def factors_of(adata: AnnData, library: str | None = None) -> Mapping[str, Any]:
    """`scalefactors` of a library in `uns["spatial"]`; of the first that has any where it is not named."""
    return next((factors for entry in _entries(adata, library) if (factors := _part(entry, "scalefactors"))), {})


def reduced_picture(adata: AnnData, library: str | None = None) -> tuple[tuple[int, int], float] | None:
    """Height and width of a reduced picture in `uns["spatial"]`, and its pixels per pixel of the full one.

    None where there is none, or a blank one that stands in for it.
    """
    for entry in _entries(adata, library):
        images, factors = _part(entry, "images"), _part(entry, "scalefactors")
        for name in ("hires", "lowres"):
            pixels, factor = np.asarray(images.get(name, ())), positive_number(factors.get(f"tissue_{name}_scalef"))
            if factor is not None and pixels.ndim >= 2 and pixels.size and np.ptp(pixels[::7, ::7]) > 0:
                return (pixels.shape[0], pixels.shape[1]), factor
    return None


def _entries(adata: AnnData, library: str | None) -> list[Any]:
    libraries = adata.uns.get("spatial")
    if not isinstance(libraries, dict):
        return []
    return [libraries[library]] if library in libraries else list(libraries.values())


def _part(entry: Any, name: str) -> Mapping[str, Any]:
    part = entry.get(name) if isinstance(entry, dict) else None
    return part if isinstance(part, dict) else {}
