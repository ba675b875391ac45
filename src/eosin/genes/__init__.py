"""Genes: which a model predicts, on which scale, and by which names."""

from eosin.genes.panels import RULES, GeneRule, choose_panel, gene_rules
from eosin.genes.transforms import TRANSFORMS, Transform, target

__all__ = ["RULES", "TRANSFORMS", "GeneRule", "Transform", "choose_panel", "gene_rules", "target"]
