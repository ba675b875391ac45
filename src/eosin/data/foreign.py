"""What readers look for in an AnnData of another tool: counts, gene names, patient, labels, the width of spots."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from eosin.data.h5ad import are_counts, raw_counts
from eosin.data.libraries import column_texts
from eosin.data.missing import as_text, is_missing, names_no_patient, positive_number
from eosin.data.readers.tenx.tenx_matrix import GENE_EXPRESSION
from eosin.data.section_parts import left_out
from eosin.genes.columns import GeneNames
from eosin.types.gene_ids import kind_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

PATIENT_COLUMNS = tuple(
    f"{whom}{end}"
    for whom in ("patient", "donor", "subject", "individual", "participant", "case")
    for end in ("", "_id", "id", "_name")
)
"""Columns of `obs`, in any case, that name whom a spot is of; `donor_id` is CELLxGENE's."""
_DOMAIN_COLUMNS = ("domain",)
_ID_COLUMNS = ("gene_ids", "gene_id", "ensembl_id", "ensembl", "ensembl_ids")
"""Columns of `var` beside symbols; `gene_ids` is scanpy's."""
_SYMBOL_COLUMNS = ("feature_name", "gene_symbols", "gene_symbol", "symbol", "gene_name", "gene_names")
"""Columns of `var` beside Ensembl ids; `feature_name` is CELLxGENE's, `gene_symbols` scanpy's."""


def counts_of(adata: AnnData, path: Path) -> tuple[sparse.csr_matrix, GeneNames, list[str]]:
    """Raw counts [s g], what their columns are called, and notes.

    Where neither `X` nor a layer holds counts, `raw.X` may: CELLxGENE keeps them there.
    """
    counts, notes = raw_counts(adata, path)
    var = adata.var
    lacking = not are_counts(counts) or not counts.count_nonzero()
    if adata.raw is not None and lacking and are_counts(adata.raw.X):
        counts, var = sparse.csr_matrix(adata.raw.X, dtype=np.float32), adata.raw.var
        notes.append("counts are from raw.X")
    kept = _are_genes(var)
    if not kept.all():
        notes += left_out(int((~kept).sum()), len(kept), "features are no genes")
        counts, var = sparse.csr_matrix(counts[:, np.flatnonzero(kept)]), var[kept]
    return counts, gene_names(var), notes


def _are_genes(var: pd.DataFrame) -> np.ndarray:
    """Which rows of `var` are genes, by 10x's `feature_types`; all where none is called so."""
    if "feature_types" not in var:
        return np.ones(len(var), bool)
    genes = var["feature_types"].astype(str).to_numpy() == GENE_EXPRESSION
    return genes if genes.any() else np.ones(len(var), bool)


def on_tissue(adata: AnnData) -> tuple[AnnData, list[str]]:
    """The spots that lie in tissue by `obs["in_tissue"]`, or all where it says nothing; and a note on the others.

    `obs["selected"]` says the same of legacy ST, beside whose positions `pixel_x` or `new_x` it stands.
    """
    column = "in_tissue" if "in_tissue" in adata.obs else "selected"
    if column not in adata.obs or (column == "selected" and not {"pixel_x", "new_x"} & set(adata.obs)):
        return adata, []
    kept = np.isin(np.char.lower(column_texts(adata.obs[column]).astype(str)), ("1", "1.0", "true"))
    if kept.all() or not kept.any():
        return adata, []
    notes = left_out(int((~kept).sum()), len(kept), "spots are not in tissue")
    return adata[np.flatnonzero(kept)].copy(), notes


def gene_names(var: pd.DataFrame) -> GeneNames:
    """What the rows of `var` are called: its index, and ids or symbols in the columns where tools put them."""
    names = tuple(map(as_text, var.index))
    ids, symbols = _column(var, _ID_COLUMNS), _column(var, _SYMBOL_COLUMNS)
    return GeneNames(
        names,
        ids if ids is not None and kind_of(gene_id for gene_id in ids if gene_id) == "ensembl" else None,
        symbols if kind_of(names) == "ensembl" else None,
    )


def _column(var: pd.DataFrame, known: tuple[str, ...]) -> tuple[str, ...] | None:
    """The first known column, as texts; `""` for what is missing."""
    column = next((column for column in known if column in var), None)
    if column is None:
        return None
    return tuple("" if is_missing(value) else as_text(value) for value in var[column])


def patient_of(adata: AnnData, name: str) -> tuple[str, list[str]]:
    """The patient of all spots by the first column of `obs` that names one, and a note.

    The section's own name stands in where no column does, and where its spots are of several patients. Spots whose
    patient is missing do not vote.
    """
    called = {re.sub(r"[\s.-]+", "_", str(column).strip().lower()): column for column in adata.obs.columns}
    there = [called[column] for column in PATIENT_COLUMNS if column in called]
    for column in there:
        texts = column_texts(adata.obs[column])
        patients = sorted({text for text in set(texts) if not names_no_patient(text)})
        if len(patients) == 1:
            return patients[0], []
        if patients:
            listed = ", ".join(patients[:4])
            return name, [f"obs['{column}'] names {len(patients)} patients ({listed}): the section counts as its own"]
    what = f"obs['{there[0]}'] names no patient" if there else "no column of obs names the patient"
    return name, [f"{what}: the section counts as its own"]


def domains_of(adata: AnnData) -> tuple[str, ...] | None:
    """A label per spot, where there is one."""
    column = next((column for column in _DOMAIN_COLUMNS if column in adata.obs), None)
    return None if column is None else tuple(map(str, adata.obs[column]))


def foreign_diameter_px(adata: AnnData, library: str | None = None) -> float:
    """`spot_diameter_fullres` of a library in `uns["spatial"]` (the first by default), in pixels; 0 without one."""
    libraries = adata.uns.get("spatial")
    if not isinstance(libraries, dict):
        return 0.0
    entries = [libraries[library]] if library in libraries else list(libraries.values())
    for entry in entries:
        factors = entry.get("scalefactors", {}) if isinstance(entry, dict) else {}
        value = positive_number(factors.get("spot_diameter_fullres")) if isinstance(factors, dict) else None
        if value is not None:
            return value
    return 0.0
