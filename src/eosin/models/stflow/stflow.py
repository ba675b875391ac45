"""STFlow: whole-slide flow matching with E(2)-invariant local attention (Huang et al., ICML 2025).

The denoiser is in `stflow_net.py`, the flow in `flow.py` and `flow_settings.py`; here are the network's settings.
Where eosin differs from the paper or its release, and why:

- Neighbours never cross sections, and nothing is padded (the release's padding took part in the attention).
- Offsets are in units of `length_um`, not pixels, so that scanners do not leak into the geometry.
- Neighbourhoods without principal axes (every regular lattice) are handled, see `eosin.geometry.local_frames`.
- Features are standardised on the training spots (the release takes them raw).
- The default is a smaller, regularised network that generates what a closed-form base leaves over, and that also sees
  the absolute expression; preset `paper` is the published model.
"""

from __future__ import annotations

from pydantic import Field

from eosin.models.base import MODELS, ModelEntry
from eosin.models.parts.flow import FlowModel
from eosin.models.parts.flow_settings import PAPER_FLOW, PAPER_TRAIN, FlowSettings, make_flow
from eosin.models.parts.objective import ValueObjective, squared_error
from eosin.models.stflow.stflow_net import Denoiser, STFlowNetwork
from eosin.types import GenePanel


class STFlowSettings(FlowSettings, STFlowNetwork):
    """The network's settings, then the flow's."""

    flow_matching: bool = Field(True, description="False predicts in one step from no expression ('w/o FM')")


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


def build(
    settings: STFlowSettings, n_features: int, panel: GenePanel, *, objective: ValueObjective = squared_error
) -> FlowModel:
    """Put the parts together; no I/O, no device."""
    return make_flow(Denoiser, settings, n_features, panel, objective=objective, flow_matching=settings.flow_matching)


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
