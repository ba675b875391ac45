"""E2CNN in STFlow's flow: convolutions over a window of spots that turn and mirror with the tissue.

Weiler and Cesa (NeurIPS 2019) built networks whose kernels are steerable. Huang et al. (ICML 2025, table 3 and appendix
A) put their 10-layer residual network in the place of STFlow's denoiser: spots arranged in a 5 x 5 window around the
one to predict, image features as channels. They released no code of that. Where eosin chooses, and why:

- Own convolutions of the group D4 (quarter turns and mirrors), exact by construction, on an ordinary convolution.
- A spot's neighbours go to the cell nearest to their offset; a channel marks the cells that have a spot.
- Y_t and t join the features. By default all three are first mapped to a few channels: with 1024 or more, most
  of the work would be in the first convolution.
- Normalised per spot and not per batch, so that a spot's prediction does not depend on what it is predicted with.
- The default is one stage, read at the window's centre; preset `paper` shrinks and averages it, as published.
"""

from __future__ import annotations

from eosin.models.base import MODELS, ModelEntry
from eosin.models.e2cnn.e2cnn_net import E2CNN, E2CNNNetwork
from eosin.models.parts.flow import FlowModel
from eosin.models.parts.flow_settings import PAPER_FLOW, PAPER_TRAIN, FlowSettings, make_flow
from eosin.models.parts.objective import ValueObjective, squared_error
from eosin.types import GenePanel


class E2CNNSettings(FlowSettings, E2CNNNetwork):
    """The network's settings, then the flow's."""


def build(
    settings: E2CNNSettings, n_features: int, panel: GenePanel, *, objective: ValueObjective = squared_error
) -> FlowModel:
    """Put the parts together; no I/O, no device."""
    return make_flow(E2CNN, settings, n_features, panel, objective=objective)


_PAPER = {"n_channels": None, "n_first": 2, "n_fields": 8, "n_stages": 3, "pool": True, "dropout": 0.3, **PAPER_FLOW}

MODELS.add(
    "e2cnn",
    ModelEntry(
        build,
        E2CNNSettings,
        "flow matching with convolutions over a window of spots that turn and mirror with the tissue",
        "Weiler and Cesa, NeurIPS 2019, in the flow of Huang et al., ICML 2025",
        presets={
            "paper": {"model": _PAPER, "train": PAPER_TRAIN},
            "small": {"model": {"n_channels": 32, "n_first": 4, "n_fields": 4}, "train": {"lr": 1e-3}},
        },
        drawing=("n_steps", "sampler"),
    ),
)
