"""Slides: open one, read a window given in µm, find its tissue. The only room that knows slide libraries."""

from eosin.slide.opening import open_slide, scale_of
from eosin.slide.slide import Slide
from eosin.slide.tissue import Tissue, find_tissue

__all__ = ["Slide", "Tissue", "find_tissue", "open_slide", "scale_of"]
