"""A choice of genes that no data could answer is refused before torch is loaded."""

from __future__ import annotations

from typing import Any

from eosin.cli.flags import given
from eosin.options import PanelOptions


def need_panel(flags: Any) -> None:
    """Refuse an unknown gene rule, file, transform or `--missing-genes`.

    Parameters
    ----------
    flags
        A record of flags with some of the fields of `PanelOptions`.

    Raises
    ------
    EosinError
        As training would, once it had read the data.
    """
    options = given(flags)
    if not options.keys() & {"genes", "transform", "missing_genes"}:
        return
    from eosin.genes import need_rule, tolerant

    rule = tolerant(options.get("genes", PanelOptions.genes), options.get("missing_genes", PanelOptions.missing_genes))
    need_rule(rule, options.get("transform", PanelOptions.transform))
