"""Features of tiles on a grid of their own, put onto spots: the nearest tile, or those that a spot overlaps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from eosin.errors import EosinError
from eosin.features.feature_file import FeatureFile
from eosin.features.feature_section import slide_mpp
from eosin.features.foreign_tiles import width_of_tiles
from eosin.features.same_slide import check_same_slide
from eosin.types import Section

MATCHES = ("exact", "nearest", "overlap")
_MOST_LACKING = 0.5
"""Share of spots without a tile above which the file must be of another slide or scale."""


@dataclass(frozen=True)
class TileMatch:
    """How the tiles of a feature file are put onto spots.

    Attributes
    ----------
    how
        `exact`: one tile at every spot, by name or position. `nearest`: the tile whose centre is nearest. `overlap`:
        the mean of the tiles that a spot overlaps, weighted by the area of the overlap.
    most_um
        Largest distance from a spot's centre to that of a tile, µm; by default the tile must touch the spot
        (`overlap`) or hold its centre, whichever way it lies (`nearest`: half its diagonal).

    Raises
    ------
    EosinError
        An unknown way, or a distance that is not positive or goes with `exact`.
    """

    how: str = "exact"
    most_um: float | None = None

    def __post_init__(self) -> None:
        if self.how not in MATCHES:
            raise EosinError(f"--match is '{self.how}'", fix=f"give {', '.join(MATCHES)}")
        if self.most_um is not None and not (math.isfinite(self.most_um) and self.most_um > 0):
            raise EosinError(f"--match-um is {self.most_um:g}", fix="give a distance in µm above 0")
        if self.most_um is not None and self.how == "exact":
            raise EosinError("--match-um has no use without --match", fix="give --match nearest or overlap as well")


EXACT = TileMatch()


def weights_of_tiles(section: Section, file: FeatureFile, path: Path, match: TileMatch) -> sparse.csr_matrix:
    """Weight of each tile (t) for each spot (s), [s t]; a row adds up to 1, or is empty where no tile is near enough.

    Tiles that could not be read have no weight.

    Parameters
    ----------
    section
        With spots in µm of the slide.
    file, path
        The feature file.
    match
        `nearest` or `overlap`.

    Raises
    ------
    EosinError
        Width or scale of the tiles is not known, or more than half of the spots have no tile.
    """
    check_same_slide(section, file, path)
    centres_um, width_um = _tiles_um(section, file, path)
    usable = np.flatnonzero(file.readable) if len(file.readable) else np.arange(len(centres_um))
    find = _nearest if match.how == "nearest" else _overlap
    spots, tiles, weights = find(section, centres_um[usable], width_um, match.most_um)
    matrix = sparse.csr_matrix((weights, (spots, usable[tiles])), shape=(len(section), len(centres_um)))
    total = np.asarray(matrix.sum(1)).ravel()
    n_lacking = int((total == 0).sum())
    if n_lacking > _MOST_LACKING * len(section):
        raise EosinError(
            f"{n_lacking} of the {len(section)} spots of section '{section.name}' have no tile of {width_um:.0f} µm "
            f"near enough",
            file=path,
            fix="check that slide and scale (--mpp) are those of the section, or give a larger --match-um",
        )
    return sparse.csr_matrix(sparse.diags_array(1 / np.where(total > 0, total, 1)) @ matrix)


def _tiles_um(section: Section, file: FeatureFile, path: Path) -> tuple[np.ndarray, float]:
    """Centres of the tiles [t 2] and their width, µm."""
    width_px = width_of_tiles(file, path)
    mpp = slide_mpp(file.attrs, None if section.image is None else section.image.mpp)
    if width_px is None or mpp is None:
        what = "width of its tiles" if width_px is None else "slide's µm per pixel"
        fix = "add the attribute patch_size_level0 to 'coords'" if width_px is None else "give the section an image"
        raise EosinError(f"does not say the {what}", file=path, fix=fix)
    centres = file.centres_um if file.centres_um is not None else (file.origins_px + width_px / 2) * mpp
    return centres, width_px * mpp


def _nearest(
    section: Section, centres_um: np.ndarray, width_um: float, most_um: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spots, their nearest tiles, and weights of 1."""
    most_um = width_um / math.sqrt(2) if most_um is None else most_um
    distance_um, tiles = cKDTree(centres_um).query(section.spots.xy_um)
    spots = np.flatnonzero(distance_um <= most_um)
    return spots, tiles[spots], np.ones(len(spots))


def _overlap(
    section: Section, centres_um: np.ndarray, width_um: float, most_um: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spots, tiles that each overlaps, and the area of the overlap, µm²; spots are taken as squares of their width."""
    xy_um, spot_um = section.spots.xy_um, section.spots.diameter_um
    near = cKDTree(centres_um).query_ball_point(xy_um, (width_um + spot_um) / 2, p=np.inf)
    spots = np.repeat(np.arange(len(xy_um)), [len(tiles) for tiles in near])
    tiles = np.concatenate([np.asarray(tiles, np.int64) for tiles in near]) if len(near) else np.empty(0, np.int64)
    apart = np.abs(centres_um[tiles] - xy_um[spots])
    sides = np.clip(np.minimum((width_um + spot_um) / 2 - apart, min(width_um, spot_um)), 0, None)
    area = sides.prod(1)
    kept = area > 0
    if most_um is not None:
        kept &= np.linalg.norm(centres_um[tiles] - xy_um[spots], axis=1) <= most_um
    return spots[kept], tiles[kept], area[kept]
