"""How many rows go through a network at once, by device."""

from __future__ import annotations

from collections.abc import Mapping

import torch


def rows_within(budget: Mapping[str, int], device: torch.device, numbers_per_row: int) -> int:
    """Rows of a piece whose largest array stays within the budget; at least one.

    Parameters
    ----------
    budget
        Numbers that an array may have, for "cpu" (few, since caches are small) and for "cuda".
    device
        Where the array is; another accelerator gets the numbers of "cuda".
    numbers_per_row
        Numbers that the array has for each row.
    """
    numbers = budget["cpu" if device.type == "cpu" else "cuda"]
    return max(1, numbers // max(1, numbers_per_row))
