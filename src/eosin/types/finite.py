"""Whether all numbers of a large table are finite, in little memory."""

from __future__ import annotations

import numpy as np

from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go

_AT_ONCE = 1 << 22


def all_finite(table: np.ndarray) -> bool:
    """Whether a table [.. s g] holds neither NaN nor infinity; one that lies on disk is looked at block by block."""
    if not table.size:
        return True
    for part in table.reshape(-1, *table.shape[-2:]) if table.ndim > 2 else [table]:
        for rows in row_blocks(len(part), budget=_AT_ONCE, per_row=part.shape[-1]):
            if not np.isfinite(part[rows]).all():
                return False
            let_go(table)
    return True
