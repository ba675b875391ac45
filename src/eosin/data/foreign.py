"""What is looked for in an AnnData that another tool wrote: counts, patient, labels, the spots' width."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from eosin.data.h5ad import are_counts, raw_counts
from eosin.data.readers import merge_repeats

if TYPE_CHECKING:
    from anndata import AnnData

PATIENT_COLUMNS = ("patient", "patient_id", "donor_id", "donor")
"""Columns of `obs` that name whom a spot is of; `donor_id` is CELLxGENE's."""
_DOMAIN_COLUMNS = ("domain",)


def counts_of(adata: AnnData, path: Path) -> tuple[sparse.csr_matrix, list[str], list[str]]:
    """Raw counts [s g], gene names with columns of one name added up, and notes.

    Where neither `X` nor a layer holds counts, `raw.X` may: CELLxGENE keeps them there.
    """
    counts, notes = raw_counts(adata, path)
    genes = list(map(str, adata.var_names))
    if adata.raw is not None and not are_counts(counts) and are_counts(adata.raw.X):
        counts, genes = sparse.csr_matrix(adata.raw.X, dtype=np.float32), list(map(str, adata.raw.var_names))
        notes.append("counts are from raw.X")
    counts, genes, more = merge_repeats(counts, genes)
    return counts, genes, notes + more


def patient_of(adata: AnnData, name: str) -> str:
    """The one patient that all spots are of, else the section's name."""
    for column in PATIENT_COLUMNS:
        if column in adata.obs:
            patients = set(map(str, adata.obs[column]))
            return patients.pop() if len(patients) == 1 else name
    return name


def domains_of(adata: AnnData) -> tuple[str, ...] | None:
    """A label per spot, where there is one."""
    column = next((column for column in _DOMAIN_COLUMNS if column in adata.obs), None)
    return None if column is None else tuple(map(str, adata.obs[column]))


def foreign_diameter_px(adata: AnnData, library: str | None = None) -> float:
    """`spot_diameter_fullres` of a library in `uns["spatial"]` (the first by default), in pixels; 0 without one."""
    libraries = adata.uns.get("spatial")
    if not isinstance(libraries, dict):
        return 0.0
    chosen = [libraries[library]] if library in libraries else list(libraries.values())
    for one in chosen:
        factors = one.get("scalefactors", {}) if isinstance(one, dict) else {}
        value = factors.get("spot_diameter_fullres") if isinstance(factors, dict) else None
        if isinstance(value, (int, float, np.number)) and np.isfinite(value) and value > 0:
            return float(value)
    return 0.0
