"""The two kinds of gene names: symbols (ERBB2) and Ensembl ids (ENSG00000141736, or ENSG00000141736.14)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ENSEMBL = re.compile(r"(ENS[A-Z]{0,6}G\d{6,})(?:\.\d+)?(?:_PAR_Y)?")


def ensembl_id(name: str) -> str | None:
    """The Ensembl gene id without its version, or None where `name` is not one."""
    match = _ENSEMBL.fullmatch(name)
    return match.group(1) if match else None


def kind_of(names: Iterable[str]) -> str:
    """The kind of most of the names: `ensembl` (gene ids) or `symbol`."""
    names = list(names)
    return "ensembl" if sum(ensembl_id(name) is not None for name in names) * 2 > len(names) else "symbol"


KIND_IN_WORDS = {"ensembl": "Ensembl ids", "symbol": "symbols"}


def rename_advice(wanted: Iterable[str], measured: Iterable[str], *, by_own: bool = False) -> str | None:
    """What to do where wanted and measured genes have names of different kinds; None where the kinds agree.

    Genes then seem to be missing that are measured under their other names, and an error should say so.

    Parameters
    ----------
    wanted, measured
        Names of genes.
    by_own
        The section holds both kinds of names itself, so that no table of genes is needed.
    """
    wanted_kind, measured_kind = kind_of(wanted), kind_of(measured)
    if wanted_kind == measured_kind:
        return None
    table = "" if by_own else " --gene-table FILE"
    return (
        f"the section names genes by {KIND_IN_WORDS[measured_kind]}, "
        f"what is asked for by {KIND_IN_WORDS[wanted_kind]}: read it with --gene-names {wanted_kind}{table}"
    )
