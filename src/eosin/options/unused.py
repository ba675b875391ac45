"""Options that were given to something that does not use them."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import fields
from typing import Any


def unused_options(options: Any, takes: Container[str]) -> list[str]:
    """Options that would be passed over in silence.

    Parameters
    ----------
    options
        A dataclass whose fields all have plain defaults, which mean "not given".
    takes
        Names of the fields that are used.

    Returns
    -------
    list of str
        Fields that differ from their defaults and are not used, in the order of the record.
    """
    return [f.name for f in fields(options) if getattr(options, f.name) != f.default and f.name not in takes]
