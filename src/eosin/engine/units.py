"""Whether a section's units are as large as those that a model learned, be they spots or cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eosin.types import Section

_MOST_TIMES = 1.5
"""By how much widths may differ: spots of 100 and of 55 µm differ by more, and so do their counts."""


def units_of(section: Section) -> dict[str, Any]:
    """What a checkpoint keeps of a training section's units, JSON-able."""
    return {"unit": section.spots.unit, "width_um": round(float(section.spots.diameter_um), 2)}


def other_units(section: Section, trained_on: Sequence[Mapping[str, Any]]) -> str | None:
    """A remark on a section whose units are larger or smaller than those of training; None where they are alike.

    Counts grow with the area that they are counted in: a model of spots predicts those of a spot, whatever lies there.
    Checkpoints of before widths were kept tell nothing.
    """
    known = [(str(one["unit"]), float(one["width_um"])) for one in trained_on if {"unit", "width_um"} <= set(one)]
    width_um = section.spots.diameter_um
    alike = any(1 / _MOST_TIMES <= width / width_um <= _MOST_TIMES for _, width in known)
    if not known or alike:
        return None
    unit, width = known[0]
    return (
        f"{section.spots.unit} of {width_um:.3g} µm, where the model learned {unit} of {width:.3g} µm: "
        f"it predicts counts of those"
    )
