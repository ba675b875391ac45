"""STFlow: whole-slide flow matching with E(2)-invariant local attention (Huang et al., ICML 2025).

The denoiser is in `stflow_net.py`, the flow in `flow.py` and `flow_settings.py`; here are the network's settings.
Where eosin differs from the paper or its release, and why:

- Neighbours never cross sections, and nothing is padded (the release's padding took part in the attention).
- Offsets are in units of `length_um`, not pixels, so that scanners do not leak into the geometry.
- Neighbourhoods without principal axes (every regular lattice) are handled, see `eosin.geometry.local_frames`.
- Features are standardised on the training spots (the release takes them raw).
- The default is a smaller, regularised network that generates what a tuned ridge leaves over, and that also sees
  the absolute expression; preset `paper` is the published model.
"""

from __future__ import annotations

from abc import ABC

from pydantic import Field

from eosin.config import Settings
from eosin.models.base import MODELS, ModelEntry
from eosin.models.parts.flow import FlowModel
from eosin.models.parts.flow_settings import PAPER_FLOW, PAPER_TRAIN, FlowSettings, make_flow
from eosin.models.stflow.stflow_net import Denoiser
from eosin.types import GenePanel


class _Network(Settings, ABC):
    n_layers: int = Field(2, ge=1, description="attention layers; each widens the context by one ring of neighbours")
    width: int = Field(64, ge=8, description="width of a spot's state")
    edge_width: int = Field(64, ge=8, description="width of a neighbour relation's state")
    n_heads: int = Field(4, ge=1, description="attention heads; must divide both widths")
    n_neighbours: int = Field(8, ge=1, description="nearest spots that a spot attends to")
    include_ties: bool = Field(False, description="attend to all spots as near as the last one, not to some of them")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout rate in every block")
    length_um: float = Field(100.0, gt=0, description="µm that count as 1 in the geometry")
    min_gap: float = Field(0.01, ge=0, le=1, description="smallest relative eigenvalue gap at which axes are trusted")
    frame_averaging: bool = Field(True, description="False removes the geometry (the paper's 'w/o FA')")
    flow_matching: bool = Field(True, description="False predicts in one step from no expression ('w/o FM')")
    absolute_expression: bool = Field(True, description="also feed Y_t itself to each spot, not only differences")


class STFlowSettings(FlowSettings, _Network):
    """The network's settings, then the flow's."""


_PAPER = {
    "n_layers": 4,
    "width": 128,
    "edge_width": 128,
    "dropout": 0.2,
    "absolute_expression": False,
    "min_gap": 0.0,
    "length_um": 0.5,
    **PAPER_FLOW,
}


def build(settings: STFlowSettings, n_features: int, panel: GenePanel) -> FlowModel:
    """Put the parts together; no I/O, no device."""

    def denoiser(n_inputs: int) -> Denoiser:
        return Denoiser(
            n_inputs,
            len(panel),
            width=settings.width,
            edge_width=settings.edge_width,
            n_layers=settings.n_layers,
            n_heads=settings.n_heads,
            n_neighbours=settings.n_neighbours,
            dropout=settings.dropout,
            use_edges=settings.frame_averaging,
            absolute=settings.absolute_expression,
            length_um=settings.length_um,
            min_gap=settings.min_gap,
            include_ties=settings.include_ties,
            start_at_zero=settings.precondition,  # a correction starts as none
        )

    return make_flow(denoiser, settings, n_features, panel, flow_matching=settings.flow_matching)


MODELS.add(
    "stflow",
    ModelEntry(
        build,
        STFlowSettings,
        "whole-slide flow matching with E(2)-invariant local attention",
        "Huang et al., ICML 2025",
        presets={"paper": {"model": _PAPER, "train": PAPER_TRAIN}},
        drawing=("n_steps", "sampler"),
    ),
)
