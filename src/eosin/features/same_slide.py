"""Whether tiles of another tool were cut from a section's image, and not from a larger or smaller scan of it."""

from __future__ import annotations

import functools
import logging
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.features.feature_file import FeatureFile
from eosin.features.feature_section import slide_mpp
from eosin.features.foreign_tiles import number
from eosin.types import Section

_LOG = logging.getLogger("eosin")
_SAME_SIZE, _SAME_SCALE = 0.01, 0.05
_FIX = "encode that image, or give the section the slide that was encoded"


def check_same_slide(section: Section, file: FeatureFile, path: Path) -> None:
    """Refuse tiles that are placed in pixels of another image than the section's; another scale is a warning.

    Told by the size of the slide, which TRIDENT notes, and by tiles that begin beyond the image.

    Raises
    ------
    EosinError
        The sizes differ, or a tile begins beyond the image.
    """
    if section.image is None or file.centres_um is not None:
        return
    noted = slide_mpp(file.attrs)
    if noted is not None and abs(noted / section.image.mpp - 1) > _SAME_SCALE:
        _warn_of_scale(path, noted, section.image.mpp)
    from eosin.slide import size_px_of  # image libraries load only where a file is asked

    try:
        size_px = size_px_of(section.image.path)
    except EosinError:
        return  # whoever reads pixels says what is wrong with it
    told = number(file.attrs.get("level0_width")), number(file.attrs.get("level0_height"))
    if any(abs(one / own - 1) > _SAME_SIZE for one, own in zip(told, size_px) if one is not None):
        of, own = (" x ".join("?" if side is None else f"{side:.0f}" for side in sides) for sides in (told, size_px))
        problem = f"its tiles are of a slide of {of} px, {section.image.path.name} has {own} px"
        raise EosinError(problem, file=path, fix=_FIX)
    if not len(file.origins_px):
        return
    for axis, reached, own in zip("xy", np.nanmax(file.origins_px, axis=0), size_px):
        if reached > own:
            problem = f"its tiles reach {axis} = {reached:.0f} px, {section.image.path.name} is {own} px long there"
            raise EosinError(problem, file=path, fix=_FIX)


@functools.lru_cache(maxsize=1024)
def _warn_of_scale(path: Path, noted: float, used: float) -> None:
    _LOG.warning("%s: %.4g µm per pixel are used; its tiles were cut at %.4g", path, used, noted)
