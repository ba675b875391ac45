"""Ensembl ids of Xenium's genes, which its table of transcripts does not hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eosin.data.readers.tenx.tenx_matrix import open_matrix
from eosin.errors import EosinError
from eosin.storage.files import read_json


def ids_of_genes(folder: Path, matrix: Path | None) -> tuple[dict[str, str], list[str]]:
    """Gene name -> Ensembl id by `gene_panel.json`, else by the features of the matrix of cells.

    A section is read without them too: where neither file is there or readable, there are none, and a note says why.
    """
    panel = folder / "gene_panel.json"
    try:
        if panel.is_file():
            return _of_panel(read_json(panel)), []
        if matrix is not None:
            with open_matrix(matrix) as opened:
                return dict(zip(opened.genes.names, opened.genes.all_ids)), []
    except EosinError as error:
        return {}, [f"genes have no Ensembl ids: {error}"]
    return {}, []


def _of_panel(stored: Any) -> dict[str, str]:
    """`payload.targets[].type`: a descriptor (`gene` or a control) and `data` with name and id."""
    payload = stored.get("payload") if isinstance(stored, dict) else None
    targets = payload.get("targets") if isinstance(payload, dict) else None
    if not isinstance(targets, list):
        return {}
    kinds = [target.get("type") for target in targets if isinstance(target, dict)]
    genes = [kind.get("data") for kind in kinds if isinstance(kind, dict) and kind.get("descriptor", "gene") == "gene"]
    return {str(gene["name"]): str(gene.get("id", "")) for gene in genes if isinstance(gene, dict) and "name" in gene}
