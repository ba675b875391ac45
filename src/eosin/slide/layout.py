"""Spots of an image without measurements: a lattice on its tissue, or positions that the user gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.options import LayoutOptions, takes_options
from eosin.slide.lattice import LATTICES, Lattice, SquareLattice
from eosin.slide.outlines import read_tissue
from eosin.slide.plausible import warn_of_little
from eosin.slide.points import read_points
from eosin.slide.slide import Slide
from eosin.slide.tissue import find_tissue
from eosin.types import Spots


class Layout(ABC):
    """A way to lay spots on a slide."""

    @abstractmethod
    def lay(self, slide: Slide) -> Spots:
        """The spots of a slide.

        Raises
        ------
        EosinError
            There are none, or the file of points or tissue cannot be read.
        """


@dataclass(frozen=True)
class OnTissue(Layout):
    """Spots on a lattice, where there is tissue.

    Attributes
    ----------
    lattice
        Kind and pitch.
    spot_um
        Diameter of a spot, µm; by default the pitch. The field of view of the encoder is a setting of the encoder.
    mask
        GeoJSON of the tissue; None finds it in the image.
    """

    lattice: Lattice = field(default_factory=SquareLattice)
    spot_um: float | None = None
    mask: Path | None = None

    def lay(self, slide: Slide) -> Spots:
        """Spots of the lattice on the slide's tissue."""
        tissue = find_tissue(slide) if self.mask is None else read_tissue(self.mask, slide)
        spots = self.lattice.lay(tissue, self.spot_um)
        warn_of_little(slide.path.name, slide.mpp, tissue.area_um2, len(spots))
        return spots


@dataclass(frozen=True)
class AtPoints(Layout):
    """Spots at the points of a file, on tissue or not.

    Attributes
    ----------
    path
        Table or GeoJSON of positions (`read_points`).
    spot_um
        Diameter of a spot, µm; 100 if None.
    """

    path: Path
    spot_um: float | None = None

    def lay(self, slide: Slide) -> Spots:
        """Spots at the points of the file."""
        return read_points(self.path, slide, 100.0 if self.spot_um is None else self.spot_um)


@takes_options()
def layout_of(options: LayoutOptions = LayoutOptions()) -> Layout:
    """The layout that options ask for.

    Raises
    ------
    EosinError
        An impossible width, an unknown lattice, or both points and tissue.
    """
    spot_um, points, tissue = options.spot_um, options.points, options.tissue
    if spot_um is not None and not (np.isfinite(spot_um) and spot_um > 0):
        raise EosinError(f"a spot of {spot_um:g} µm is impossible", fix="give a positive --spot-um")
    if points is not None and tissue is not None:
        raise EosinError("both points and tissue are given", fix="give --points, or --tissue with a lattice")
    if points is not None:
        return AtPoints(Path(points), spot_um)
    lattice = options.lattice
    if not isinstance(lattice, Lattice):
        lattice = LATTICES[lattice](options.pitch_um)
    return OnTissue(lattice, spot_um, None if tissue is None else Path(tissue))
