"""Genes: which a model predicts, on which scale, and by which names."""

from eosin.genes.panels import choose_panel, gene_rules, need_rule, tolerant, with_ids
from eosin.genes.rules import RULES, GeneRule
from eosin.genes.transforms import TRANSFORMS, Transform, target, totals

__all__ = [
    "RULES",
    "TRANSFORMS",
    "GeneRule",
    "Transform",
    "choose_panel",
    "gene_rules",
    "need_rule",
    "target",
    "tolerant",
    "totals",
    "with_ids",
]
