"""A slide with few spots or little tissue: said, since a wrong scale is the usual reason."""

from __future__ import annotations

import logging

from eosin.plurals import counted

_LOG = logging.getLogger("eosin")
FEWEST_SPOTS = 20
LEAST_TISSUE_MM2 = 1.0


def warn_of_little(name: str, mpp: float, tissue_um2: float, n_spots: int | None = None, *, of: str = "tissue") -> None:
    """Warn in one line of fewer than 20 spots or less than 1 mm² of tissue; nothing is said of more.

    Parameters
    ----------
    name
        The slide, as it is called in the warning.
    mpp
        Its scale, µm per pixel: what to check first.
    tissue_um2
        Area of tissue, µm².
    n_spots
        Number of spots; None where none were laid.
    of
        What the area is of: the whole image, where tissue was not looked for.
    """
    few = n_spots is not None and n_spots < FEWEST_SPOTS
    if not few and tissue_um2 >= LEAST_TISSUE_MM2 * 1e6:
        return
    spots = "" if n_spots is None else f"{counted(n_spots, 'spot')} on "
    area = f"{tissue_um2 / 1e6:.2g} mm² of {of}"
    _LOG.warning("%s: %s%s, little for a slide: is it %.4g µm per pixel? (--mpp)", name, spots, area, mpp)
