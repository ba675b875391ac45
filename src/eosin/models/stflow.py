"""STFlow: whole-slide flow matching with E(2)-invariant local attention (Huang et al., ICML 2025).

The denoiser is in `stflow_net.py`, the flow in `flow.py`; here are the settings and how the parts are put together.
Where eosin differs from the paper or its release, and why:

- Neighbours never cross sections, and nothing is padded (the release's padding took part in the attention).
- Offsets are in units of `length_um`, not pixels, so that scanners do not leak into the geometry.
- Neighbourhoods without principal axes (every regular lattice) are handled, see `eosin.spots.local_frames`.
- Features are standardised on the training spots (the release takes them raw).
- The default is a smaller, regularised network that generates what a tuned ridge leaves over, and that also sees
  the absolute expression; preset `paper` is the published model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from eosin.config import Settings
from eosin.generative import (
    ZINB,
    EmpiricalZINB,
    Gaussian,
    LinearPath,
    NoPath,
    Prior,
    Residual,
    Sampler,
    Zero,
    euler,
    even_times,
    heun,
    release_times,
)
from eosin.models.base import MODELS, ModelEntry
from eosin.models.flow import FlowModel, InputMap, ValueScale
from eosin.models.ridge import Ridge, RidgeSettings
from eosin.models.stflow_net import Denoiser
from eosin.types import GenePanel


class STFlowSettings(Settings):
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
    prior: Literal["residual", "zinb", "zinb-logits", "gaussian", "zero", "empirical"] = Field(
        "residual", description="where the flow starts; 'zinb-logits' reads prior_mean as the release does"
    )
    prior_mean: float = Field(0.1, description="mean (zinb) or logit (zinb-logits) of the prior")
    prior_dispersion: float = Field(1.0, gt=0, description="dispersion of a zinb prior")
    prior_zeros: float = Field(0.5, ge=0, lt=1, description="probability of an extra zero in a zinb prior")
    n_steps: int = Field(5, ge=1, description="refinement steps")
    sampler: Literal["euler", "heun"] = Field("heun", description="'euler' is the paper's Algorithm 2")
    time_grid: Literal["even", "release"] = Field("even", description="0, 1/S, ..., 1; or the release's 0.01 to 1")
    n_components: int | None = Field(
        128, ge=1, description="principal components of the features; none: all features, standardised"
    )
    standardise: bool = Field(True, description="give every gene mean 0 and sd 1 inside the flow")
    precondition: bool = Field(True, description="let the network only correct the best linear guess")
    base: bool = Field(True, description="generate what a cross-fitted tuned ridge leaves over")


_PAPER = {
    "n_layers": 4,
    "width": 128,
    "edge_width": 128,
    "dropout": 0.2,
    "absolute_expression": False,
    "prior": "zinb",
    "n_components": None,
    "standardise": False,
    "base": False,
    "precondition": False,
    "sampler": "euler",
    "min_gap": 0.0,
    "length_um": 0.5,
}


def _to_values(transform: str) -> Callable[[Tensor], Tensor]:
    """Counts -> model values as a torch function, on the scale of the panel's transform."""
    unit = math.log(2) if transform == "log2p1" else 1.0
    return lambda counts: torch.log1p(counts) / unit


def _prior(s: STFlowSettings, panel: GenePanel) -> Prior:
    to_values = _to_values(panel.transform)
    if not s.flow_matching:
        return Zero()
    makers: dict[str, Callable[[], Prior]] = {
        "zinb": lambda: ZINB(s.prior_mean, s.prior_dispersion, s.prior_zeros, to_values),
        "zinb-logits": lambda: ZINB.from_logits(s.prior_mean, s.prior_dispersion, s.prior_zeros, to_values),
        "gaussian": lambda: Gaussian(),
        "zero": Zero,
        "empirical": lambda: EmpiricalZINB(len(panel), to_values),
        "residual": lambda: Residual(len(panel)),
    }
    return makers[s.prior]()


_SAMPLERS: dict[str, Sampler] = {"euler": euler, "heun": heun}
_GRIDS = {"even": even_times, "release": release_times}


def build(settings: STFlowSettings, n_features: int, panel: GenePanel) -> FlowModel:
    """Put the parts together; no I/O, no device."""
    n_genes = len(panel)
    inputs = InputMap(n_features, settings.n_components)
    denoiser = Denoiser(
        inputs.n_out,
        n_genes,
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
    return FlowModel(
        denoiser,
        _prior(settings, panel),
        LinearPath() if settings.flow_matching else NoPath(),
        _SAMPLERS[settings.sampler],
        _GRIDS[settings.time_grid](settings.n_steps) if settings.flow_matching else even_times(1),
        inputs,
        ValueScale(n_genes, standardise=settings.standardise),
        Ridge(RidgeSettings.of(), n_features, panel) if settings.base else None,
        n_genes,
        precondition=settings.precondition and settings.flow_matching,
    )


MODELS.add(
    "stflow",
    ModelEntry(
        build,
        STFlowSettings,
        "whole-slide flow matching with E(2)-invariant local attention",
        "Huang et al., ICML 2025",
        presets={
            "paper": {
                "model": _PAPER,
                "train": {
                    "lr": 5e-4,
                    "weight_decay": 0.0,
                    "ema": 0.0,
                    "epochs": 100,
                    "patience": 20,
                    "regions_per_section": 10,
                },
            },
        },
    ),
)
