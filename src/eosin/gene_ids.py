"""Two ways to call a gene: symbols (ERBB2) and Ensembl ids (ENSG00000141736, with a version ENSG00000141736.14)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ENSEMBL = re.compile(r"(ENS[A-Z]{0,6}G\d{6,})(?:\.\d+)?(?:_PAR_Y)?")


def ensembl_id(name: str) -> str | None:
    """The Ensembl gene id without its version, or None where `name` is something else."""
    match = _ENSEMBL.fullmatch(name)
    return match.group(1) if match else None


def kind_of(names: Iterable[str]) -> str:
    """`ensembl` where most names are Ensembl gene ids, else `symbol`."""
    names = list(names)
    return "ensembl" if sum(ensembl_id(name) is not None for name in names) * 2 > len(names) else "symbol"


def rename_advice(wanted: Iterable[str], measured: Iterable[str]) -> str | None:
    """What to do where `wanted` and `measured` are called in two ways; None where they are called alike.

    A missing gene is then no missing gene, and the error that reports it should say so.
    """
    wanted, measured = kind_of(wanted), kind_of(measured)
    if wanted == measured:
        return None
    called = {"ensembl": "Ensembl ids", "symbol": "symbols"}
    return (
        f"the section names genes by {called[measured]}, what is asked for by {called[wanted]}: "
        f"read it with --gene-names {wanted} --gene-table FILE"
    )
