"""How large the positions of another tool's AnnData are in µm, and how wide its spots: facts in the file go first.

In this order: what the file says (`microns_per_pixel` of Space Ranger, positions that are µm by their columns), what
the user says (`--mpp`, `--positions-um`), what eosin, HEST or stereopy noted, what follows from bins or from Visium's
lattice, what the image beside the file says. What is told twice is compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from eosin.data.array_map import LEAST_SHARE, MOST_SHARE, NEAR, PITCH_UM, SAME
from eosin.data.h5ad import is_in_um, width_at
from eosin.data.plausible_spots import FEW, LEAST_UM, MOST_UM
from eosin.data.scale_facts import ScaleFacts
from eosin.data.scale_keys import hest_scale, notes_on_others
from eosin.errors import EosinError
from eosin.types import check_mpp
from eosin.types.places import is_finite, is_plausible

_LEGACY_ST = re.compile(r"\d+x\d+")
VISIUM_UM = 55.0
"""Width of a spot of Visium, of every version."""
_PITCH_UM = (1.5, 1000.0)  # outside, no spots of any platform lie
_STEP = 1.5
"""Units apart that neighbours are on an array: 1, or of Visium's half columns the root of 2."""


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


def scale_of_anndata(facts: ScaleFacts, mpp: float | None, *, positions_um: bool = False) -> ForeignScale:
    """The scale of the positions, from the facts in the file and what the user says.

    Raises
    ------
    EosinError
        Nothing says the scale, two facts contradict each other, or `mpp` contradicts a fact.
    """
    told_um = positions_um or facts.record.get("spatial_unit") == "um"
    in_um = told_um or (facts.stored is None and facts.noted is None and is_in_um(facts.adata, facts.path))
    _check_no_array(facts)
    scale, notes = _mpp(facts, mpp, in_um=in_um)
    notes += [*hest_scale([facts.adata.uns], facts.path)[2], *notes_on_others(facts.others, scale)]
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
    if mpp is not None and facts.stereo_um is not None and abs(mpp / facts.stereo_um - 1) > SAME:
        problem = f"--mpp says {mpp:g} µm per pixel, uns['resolution'] says {facts.stereo_um:g} (in nm)"
        raise EosinError(problem, file=path, fix="leave out the wrong one")
    known, where = next(((value, where) for value, where in told if value is not None), (None, ""))
    if known is not None:
        by_nm = where == "uns['resolution']"
        return check_mpp(known, path), [f"{known:g} µm per unit, as uns['resolution'] says in nm"] if by_nm else []
    if in_um:
        return _of_image(facts) or (None, [])
    if facts.bin_um is not None and facts.pitch > 0:
        scale = check_mpp(facts.bin_um / facts.pitch, path)
        return scale, [f"{scale:.4f} µm/px from the pitch of bins of {facts.bin_um:g} µm"]
    if facts.is_visium:
        scale = check_mpp(PITCH_UM / facts.pitch, path)
        return scale, [f"{scale:.4f} µm/px from the 100 µm pitch of Visium's array"]
    if (found := _of_image(facts)) is not None:
        return found
    raise _no_scale(facts)


def _of_image(facts: ScaleFacts) -> tuple[float, list[str]] | None:
    """The scale that the image beside the file says, where nothing else says one, and a note."""
    if facts.of_image is None or facts.image is None:
        return None
    return check_mpp(facts.of_image, facts.path), [f"{facts.of_image:.4g} µm/px as {facts.image.name} says"]


def _no_scale(facts: ScaleFacts) -> EosinError:
    hint = _hint(facts)
    if others := facts.others:
        where, value = others[0]
        hint += f"; {where} says {value:g}, which may be of another picture: give it if it is not"
    fix = f"give --mpp, the µm per pixel of the full-resolution image, or --positions-um if they are µm{hint}"
    return EosinError("does not say the scale of obsm['spatial']", file=facts.path, fix=fix)


def _hint(facts: ScaleFacts) -> str:
    """What the scale would be, where the spots may be of a platform whose pitch is known."""
    pitch, width = facts.pitch, facts.number("spot_diameter_fullres") or 0.0
    if not pitch > 0 or _is_irregular(facts.finite_xy):
        return ""
    if bin_um := facts.number("bin_size_um"):
        spots, pitches_um = f"bins of {bin_um:g} µm", (bin_um,)
    elif width > 0.9 * pitch:  # bins touch one another, spots do not
        spots, pitches_um = "bins of 8 or 16 µm", (8.0, 16.0)
    elif all(_LEGACY_ST.fullmatch(str(name)) for name in facts.adata.obs_names):
        spots, pitches_um = "legacy ST's, 200 µm apart", (200.0,)
    else:
        spots, pitches_um = "Visium's, 100 µm apart", (PITCH_UM,)
    scales = [pitch_um / pitch for pitch_um in pitches_um]
    if not all(is_plausible(scale) for scale in scales):  # what would be refused is no advice
        return ""
    return f"; if the spots are {spots}, it is {' or '.join(f'{scale:.4g}' for scale in scales)}"


def _is_irregular(xy: np.ndarray) -> bool:
    """Whether the distances of nearest neighbours differ, as those of cells do."""
    from scipy.spatial import cKDTree

    nearest = cKDTree(xy).query(xy, k=2)[0][:, 1]
    low, high = np.quantile(nearest, [0.1, 0.9])
    return bool(high > 1.5 * low)


def _check_no_array(facts: ScaleFacts) -> None:
    """Refuse places on the array, which count spots, in the place of positions: no scale makes these right."""
    if facts.stored is not None or facts.noted is not None or not 0 < facts.pitch <= _STEP:
        return
    if len(facts.finite_xy) and np.array_equal(facts.finite_xy, np.round(facts.finite_xy)):
        problem = (
            f"spots lie {facts.pitch:.3g} apart on whole numbers: obsm['spatial'] seems to hold places on the array"
        )
        raise EosinError(problem, file=facts.path, fix="store positions in pixels of the full-resolution image")


def _check_bins(facts: ScaleFacts, pitch_um: float) -> None:
    """Refuse a scale by which bins are not as far apart as they are wide."""
    if facts.bin_um is None or facts.array is None or not facts.array.is_lattice:
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
    """Notes where spots are farther apart or nearer than those of the platform are.

    Raises
    ------
    EosinError
        As those of none are.
    """
    notes = facts.array.note() if facts.array is not None and facts.array.is_lattice else []
    if facts.is_visium and abs(pitch_um / PITCH_UM - 1) > NEAR:
        notes.append(f"the pitch is {pitch_um:.3g} µm at this scale where Visium's is 100: the scale may be wrong")
    elif np.isfinite(pitch_um) and not LEAST_UM <= pitch_um <= MOST_UM and len(facts.finite_xy) > FEW:
        times = f"; positions {'in mm times 1000' if pitch_um < 1 else 'in nm by 1000'} would be µm (--positions-um)"
        problem = f"spots lie {pitch_um:.3g} µm apart, as those of no platform do"
        raise EosinError(problem, file=facts.path, fix=f"give the true scale by --mpp{times}")
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
    if (bin_um := facts.stereo_bin_um) is not None:
        return bin_um, [f"bins are {bin_um:g} µm wide by uns['bin_size']"]
    if (area_um2 := facts.cell_area) is not None:
        width_um = 2 * float(np.sqrt(area_um2 / np.pi))
        return width_um, [f"cells are {width_um:.3g} µm wide by the median of obs['cell_area']"]
    if facts.is_visium:
        return VISIUM_UM, [f"spot diameter {VISIUM_UM:g} µm, as Visium's"]
    assumed = pitch_um / 2 if pitch_um > 0 else 100.0
    return assumed, [f"spot diameter assumed to be half the pitch, {assumed:.3g} µm"]
