"""Geometry of spots, in µm: neighbours, local frames, spacings, lattices, groups that are held out together."""

from eosin.geometry.frames import LocalFrames, local_frames
from eosin.geometry.grouping import N_REGIONS, grouped
from eosin.geometry.lattice_cells import lattice_positions
from eosin.geometry.nearest import Neighbours, neighbours
from eosin.geometry.rings import ring_averages
from eosin.geometry.spacing import nearest_spacing, spacings

__all__ = [
    "N_REGIONS",
    "LocalFrames",
    "Neighbours",
    "grouped",
    "lattice_positions",
    "local_frames",
    "nearest_spacing",
    "neighbours",
    "ring_averages",
    "spacings",
]
