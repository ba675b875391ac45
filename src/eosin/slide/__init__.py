"""Slides: open one, read a window given in µm, find its tissue, lay spots on it.

The only package that uses libraries for slides, and, with `encoders`, the only one that works in pixels.
"""

from eosin.slide.blocks import reading_order
from eosin.slide.inside import describe_outside, spots_off_image, without_spots_off_image
from eosin.slide.lattice import LATTICES, HexagonalLattice, Lattice, SquareLattice
from eosin.slide.layout import AtPoints, Layout, OnTissue, layout_of
from eosin.slide.opening import BY_DATA, open_slide, scale_of, size_px_of
from eosin.slide.outlines import read_tissue, write_tissue
from eosin.slide.plausible import warn_of_little
from eosin.slide.points import read_points
from eosin.slide.same_picture import check_same_picture
from eosin.slide.slide import Slide
from eosin.slide.slide_path import is_one_file, is_slide, is_slide_folder
from eosin.slide.thumbnail import thumbnail_of
from eosin.slide.tissue import Tissue, find_tissue
from eosin.types.display import show_thumbnails_by

show_thumbnails_by(thumbnail_of)

__all__ = [
    "BY_DATA",
    "LATTICES",
    "AtPoints",
    "HexagonalLattice",
    "Lattice",
    "Layout",
    "OnTissue",
    "Slide",
    "SquareLattice",
    "Tissue",
    "check_same_picture",
    "describe_outside",
    "find_tissue",
    "is_one_file",
    "is_slide",
    "is_slide_folder",
    "layout_of",
    "open_slide",
    "read_points",
    "read_tissue",
    "reading_order",
    "scale_of",
    "size_px_of",
    "spots_off_image",
    "warn_of_little",
    "without_spots_off_image",
    "write_tissue",
]
