"""Where an AnnData holds raw counts: in `X`, or in a layer that is called so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from eosin.errors import EosinError

if TYPE_CHECKING:
    from anndata import AnnData

_COUNT_LAYERS = (
    *("counts", "raw_counts", "raw_count", "count", "counts_raw", "raw counts", "raw"),
    *("umi", "umis", "umi_counts", "umi_count"),
)
"""Layers of counts, in any case; the first that is there and holds some is taken."""


def are_counts(matrix: Any) -> bool:
    """Whether all values are whole and not negative, as counts of molecules are."""
    values = matrix.data if sparse.issparse(matrix) else np.asarray(matrix)
    if not np.issubdtype(values.dtype, np.number):
        return False
    return bool(np.isfinite(values).all() and (values >= 0).all() and (values == np.round(values)).all())


def is_empty(matrix: Any) -> bool:
    """Whether a matrix holds zeros only, as one that was never filled."""
    return not np.any(matrix.data if sparse.issparse(matrix) else np.asarray(matrix))


def are_equal(matrix: Any, other: Any) -> bool:
    """Whether two matrices, dense or sparse, hold the same values."""
    if not (sparse.issparse(matrix) and sparse.issparse(other)):
        dense, others = (each.toarray() if sparse.issparse(each) else np.asarray(each) for each in (matrix, other))
        return np.array_equal(dense, others)
    if matrix.shape != other.shape:
        return False
    try:
        return (sparse.csr_matrix(matrix) != sparse.csr_matrix(other)).nnz == 0
    except ValueError:  # a damaged matrix: whoever takes it says so
        return False


def _agrees(matrix: Any) -> bool:
    """Whether a compressed matrix has a value, and a place within it, for each that its row ends tell."""
    ends = matrix.indptr
    n_ends = matrix.shape[matrix.format == "csc"] + 1
    if ends.shape != (n_ends,) or ends.dtype.kind not in "iu" or matrix.indices.dtype.kind not in "iu":
        return False
    if not matrix.data.shape == matrix.indices.shape == (ends[-1],) or np.any(np.diff(ends.astype(np.int64)) < 0):
        return False
    largest = matrix.shape[matrix.format == "csr"]
    return not len(matrix.indices) or bool(matrix.indices.min() >= 0 and matrix.indices.max() < largest)


def _with_usual_places(matrix: Any) -> Any:
    """A matrix with places of a type that SciPy adds up; a file may hold smaller or unsigned ones."""
    if not sparse.issparse(matrix) or matrix.format not in ("csr", "csc"):
        return matrix
    if matrix.indices.dtype == matrix.indptr.dtype and matrix.indices.dtype in (np.int32, np.int64):
        return matrix
    usual = np.int32 if max(len(matrix.data), *matrix.shape) < 2**31 else np.int64
    places = matrix.indices.astype(usual), matrix.indptr.astype(usual)
    made = sparse.csr_matrix if matrix.format == "csr" else sparse.csc_matrix
    return made((matrix.data, *places), shape=matrix.shape)


def unnamed_counts(adata: AnnData) -> str | None:
    """A layer that holds whole numbers, whatever it is called."""
    return next((str(key) for key, layer in adata.layers.items() if are_counts(layer) and not is_empty(layer)), None)


def count_layer(adata: AnnData) -> str | None:
    """The first layer that is called counts and holds some."""
    called = {str(key).lower(): str(key) for key in adata.layers}
    keys = (called[name] for name in _COUNT_LAYERS if name in called)
    return next((key for key in keys if are_counts(adata.layers[key]) and not is_empty(adata.layers[key])), None)


def raw_counts(adata: AnnData, path: str | Path) -> tuple[sparse.csr_matrix, list[str]]:
    """Counts [s g] and a note on where they were: `X`, or a layer that is called counts where the two differ.

    Whole numbers alone are no sign of counts: `X` may be empty, rounded after scaling, or corrected. What neither place
    holds is left for the `Section` record to refuse, since its message says what is wrong.
    """
    notes = []
    matrix, key = adata.X, count_layer(adata)
    if key is not None and (matrix is None or not are_equal(matrix, adata.layers[key])):
        whole = matrix is not None and are_counts(matrix) and not is_empty(matrix)
        also = "; X holds other whole numbers" if whole else ""
        matrix, notes = adata.layers[key], [f"counts are from layers['{key}']{also}"]
    if matrix is None:
        raise EosinError("holds no counts", file=path, fix="store raw counts in X")
    if matrix.dtype == bool:
        problem = "holds true and false, which genes were found in a spot and not how often"
        raise EosinError(problem, file=path, fix="store raw counts in X")
    if sparse.issparse(matrix) and matrix.format in ("csr", "csc") and not _agrees(matrix):
        fix = "the file is incomplete or damaged; write or download it again"
        raise EosinError("values and row ends of the counts do not agree", file=path, fix=fix)
    try:
        return sparse.csr_matrix(_with_usual_places(matrix), dtype=np.float32), notes
    except (TypeError, ValueError) as error:
        raise EosinError(f"X is not numeric ({error})", file=path, fix="store raw counts in X") from error
