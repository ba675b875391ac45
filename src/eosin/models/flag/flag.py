"""FLAG: diffusion over genes, conditioned on a graph of spots and aligned with gene vectors (Si et al., 2026).

Networks are in `flag_net.py` and `flag_generators.py`, the graph in `flag_graph.py`, what is diffused on it in
`flag_state.py`, how the network is trained and asked in `flag_process.py`, the losses in `flag_objective.py`, the model
in `flag_model.py`, gene vectors in `gene_embedding.py`, the mathematics of the diffusion in `eosin.generative.ve`; here
are the settings, and how all that is put together. The paper's two forerunners, node-only and joint node-edge
diffusion on the graph, are the same parts without the transformer over genes (`diffuse`); its ablations are FLAG with
another part in one place (`diffusion`, `spatial_graph`, `align`).

Where eosin differs from the paper or its release, and why:

- Fixed edges are the paper's (distance kernel, cosine of features); the released configuration switches them off.
- Spots see their nearest neighbours in µm, without seams; preset `paper` cuts blocks of about 2048 px.
- Gene vectors come from co-expression of the training spots, or a file; a fixed vector per gene, as section 3.5 says.
  The release needs vectors made from the true counts of every spot, and so cannot predict an unmeasured slide.
- The default network is small, corrects the best linear guess, and generates what a base leaves over; preset
  `paper` answers with the score of values as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field
from torch import Tensor

from eosin.errors import EosinError
from eosin.generative.mirrored import independent, mirrored
from eosin.generative.ve import LOG_SIGMA, SIGMA, VE, LinearGuess, Output, Score
from eosin.models.base import MODELS, ModelEntry
from eosin.models.flag.flag_generators import (
    Alignment,
    GeneGenerator,
    Generator,
    JointGenerator,
    NodeGenerator,
    OwnFeatures,
)
from eosin.models.flag.flag_graph import Alone, Blocks, GraphBuilder, Nearest, Neighbourhood
from eosin.models.flag.flag_model import GraphModel
from eosin.models.flag.flag_net import GraphEncoder
from eosin.models.flag.flag_objective import Answer, NodeAndEdgeError, NodeError, WithAlignment
from eosin.models.flag.flag_process import Diffusion, Process, Regression
from eosin.models.flag.flag_state import Joined, Nodes, NodesAndEdges, State
from eosin.models.parts.dit import GeneDiT
from eosin.models.parts.gene_embedding import CoExpression, VectorFile
from eosin.models.parts.objective import Objective
from eosin.models.parts.on_base import NetworkUnits, OnBaseSettings
from eosin.models.parts.zero_start import start_at_zero
from eosin.types import GenePanel


class FLAGSettings(OnBaseSettings):
    """The base, the graph, the transformer over genes, the alignment, and the diffusion."""

    diffuse: Literal["genes", "nodes", "nodes-and-edges"] = Field(
        "genes", description="FLAG itself, or the paper's graph diffusions without a transformer over genes"
    )
    graph_width: int = Field(64, ge=4, description="width of a spot's state in the graph")
    graph_depth: int = Field(2, ge=1, description="graph layers; each widens the context by one ring of neighbours")
    graph_heads: int = Field(4, ge=1, description="attention heads in the graph; must divide graph_width")
    released_graph: bool = Field(
        False,
        description="graph layers in the release's order: a context for each, SiLU before scales and shifts, those of "
        "the features before the output map; GELU where nodes and edges come in; all edges of a block pooled",
    )
    edge_width: int = Field(16, ge=1, description="width of an edge's state, where edges are diffused")
    blocks: bool = Field(False, description="see all spots of a square block instead of the nearest ones")
    n_neighbours: int = Field(8, ge=1, description="nearest spots that a spot sees, itself not counted")
    reach_um: float | None = Field(
        None, gt=0, description="a spot further away than this, µm, is no neighbour; without it however far"
    )
    block_um: float = Field(1024.0, gt=0, description="side of a block, µm")
    block_spots: int = Field(512, ge=2, description="most spots of a block; fuller ones are cut in two")
    length_um: float = Field(112.0, gt=0, description="length of the distance kernel, µm")
    routed: bool = Field(True, description="the graph sees the noisy state too, so that neighbours are drawn together")
    spatial_graph: bool = Field(
        True, description="False: a spot's condition comes from its own features alone ('w/o Spatial Graph')"
    )
    diffusion: bool = Field(True, description="False: the same network as a regression ('w/o Diffusion')")
    hand_over: Literal["state", "genes"] = Field(
        "state", description="what the graph hands on per spot: its whole state, or a number per gene as the release"
    )
    bridge_width: int = Field(128, ge=1, description="hidden width of the map from graph to condition")
    width: int = Field(48, ge=4, description="width of a gene token")
    depth: int = Field(3, ge=1, description="blocks of the transformer over genes")
    n_heads: int = Field(4, ge=1, description="its attention heads; must divide width")
    dropout: float = Field(0.2, ge=0, lt=1, description="dropout rate in the graph layers and the transformer")
    align: float = Field(0.1, ge=0, description="weight of the alignment with gene vectors; 0 switches it off")
    align_block: int = Field(2, ge=1, description="block whose tokens are aligned; the last one where there are fewer")
    align_width: int = Field(128, ge=1, description="hidden width of the projector")
    vector_width: int = Field(64, ge=1, description="numbers in a gene's vector; longer ones are reduced to it")
    vectors: str | None = Field(None, description="file of gene vectors; none: co-expression of the training spots")
    consistency: float = Field(0.1, ge=0, description="weight of agreement of edges and nodes, where both are diffused")
    sigma_smallest: float = Field(0.01, gt=0, description="smallest noise level")
    sigma_largest: float = Field(10.0, gt=0, description="largest noise level")
    time_scale: float = Field(
        1000.0, gt=0, description="a noise level enters the networks as so many times its time t, 0 to 1; published: 1"
    )
    levels_per_step: int = Field(4, ge=1, description="noise levels at which a training step sees each region")
    n_steps: int = Field(18, ge=1, description="Heun steps; two evaluations each, and one at the end")
    levels: Literal["curved", "even"] = Field("curved", description="'even' is even in log noise, as published")
    mirrored: bool = Field(True, description="half of the draws start from the other half's noise, mirrored")
    clamp: bool = Field(False, description="set negative values of every draw to 0, as the release does")
    precondition: bool = Field(True, description="let the network only correct the best linear guess")


def _graph(s: FLAGSettings, n_features: int, n_noisy: int | None, n_out: int, edge_width: int | None) -> GraphEncoder:
    return GraphEncoder(
        n_features,
        n_noisy,
        n_out,
        width=s.graph_width,
        depth=s.graph_depth,
        n_heads=s.graph_heads,
        dropout=s.dropout,
        edge_width=edge_width,
        released=s.released_graph,
    )


def _genes(s: FLAGSettings, n_features: int, g: int) -> tuple[Generator, State, Alignment | None]:
    n_handed = g if s.hand_over == "genes" else s.graph_width
    tap = min(s.align_block, s.depth) if s.align else None
    dit = GeneDiT(g, s.width, s.depth, s.n_heads, tap=tap, dropout=s.dropout)
    routed = s.routed and s.spatial_graph and s.diffusion  # else there is no noisy state for a graph to see
    if s.spatial_graph:
        graph = _graph(s, n_features, g if routed else None, n_handed, None)
    else:
        graph = OwnFeatures(n_features, n_handed, width=s.graph_width, dropout=s.dropout)
    generator = GeneGenerator(graph, n_handed, dit, bridge_width=s.bridge_width, routed=routed)
    return generator, Nodes(), Alignment(g, s.width, s.align_width, s.vector_width) if s.align else None


def _nodes(s: FLAGSettings, n_features: int, g: int) -> tuple[Generator, State, Alignment | None]:
    graph = _graph(s, n_features, g, g, None)
    start_at_zero([graph.out])  # as the answer of the transformer over genes does
    return NodeGenerator(graph), Nodes(), None


def _nodes_and_edges(s: FLAGSettings, n_features: int, g: int) -> tuple[Generator, State, Alignment | None]:
    graph = _graph(s, n_features, g, g, s.edge_width)
    start_at_zero([graph.out])
    return JointGenerator(graph, g), NodesAndEdges(g), None


_KINDS: dict[str, Callable[[FLAGSettings, int, int], tuple[Generator, State, Alignment | None]]] = {
    "genes": _genes,
    "nodes": _nodes,
    "nodes-and-edges": _nodes_and_edges,
}


def _process(s: FLAGSettings, state: State, g: int) -> Process:
    if not s.diffusion:
        return Regression(g)
    output: Output = LinearGuess(g) if s.precondition else Score()
    if isinstance(state, NodesAndEdges):
        output = Joined(output, LinearGuess(1) if s.precondition else Score(), g)
    noise = VE(s.sigma_smallest, s.sigma_largest)
    levels, clock = {
        "curved": lambda: (noise.curved_levels(s.n_steps), SIGMA),
        "even": lambda: (noise.even_levels(s.n_steps), LOG_SIGMA),
    }[s.levels]()
    starts = mirrored if s.mirrored else independent
    return Diffusion(
        state,
        output,
        noise,
        levels,
        clock,
        g,
        levels_per_step=s.levels_per_step,
        time_scale=s.time_scale,
        starts=starts,
    )


def _objective(s: FLAGSettings, state: State, g: int) -> Objective[Answer, Tensor]:
    plain = NodeAndEdgeError(g, s.consistency) if isinstance(state, NodesAndEdges) else NodeError()
    return WithAlignment(plain, s.align) if s.align else plain


def _around(s: FLAGSettings) -> Neighbourhood:
    if not s.spatial_graph:
        return Alone()
    return Blocks(s.block_um, s.block_spots) if s.blocks else Nearest(s.n_neighbours, s.reach_um)


def build(
    settings: FLAGSettings,
    n_features: int,
    panel: GenePanel,
    *,
    objective: Objective[Answer, Tensor] | None = None,
) -> GraphModel:
    """Put the parts together; no I/O, no device.

    Parameters
    ----------
    objective
        What training minimises; none: squared errors of what is diffused, and the weighted misalignment.

    Raises
    ------
    EosinError
        A diffusion on the graph is asked for without graph or without diffusion; widths that heads do not divide.
    """
    s, g = settings, len(panel)
    if s.diffuse != "genes" and not (s.spatial_graph and s.diffusion):
        raise EosinError(
            f"diffuse = '{s.diffuse}' is a diffusion on the graph, and one of both is switched off",
            fix="leave spatial_graph and diffusion on, or set diffuse = 'genes'",
        )
    units = NetworkUnits.of(s, n_features, panel)
    generator, state, alignment = _KINDS[s.diffuse](s, units.inputs.n_out, g)
    return GraphModel(
        generator,
        _process(s, state, g),
        GraphBuilder(_around(s), s.length_um, pairs=isinstance(state, NodesAndEdges), pool_all=s.released_graph),
        units,
        objective or _objective(s, state, g),
        alignment,
        VectorFile(s.vectors) if s.vectors else CoExpression(),
        clamp=s.clamp,
    )


_PAPER = {
    "graph_width": 384,
    "graph_depth": 6,
    "graph_heads": 8,
    "released_graph": True,
    "edge_width": 384,
    "blocks": True,
    "hand_over": "genes",
    "bridge_width": 512,
    "width": 384,
    "depth": 12,
    "n_heads": 6,
    "dropout": 0.1,
    "align": 0.5,
    "align_block": 8,
    "align_width": 2048,
    "vector_width": 1152,
    "time_scale": 1.0,
    "levels_per_step": 1,
    "n_steps": 100,
    "levels": "even",
    "mirrored": False,
    "clamp": True,
    "n_components": None,
    "standardise": False,
    "precondition": False,
    "base": "none",
}

_SMALL = {
    "graph_width": 32,
    "graph_depth": 1,
    "width": 24,
    "depth": 2,
    "n_heads": 2,
    "n_steps": 8,
    "align_width": 64,
    "levels_per_step": 2,
}

MODELS.add(
    "flag",
    ModelEntry(
        build,
        FLAGSettings,
        "diffusion over genes with a graph of spots and aligned gene vectors",
        "Si et al., arXiv 2605.18055",
        presets={
            "paper": {
                "model": _PAPER,
                "train": {"lr": 1e-4, "ema": 0.999, "epochs": 1000, "patience": 200, "regions_per_step": 16},
            },
            "small": {"model": _SMALL, "train": {"epochs": 8, "regions_per_section": 8, "patience": 8, "lr": 3e-3}},
        },
        drawing=("n_steps", "mirrored"),
    ),
)
