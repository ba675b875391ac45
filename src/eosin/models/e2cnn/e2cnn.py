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

from abc import ABC

from pydantic import Field

from eosin.config import Settings
from eosin.models.base import MODELS, ModelEntry
from eosin.models.e2cnn.e2cnn_net import E2CNN
from eosin.models.parts.flow import FlowModel
from eosin.models.parts.flow_settings import PAPER_FLOW, PAPER_TRAIN, FlowSettings, make_flow
from eosin.types import GenePanel


class _Network(Settings, ABC):
    n_channels: int | None = Field(
        64,
        ge=1,
        description="channels that features, Y_t and t are mapped to; none: they themselves, as published",
    )
    n_first: int = Field(8, ge=1, description="fields (of eight channels) of the first convolution")
    n_fields: int = Field(8, ge=1, description="fields of the first stage; each further stage has twice as many")
    n_stages: int = Field(1, ge=1, le=3, description="stages of one residual block")
    pool: bool = Field(False, description="halve the window between stages and average it; False reads its centre")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout rate inside blocks")


class E2CNNSettings(FlowSettings, _Network):
    """The network's settings, then the flow's."""


def build(settings: E2CNNSettings, n_features: int, panel: GenePanel) -> FlowModel:
    """Put the parts together; no I/O, no device."""

    def denoiser(n_inputs: int) -> E2CNN:
        return E2CNN(
            n_inputs,
            len(panel),
            n_channels=settings.n_channels,
            n_first=settings.n_first,
            n_fields=settings.n_fields,
            n_stages=settings.n_stages,
            dropout=settings.dropout,
            pool=settings.pool,
            start_at_zero=settings.precondition,  # a correction starts as none
        )

    return make_flow(denoiser, settings, n_features, panel)


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
