"""Genes and gene sets that a score tells by name: biomarkers and pathways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.metrics import metric
from eosin.metrics.accuracy import gene_means, mean_defined
from eosin.metrics.matched import MatchedSections
from eosin.metrics.pathway import MIN_GENES, read_gmt
from eosin.storage.files import fingerprint

BIOMARKERS = ("GATA3", "ERBB2", "UBE2C", "VWF")
"""The genes that STFlow (section 4.2) scores by name."""


@dataclass(frozen=True)
class GeneLists:
    """Genes and gene sets that a score tells by name.

    Attributes
    ----------
    biomarkers
        Genes; None for `BIOMARKERS` where the panel holds at least one of them.
    pathways
        Gene sets by name, whose co-expression is compared.
    """

    biomarkers: tuple[str, ...] | None = None
    pathways: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, biomarkers: Sequence[str] | None = None, pathways: str | Path | Mapping[str, Sequence[str]] | None = None
    ) -> GeneLists:
        """From names, and from gene sets or a .gmt file of them."""
        if isinstance(pathways, str | Path):
            pathways = read_gmt(pathways)
        named = None if biomarkers is None else tuple(dict.fromkeys(biomarkers))
        return cls(named, {name: tuple(genes) for name, genes in (pathways or {}).items()})

    def asked(self) -> dict[str, Any]:
        """What a record says was asked for; nothing where nothing was."""
        found: dict[str, Any] = {} if self.biomarkers is None else {"biomarkers": list(self.biomarkers)}
        if self.pathways:
            genes = fingerprint({name: list(genes) for name, genes in self.pathways.items()})
            found |= {"pathways": len(self.pathways), "pathways_hash": genes}
        return {"lists": found} if found else {}

    def named(self, panel: Sequence[str]) -> list[str] | None:
        """The biomarkers to report on: those asked for, or the usual ones where the panel has any.

        Raises
        ------
        EosinError
            None of those asked for is in the panel.
        """
        if self.biomarkers is None:
            return list(BIOMARKERS) if set(BIOMARKERS) & set(panel) else None
        if not set(self.biomarkers) & set(panel):
            raise EosinError(
                f"none of the {len(self.biomarkers)} biomarkers is among the panel's {len(panel)} genes"
                + (f", first '{self.biomarkers[0]}'" if self.biomarkers else ""),
                fix="train with a panel that holds them, as --genes GATA3,ERBB2, or spell them as the panel does",
            )
        return list(self.biomarkers)

    def usable(self, panel: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The gene sets with enough genes in the panel for a pattern.

        Raises
        ------
        EosinError
            Sets were asked for and none has.
        """
        there = set(panel)
        found = {name: genes for name, genes in self.pathways.items() if len(there & set(genes)) >= MIN_GENES}
        if self.pathways and not found:
            raise EosinError(
                f"none of the {len(self.pathways)} gene sets has {MIN_GENES} genes among the panel's {len(panel)}",
                fix="take a larger panel, as --genes hmhvg:200, or sets whose genes are spelled as the panel's",
            )
        return found


USUAL = GeneLists()
"""What is scored where nothing was asked for."""


def has_biomarkers(sections: MatchedSections) -> bool:
    """Whether genes are to be scored by name."""
    return sections.biomarkers is not None


def biomarker_means(sections: MatchedSections) -> dict[str, float]:
    """`gene_means` of the named genes that are in the panel, in the order in which they were named."""
    means = sections.once(gene_means)
    return {gene: means[gene] for gene in sections.biomarkers or () if gene in means}


metric.register(
    metric.Metric(
        key="biomarkers.mean",
        function=lambda sections: mean_defined(np.array(list(biomarker_means(sections).values()))),
        definition="pcc.mean over the named biomarkers alone",
        better="up",
        group=metric.BIOMARKERS,
        label="mean",
        source="STFlow, section 4.2",
        scope="sections",
        needs=has_biomarkers,
    )
)
