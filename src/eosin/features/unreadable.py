"""Spots whose tile could not be read: left out of the section, with a note and a warning."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from eosin.errors import EosinError
from eosin.types import Section

_LOG = logging.getLogger("eosin")


def without_unreadable(section: Section, readable: np.ndarray, problem: EosinError | None = None) -> Section:
    """The section without the spots whose tile could not be read, with a note; unchanged where there are none.

    Parameters
    ----------
    section
        Spots (s), with features.
    readable
        bool [s].
    problem
        Why the first of them could not be read, where it is known.

    Raises
    ------
    EosinError
        No tile could be read.
    """
    if readable.all():
        return section
    first = section.spots.ids[int(np.flatnonzero(~readable)[0])]
    note = f"{np.count_nonzero(~readable)} of {len(section)} tiles could not be read, first '{first}'"
    if not readable.any():
        raise EosinError(f"section '{section.name}': {note}", fix="mend the image, or leave the section out")
    _LOG.warning("section '%s': %s; left out%s", section.name, note, f" ({problem})" if problem else "")
    return replace(section.take(np.flatnonzero(readable)), notes=(*section.notes, f"{note}; left out"))
