"""How Stem and FLAG start, against the formulas of their releases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from eosin.models import MODELS
from eosin.types import GenePanel

PANEL = GenePanel(tuple(f"G{i}" for i in range(60)))
NARROW = {  # the published shape, at sizes that take no time
    "stem": {"depth": 2, "width": 48},
    "flag": {"depth": 2, "width": 48, "graph_width": 64, "graph_depth": 2, "align_width": 40, "vector_width": 32},
}


def fresh(model: str, preset: str) -> nn.Module:
    torch.manual_seed(0)
    entry = MODELS[model]
    return entry.build(entry.settings.of(entry.presets[preset]["model"], NARROW[model]), 30, PANEL)


@pytest.mark.parametrize("preset", ["paper", "small"])
@pytest.mark.parametrize("model", ["stem", "flag"])
def test_gene_embeddings_are_uniform_within_one_over_the_root_of_the_width(model: str, preset: str) -> None:
    made = fresh(model, preset)
    (dit,) = [part for part in made.modules() if type(part).__name__ == "GeneDiT"]
    gene, bound = dit.gene.detach(), 1 / math.sqrt(48)
    assert float(gene.abs().max()) <= bound
    assert float(gene.abs().max()) > 0.99 * bound
    assert float(gene.std()) == pytest.approx(bound / math.sqrt(3), rel=0.03)  # N(0, 1) is 12 times wider


def is_xavier(layer: nn.Linear) -> bool:
    rows, columns = layer.weight.shape
    bound, weight = math.sqrt(6 / (rows + columns)), layer.weight.detach()
    spread = float(weight.square().mean().sqrt()) / (bound / math.sqrt(3))
    return (
        float(weight.abs().max()) <= bound and abs(spread - 1) < 4 / math.sqrt(weight.numel()) and not layer.bias.any()
    )


@pytest.mark.parametrize("preset", ["paper", "small"])
@pytest.mark.parametrize("tables", [{}, {"spatial_graph": False}], ids=["graph", "no-graph"])
def test_linear_maps_of_flag_start_by_xavier(preset: str, tables: dict) -> None:
    torch.manual_seed(0)
    entry = MODELS["flag"]
    settings = entry.settings.of(entry.presets[preset]["model"], NARROW["flag"], tables)
    made = entry.build(settings, 30, PANEL)
    maps = {name: layer for name, layer in made.named_modules() if isinstance(layer, nn.Linear)}
    other = {name for name, layer in maps.items() if not is_xavier(layer)}
    by_design = {name for name in maps if name.startswith(("generator.dit.modulate", "generator.dit.out"))}
    by_design |= {name for name in maps if name.startswith("generator.dit.blocks") and name.endswith("modulate")}
    by_design |= {name for name in maps if name.startswith("generator.time.")}  # normal(0, 0.02), as in DiT
    if preset != "paper":
        by_design |= {name for name in maps if name.startswith("generator.graph.layers") and name.endswith("modulate")}
    assert other == by_design
