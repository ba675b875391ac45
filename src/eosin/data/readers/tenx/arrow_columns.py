"""Columns of Arrow batches as arrays: numbers, and names as codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.data.readers.tenx.tenx_matrix import AGAIN
from eosin.errors import EosinError

if TYPE_CHECKING:
    import pyarrow as pa


def numbers(batch: pa.RecordBatch, column: str) -> np.ndarray:
    """A column [r] as float64."""
    return batch.column(column).to_numpy(zero_copy_only=False).astype(np.float64)


def coded(column: Any, missing: str) -> tuple[np.ndarray, list[Any]]:
    """Codes [r] of a column of names, and the names that they stand for, as the file has them.

    Raises
    ------
    EosinError
        A row has no name; `missing` says it in words.
    """
    import pyarrow as pa

    codes = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if codes.null_count:
        raise EosinError(missing, fix=AGAIN)
    return codes.indices.to_numpy(zero_copy_only=False).astype(np.int64), codes.dictionary.to_pylist()
