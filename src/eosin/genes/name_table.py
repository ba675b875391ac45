"""Reading a table of gene names: eosin's own columns, HGNC's complete set, or MGI's reports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eosin.errors import EosinError
from eosin.genes.renaming import Gene, GeneTable
from eosin.storage.delimited import check_cells
from eosin.types.gene_ids import ensembl_id

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = {
    "symbol": ("symbol", "approved_symbol", "marker_symbol", "gene_symbol", "gene_name"),
    "ensembl": ("ensembl_id", "ensembl_gene_id", "ensembl_accession_id", "ensembl_id_supplied_by_ensembl", "gene_id"),
    "aliases": ("aliases", "alias_symbol", "alias_symbols", "marker_synonyms_pipe_separated", "marker_synonyms"),
    "previous": ("previous", "prev_symbol", "previous_symbol", "previous_symbols"),
    "species": ("species", "organism"),
}
"""For each field of a gene the headings it goes by, in order of preference, as `_plain` writes them."""

_MGI = ("mgi_accession_id", "marker_symbol", "marker_name", "cm_position", "chromosome", "ensembl_accession_id")
"""Columns of MGI's MRK_ENSEMBL.rpt, which has no heading."""

_FIX = "give a .tsv, .csv or .parquet with columns symbol and ensembl_id (and aliases, previous, species)"


def read_gene_table(file: str | Path) -> GeneTable:
    """Read a table of genes (`.parquet`; `.csv`; else tab-separated, as `.tsv`, `.txt`, `.rpt`; also `.gz`).

    Several aliases or previous symbols in one cell are separated by `|`, `,` or `;`. Withdrawn entries are left out.

    Raises
    ------
    EosinError
        The file is missing, broken, or has no column of symbols.
    """
    file = Path(file)
    frame = _named(_frame(file), file)
    status = frame["status"].str.lower() if "status" in frame else None
    if status is not None:
        frame = frame[~status.str.contains("withdrawn")]
    column = {field: _column(frame, names) for field, names in _COLUMNS.items()}
    rows = zip(column["symbol"], column["ensembl"], column["aliases"], column["previous"], column["species"])
    genes = []
    for symbol, ensembl, aliases, previous, species in rows:
        if symbol.strip():
            gene_ids = [known for gene_id in _several(ensembl) if (known := ensembl_id(gene_id))] or [""]
            # One symbol with several ids is one row each: the first is the one that the symbol is translated to.
            for gene_id in gene_ids:
                genes.append(Gene(symbol.strip(), gene_id, _several(aliases), _several(previous), species.strip()))
    if not genes:
        raise EosinError("holds no gene", file=file, fix=_FIX)
    return GeneTable(tuple(genes))


def _frame(file: Path) -> pd.DataFrame:
    """The file as a table of text, headings as they stand."""
    import pandas as pd

    if not file.is_file():
        raise EosinError("no such gene table", file=file, fix=_FIX)
    name = file.name.lower().removesuffix(".gz")
    try:
        if name.endswith(".parquet"):
            return pd.read_parquet(file).map(_text)
        frame = pd.read_csv(file, sep="," if name.endswith(".csv") else "\t", dtype=str, keep_default_na=False)
    except MemoryError:
        raise
    except Exception as error:  # pandas, pyarrow and zlib each have their own
        raise EosinError(f"not readable as a table of genes ({error})", file=file, fix=_FIX) from error
    return check_cells(frame, file)


def _named(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """With headings in one spelling; MGI's report without headings gets those it is documented to have."""
    if len(frame.columns) >= len(_MGI) and re.fullmatch(r"MGI:\d+", str(frame.columns[0])):
        first = dict(zip(range(len(frame.columns)), map(str, frame.columns)))
        frame = frame.set_axis(range(len(frame.columns)), axis=1)
        frame.loc[len(frame)] = first
        return frame.rename(columns=dict(enumerate(_MGI)))
    frame = frame.rename(columns={column: _plain(str(column)) for column in frame.columns})
    frame = frame.loc[:, ~frame.columns.duplicated()]
    if not any(name in frame for name in _COLUMNS["symbol"]):
        raise EosinError(f"has no column of symbols (it has {', '.join(frame.columns[:8])})", file=file, fix=_FIX)
    return frame


def _text(value: object) -> str:
    """A cell of a parquet file, which may hold a list or nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        return "|".join(map(str, value))
    return "" if value is None or value != value else str(value)


def _plain(heading: str) -> str:
    """`11. Ensembl gene id` and `Ensembl Gene ID` as `ensembl_gene_id`."""
    heading = re.sub(r"^\d+\.\s*", "", heading.strip().lower())
    return re.sub(r"[^a-z0-9]+", "_", heading).strip("_")


def _column(frame: pd.DataFrame, names: tuple[str, ...]) -> Sequence[str]:
    heading = next((name for name in names if name in frame), None)
    return [""] * len(frame) if heading is None else [str(value) for value in frame[heading]]


def _several(cell: str) -> tuple[str, ...]:
    parts = (part.strip().strip('"').strip() for part in re.split(r"[|,;]", cell))
    return tuple(part for part in parts if part)
