"""Lattices: regular positions of spots on a slide, in µm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from eosin.config import Registry
from eosin.errors import EosinError
from eosin.slide.tissue import Tissue
from eosin.types import Spots

_MOST = 20_000_000
"""Most positions of a lattice over one slide: bins of 8 µm over 36 x 36 mm."""


@dataclass(frozen=True)
class Lattice(ABC):
    """Regular positions over a rectangle.

    Attributes
    ----------
    pitch_um
        Distance of nearest neighbours, µm.

    Raises
    ------
    EosinError
        The pitch is below 1 µm.
    """

    pitch_um: float = 100.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.pitch_um) and self.pitch_um >= 1):
            fix = "give a --pitch-um of 1 or more"
            raise EosinError(f"a pitch of {self.pitch_um:g} µm between spots is impossible", fix=fix)

    @abstractmethod
    def places(self, width_um: float, height_um: float) -> np.ndarray:
        """Positions (x, y) [n 2] over a rectangle, µm from its top left corner, row by row."""

    def lay(self, tissue: Tissue, spot_um: float | None = None) -> Spots:
        """Spots at the positions of the lattice that lie on tissue.

        A spot is named by its position in µm, so the same name on another lattice means the same position.

        Parameters
        ----------
        tissue
            Where there is tissue.
        spot_um
            Diameter of the spots, µm; the pitch by default.

        Raises
        ------
        EosinError
            No position lies on tissue, or there are more than 20 million positions.
        """
        height, width = tissue.mask.shape
        if width * height * (tissue.um_per_px / self.pitch_um) ** 2 > _MOST:
            fix = "give a larger --pitch-um"
            raise EosinError(f"a pitch of {self.pitch_um:g} µm makes over {_MOST:,} spots of this slide", fix=fix)
        xy = self.places(width * tissue.um_per_px, height * tissue.um_per_px)
        column, row = np.minimum(xy / tissue.um_per_px, [width - 1, height - 1]).astype(int).T
        on = xy[tissue.mask[row, column]]
        if not len(on):
            fix = "check the image and --pitch-um, or give a mask by --tissue or positions by --points"
            raise EosinError("no tissue was found to lay spots on", fix=fix)
        return Spots(on, self.pitch_um if spot_um is None else spot_um, names_of_places(on))


class SquareLattice(Lattice):
    """Rows and columns a pitch apart, as legacy ST."""

    def places(self, width_um: float, height_um: float) -> np.ndarray:
        """Positions (x, y) [n 2], µm; the first one lies half a pitch from both edges."""
        x = np.arange(self.pitch_um / 2, width_um, self.pitch_um)
        y = np.arange(self.pitch_um / 2, height_um, self.pitch_um)
        return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)


class HexagonalLattice(Lattice):
    """Six nearest neighbours at the pitch, every second row half a pitch further right, as Visium (100 µm)."""

    def places(self, width_um: float, height_um: float) -> np.ndarray:
        """Positions (x, y) [n 2], µm; the first one lies half a pitch from both edges."""
        y = np.arange(self.pitch_um / 2, height_um, self.pitch_um * np.sqrt(3) / 2)
        x = np.arange(self.pitch_um / 2, width_um, self.pitch_um)
        xy = np.stack(np.meshgrid(x, y), -1)
        xy[1::2, :, 0] += self.pitch_um / 2
        return xy[xy[..., 0] < width_um]


LATTICES: Registry[type[Lattice]] = Registry("lattice")
LATTICES.add("square", SquareLattice)
LATTICES.add("hexagonal", HexagonalLattice)


def names_of_places(xy_um: np.ndarray) -> tuple[str, ...]:
    """Names of positions [n 2], `XxY` in whole µm; with one or three decimals where whole numbers repeat."""
    for digits in (0, 1, 3):
        names = tuple(f"{x:.{digits}f}x{y:.{digits}f}" for x, y in xy_um)
        if len(set(names)) == len(names):
            break
    return names
