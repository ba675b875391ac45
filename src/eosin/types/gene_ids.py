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


KIND_IN_WORDS = {"ensembl": "Ensembl ids", "symbol": "symbols"}


def rename_advice(wanted: Iterable[str], measured: Iterable[str], *, by_own: bool = False) -> str | None:
    """What to do where `wanted` and `measured` are called in two ways; None where they are called alike.

    A missing gene is then no missing gene, and the error that reports it should say so. `by_own`: the section knows
    both kinds of names, so that no table is needed.
    """
    wanted, measured = kind_of(wanted), kind_of(measured)
    if wanted == measured:
        return None
    table = "" if by_own else " --gene-table FILE"
    return (
        f"the section names genes by {KIND_IN_WORDS[measured]}, what is asked for by {KIND_IN_WORDS[wanted]}: "
        f"read it with --gene-names {wanted}{table}"
    )
