"""What readers look for in an AnnData of another tool: counts, gene names, patient, labels, the width of spots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from eosin.data.gene_features import are_genes
from eosin.data.libraries import column_texts
from eosin.data.missing import as_text, is_missing, names_no_patient
from eosin.data.odd_counts import odd_counts
from eosin.data.raw_counts import are_counts, are_equal, count_layer, is_empty, raw_counts, unnamed_counts
from eosin.data.reader import blame
from eosin.data.section_parts import left_out
from eosin.errors import EosinError
from eosin.genes.columns import GeneNames
from eosin.types.gene_ids import kind_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_WHOM = ("patient", "donor", "subject", "participant", "individual", "case")
_PATIENT_COLUMNS = tuple(f"{whom}{end}" for whom in _WHOM for end in ("", "id", "name", "number", "barcode"))
"""Columns of `obs` that name whom a spot is of, in any case, with or without `_`; `donor_id` is CELLxGENE's."""
_ON_TISSUE, _OFF_TISSUE = ("1", "1.0", "true", "yes", "t", "y"), ("0", "0.0", "false", "no", "f", "n", "")
"""What a column may say of spots in tissue and beside it, in lower case."""
_STATES = frozenset({"case", "control", "yes", "no", "true", "false"})
"""What a column `case` may say of a patient instead of who it is."""
_DOMAIN_COLUMNS = ("domain",)
_FEWEST, _LEAST_TOTAL, _EVEN = 10, 100.0, 0.01
"""Spots, and molecules of each, from which on totals tell; and how far they differ, as a share, where they are made."""
_TYPE_COLUMNS = ("feature_types", "feature_type", "modality")
"""Columns of `var` that tell genes from proteins; `feature_types` is scanpy's."""
_ID_COLUMNS = ("gene_ids", "gene_id", "ensembl_id", "ensembl", "ensembl_ids")
"""Columns of `var` beside symbols; `gene_ids` is scanpy's."""
_SYMBOL_COLUMNS = ("feature_name", "gene_symbols", "gene_symbol", "symbol", "gene_name", "gene_names")
"""Columns of `var` beside Ensembl ids; `feature_name` is CELLxGENE's, `gene_symbols` scanpy's."""


def counts_of(adata: AnnData, path: Path) -> tuple[sparse.csr_matrix, GeneNames, list[str]]:
    """Raw counts [s g], what their columns are called, and notes.

    `raw.X` is taken where neither `X` nor a layer holds counts (CELLxGENE keeps them there), and where it holds other
    counts than `X` for the same genes.
    """
    counts, notes = raw_counts(adata, path)
    var, of_x = adata.var, not notes
    if count_layer(adata) is None and (raw := adata.raw) is not None and (also := _differs(counts, adata)) is not None:
        counts, var = sparse.csr_matrix(raw.X, dtype=np.float32), raw.var
        notes.append(f"counts are from raw.X{also}")
        of_x = False
    if not are_counts(counts) and (key := unnamed_counts(adata)) is not None:
        problem = f"X holds no counts, and layers['{key}'] holds whole numbers"
        raise EosinError(problem, file=path, fix="call that layer counts (adata.layers['counts']) if it holds raw ones")
    notes += [*_even_totals(counts), *odd_counts(counts, adata, of_x=of_x)]
    kept = _are_genes(var, path)
    if not kept.all():
        notes += left_out(int((~kept).sum()), len(kept), "features are no genes")
        counts, var = sparse.csr_matrix(counts[:, np.flatnonzero(kept)]), var[kept]
    genes = gene_names(var)
    if _are_only_numbered(genes.names):
        problem = f"genes are called {genes.names[0]} to {genes.names[-1]}: their names are lost"
        raise EosinError(problem, file=path, fix="store symbols or Ensembl ids in var_names, or in var['gene_ids']")
    return counts, genes, notes


def _even_totals(counts: Any) -> list[str]:
    """A note where all spots have about the same total, as values have that were scaled and rounded."""
    if counts.shape[0] < _FEWEST or not are_counts(counts):
        return []
    totals = np.asarray(counts.sum(1, dtype=np.float64)).ravel()
    if totals.mean() < _LEAST_TOTAL or totals.std() > _EVEN * totals.mean():
        return []
    return [f"all spots have about {totals.mean():.0f} counts: are they scaled and rounded, and no raw counts?"]


def _differs(counts: sparse.csr_matrix, adata: AnnData) -> str | None:
    """What the note says beside that counts are those of `raw.X`; None where they are not, or are the same."""
    raw = adata.raw
    if raw is None or not are_counts(raw.X) or is_empty(raw.X):
        return None
    if not are_counts(counts) or is_empty(counts):
        return ""
    columns = raw.var_names.get_indexer(adata.var_names) if raw.var_names.is_unique else np.array([-1])
    if np.any(columns < 0) or are_equal(counts, sparse.csr_matrix(raw.X)[:, columns]):
        return None
    return "; X holds other whole numbers"


def _are_genes(var: pd.DataFrame, path: Path) -> np.ndarray:
    """Which rows of `var` are genes, by a column that says what they are; all where none does."""
    column = next((column for column in _TYPE_COLUMNS if column in var), None)
    if column is None:
        return np.ones(len(var), bool)
    with blame(path):
        return are_genes(list(var[column]))


def on_tissue(adata: AnnData) -> tuple[AnnData, list[str]]:
    """The spots that lie in tissue by `obs["in_tissue"]`, or all where it says nothing; and a note on the others.

    `obs["selected"]` says the same of legacy ST, beside whose positions `pixel_x` or `new_x` it stands.
    """
    column = "in_tissue" if "in_tissue" in adata.obs else "selected"
    if column not in adata.obs or (column == "selected" and not {"pixel_x", "new_x"} & set(adata.obs)):
        return adata, []
    told = np.char.lower(column_texts(adata.obs[column]).astype(str))
    kept = np.isin(told, _ON_TISSUE)
    if unknown := sorted(set(told[~np.isin(told, (*_ON_TISSUE, *_OFF_TISSUE))].tolist())):
        listed = ", ".join(f"'{one}'" for one in unknown[:4])
        return adata, [f"obs['{column}'] says {listed}, which is neither yes nor no: all spots are kept"]
    if kept.all() or not kept.any():
        return adata, []
    notes = left_out(int((~kept).sum()), len(kept), "spots are not in tissue")
    return adata[np.flatnonzero(kept)].copy(), notes


def _are_only_numbered(names: Sequence[str]) -> bool:
    """Whether names are 0, 1, 2, ... or 1, 2, 3, ..., as an index that was lost; one name says nothing."""
    return len(names) > 1 and any(all(name == str(i) for i, name in enumerate(names, first)) for first in (0, 1))


def gene_names(var: pd.DataFrame) -> GeneNames:
    """What the rows of `var` are called: its index, and ids or symbols in the columns where tools put them."""
    names = tuple(map(as_text, var.index))
    ids, symbols = _column(var, _ID_COLUMNS), _column(var, _SYMBOL_COLUMNS)
    if _are_only_numbered(names):
        names = next((column for column in (symbols, ids) if column is not None), names)
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
    called = {re.sub(r"[^a-z0-9]", "", str(column).lower()): column for column in reversed(adata.obs.columns)}
    there = [called[column] for column in _PATIENT_COLUMNS if column in called]
    for column in there:
        texts = column_texts(adata.obs[column])
        patients = sorted({text for text in set(texts) if not names_no_patient(text) and text.lower() not in _STATES})
        if len(patients) == 1:
            return patients[0], []
        if patients:
            listed = ", ".join(patients[:4])
            return name, [f"obs['{column}'] names {len(patients)} patients ({listed}): the section counts as its own"]
    what = f"obs['{there[0]}'] names no patient" if there else "no column of obs names a patient"
    return name, [f"{what}: the section counts as its own"]


def domains_of(adata: AnnData) -> tuple[str, ...] | None:
    """A label per spot, where there is one."""
    column = next((column for column in _DOMAIN_COLUMNS if column in adata.obs), None)
    return None if column is None else tuple(map(str, adata.obs[column]))
