"""What an encoder measured on a slide, as attributes of its feature file: `slide_` and the name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_PREFIX = "slide_"


def fact_attributes(facts: Mapping[str, float]) -> dict[str, float]:
    """Attributes of a feature file for `Encoder.slide_facts`."""
    return {_PREFIX + name: float(value) for name, value in facts.items()}


def facts_in(attrs: Mapping[str, Any]) -> dict[str, float]:
    """The facts of a slide in the attributes of a feature file; what is no finite number is left out."""
    named = {name.removeprefix(_PREFIX): value for name, value in attrs.items() if name.startswith(_PREFIX)}
    return {name: float(value) for name, value in named.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
