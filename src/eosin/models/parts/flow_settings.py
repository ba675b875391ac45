"""What every flow can be set to, whatever its denoiser, and how a flow is put together from it."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

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
from eosin.genes.transforms import TRANSFORMS
from eosin.models.parts.base_model import NO_BASE
from eosin.models.parts.flow import FlowModel, FlowParts
from eosin.models.parts.objective import ValueObjective, squared_error
from eosin.models.parts.on_base import NetworkUnits, OnBaseSettings
from eosin.models.parts.spatial_residual import SpatialResidual
from eosin.models.parts.zero_start import start_at_zero
from eosin.types import GenePanel


class FlowSettings(OnBaseSettings, ABC):
    """The flow's part of a model's settings; models derive theirs from it and from their network's."""

    prior: Literal["spatial", "residual", "zinb", "zinb-logits", "gaussian", "zero", "empirical"] = Field(
        "spatial",
        description="where the flow starts: noise that lies in space and among genes as misses of the base, or only "
        "among genes ('residual', and without a base), or counts; 'zinb-logits' reads prior_mean as the release does",
    )
    prior_mean: float = Field(0.1, description="mean (zinb) or logit (zinb-logits) of the prior")
    prior_dispersion: float = Field(1.0, gt=0, description="dispersion of a zinb prior")
    prior_zeros: float = Field(0.5, ge=0, lt=1, description="probability of an extra zero in a zinb prior")
    n_steps: int = Field(2, ge=1, description="refinement steps")
    sampler: Literal["euler", "heun"] = Field("euler", description="'euler' is the paper's Algorithm 2")
    time_grid: Literal["even", "release"] = Field("even", description="0, 1/S, ..., 1; or the release's 0.01 to 1")
    precondition: bool = Field(True, description="let the network only correct the best linear guess")


PAPER_FLOW = {
    "prior": "zinb",
    "n_components": None,
    "standardise": False,
    "base": "none",
    "precondition": False,
    "n_steps": 5,
    "sampler": "euler",
}
"""The flow as STFlow's paper has it."""

PAPER_TRAIN = {
    "lr": 5e-4,
    "weight_decay": 0.0,
    "ema": 0.0,
    "epochs": 100,
    "patience": 20,
    "regions_per_section": 10,
}
"""STFlow's training, which its paper also used for the denoisers it compares with."""


def to_values(transform: str) -> Callable[[Tensor], Tensor]:
    """Counts -> model values as a torch function, on the scale of the panel's transform."""
    unit = math.log(2) if transform == "log2p1" else 1.0
    return lambda counts: torch.log1p(counts) / unit


def from_values(transform: str) -> Callable[[Tensor], Tensor] | None:
    """Model values -> scaled counts, where the transform scales the counts of every spot to one total; else none."""
    return torch.expm1 if TRANSFORMS[transform].per is not None else None


def make_prior(s: FlowSettings, panel: GenePanel) -> Prior:
    """The prior that the settings ask for; what it fits to, it fits in `Prior.observe`."""
    ways = to_values(panel.transform), from_values(panel.transform)
    makers: dict[str, Callable[[], Prior]] = {
        "zinb": lambda: ZINB(s.prior_mean, s.prior_dispersion, s.prior_zeros, *ways),
        "zinb-logits": lambda: ZINB.from_logits(s.prior_mean, s.prior_dispersion, s.prior_zeros, *ways),
        "gaussian": lambda: Gaussian(),
        "zero": Zero,
        "empirical": lambda: EmpiricalZINB(len(panel), *ways),
        "residual": lambda: Residual(len(panel)),
        "spatial": lambda: (Residual if s.base == NO_BASE else SpatialResidual)(len(panel)),
    }
    return makers[s.prior]()


_SAMPLERS: dict[str, Sampler] = {"euler": euler, "heun": heun}
_GRIDS = {"even": even_times, "release": release_times}


def _flow(s: FlowSettings, panel: GenePanel) -> FlowParts:
    times = _GRIDS[s.time_grid](s.n_steps)
    return FlowParts(make_prior(s, panel), LinearPath(), _SAMPLERS[s.sampler], times, s.precondition)


def _one_step(s: FlowSettings) -> FlowParts:
    """A regression from no expression."""
    return FlowParts(Zero(), NoPath(), _SAMPLERS[s.sampler], even_times(1), precondition=False)


def make_flow(
    network: Callable[[int, int, Any], nn.Module],
    settings: FlowSettings,
    n_features: int,
    panel: GenePanel,
    *,
    objective: ValueObjective = squared_error,
    flow_matching: bool = True,
) -> FlowModel:
    """Put a flow together; no I/O, no device.

    Parameters
    ----------
    network
        (inputs per spot, genes, `settings`) -> a denoiser with the methods of `DenoiserPart`.
    settings
        Of the flow, and of the network.
    n_features
        Features of a spot.
    panel
        The genes.
    objective
        What training minimises, of guessed and true data ends.
    flow_matching
        False predicts in one step from no expression.
    """
    units = NetworkUnits.of(settings, n_features, panel)
    denoiser = network(units.inputs.n_out, len(panel), settings)
    if settings.precondition:
        start_at_zero(denoiser.heads)  # a correction starts as none
    return FlowModel(denoiser, _flow(settings, panel) if flow_matching else _one_step(settings), units, objective)
