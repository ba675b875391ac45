"""Stem: conditional diffusion over the genes of one spot (Zhu et al., ICLR 2025).

A spot's expression is noised in 1000 steps; a transformer with one token per gene (`dit.py`) guesses the noise,
given the spot's features. Spots are independent given their features: a region is just a minibatch, and memory is
linear in spots. The network and the model are in `stem_model.py`, the losses in `stem_objective.py`, the diffusion in
`generative/diffusion.py`.
Where eosin differs from the paper or its release, and why:

- Draws take 20 evaluations of the network by DPM-Solver++ instead of 1000; preset `paper` takes the 1000.
- The network is small and regularised by default, and generates what a closed-form base leaves over, each gene scaled
  to unit variance (the diffusion ends at unit variance, and small cohorts do not carry 36 million parameters).
- By default the network only corrects the best linear guess of the noise (`precondition`), which is what is called
  v-prediction (Salimans and Ho, 2022).
- The variance of a step back is fixed, as in the paper. The release learns it; `learned_variance` does so too, with
  a density of continuous values at the first time where the release counts 256 grey levels.
- Tiles under flips and rotations are seen with `eosin encode --symmetries` and `train.augment = 0.8`, the paper's four
  turned tiles to one as it lies. They are chosen anew in every step, not once. It is off unless asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field
from torch import Tensor

from eosin.generative.diffusion import DDIM, Ancestral, DiffusionSampler, DPMSolver, Schedule
from eosin.generative.mirrored import independent, mirrored
from eosin.models.base import MODELS, ModelEntry
from eosin.models.parts.dit import GeneDiT
from eosin.models.parts.objective import Objective
from eosin.models.parts.on_base import NetworkUnits, OnBaseSettings
from eosin.models.stem.stem_model import NoiseNet, Stem
from eosin.models.stem.stem_objective import NoiseAndVariance, NoiseAnswer, NoiseError
from eosin.types import GenePanel


class StemSettings(OnBaseSettings):
    """The network, the diffusion and its sampler."""

    depth: int = Field(3, ge=1, description="transformer blocks over genes")
    width: int = Field(64, ge=8, description="width of a gene's token")
    n_heads: int = Field(4, ge=1, description="attention heads; must divide the width")
    mlp_ratio: float = Field(4.0, gt=0, description="hidden width of a block's feed-forward map, in widths")
    condition_width: int | None = Field(
        64, ge=8, description="hidden width of the map from features to condition; none: as many as features"
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="dropout rate in blocks")
    feature_dropout: float = Field(0.6, ge=0, lt=1, description="dropout rate of the features")
    n_components: int | None = Field(
        16, ge=1, description="principal components of the features; none: all features, standardised"
    )
    precondition: bool = Field(True, description="let the network only correct the best linear guess of the noise")
    learned_variance: bool = Field(False, description="learn the variance of each step back, as the release does")
    n_times: int = Field(1000, ge=2, description="noise levels of the diffusion")
    beta_first: float = Field(1e-4, gt=0, lt=1, description="share of noise that the first level adds")
    beta_last: float = Field(0.02, gt=0, lt=1, description="share of noise that the last level adds")
    sampler: Literal["dpm", "ddim", "ancestral"] = Field(
        "dpm", description="how draws are made; ancestral as published"
    )
    n_steps: int = Field(20, ge=1, description="evaluations for a draw by dpm or ddim; ancestral takes all levels")
    mirrored: bool = Field(True, description="start every second draw at the negative noise, which steadies the mean")
    spots_per_step: int = Field(256, ge=1, description="most spots of a training step's regions that are used")


_SAMPLERS: dict[str, Callable[[int], DiffusionSampler]] = {
    "dpm": DPMSolver,
    "ddim": DDIM,
    "ancestral": lambda n_steps: Ancestral(),
}


def build(
    settings: StemSettings,
    n_features: int,
    panel: GenePanel,
    *,
    objective: Objective[NoiseAnswer, Tensor] | None = None,
) -> Stem:
    """Put the parts together; no I/O, no device.

    Parameters
    ----------
    objective
        What training minimises; none: the squared error of the noise, and the variance's bits where it is learned.
    """
    s = settings
    schedule = Schedule.linear(s.n_times, s.beta_first, s.beta_last)
    units = NetworkUnits.of(s, n_features, panel)
    channels = 2 if s.learned_variance else 1
    dit = GeneDiT(len(panel), s.width, s.depth, s.n_heads, s.mlp_ratio, channels, dropout=s.dropout)
    n_inputs = units.inputs.n_out
    return Stem(
        NoiseNet(dit, n_inputs, s.condition_width or n_inputs, s.feature_dropout),
        schedule,
        _SAMPLERS[s.sampler](s.n_steps),
        mirrored if s.mirrored else independent,
        units,
        objective or (NoiseAndVariance(schedule) if s.learned_variance else NoiseError()),
        precondition=s.precondition,
        learned_variance=s.learned_variance,
        spots_per_step=s.spots_per_step,
    )


_PAPER = {
    "depth": 12,
    "width": 384,
    "n_heads": 6,
    "condition_width": None,
    "dropout": 0.0,
    "feature_dropout": 0.0,
    "n_components": None,
    "standardise": False,
    "base": "none",
    "precondition": False,
    "sampler": "ancestral",
    "mirrored": False,
}

MODELS.add(
    "stem",
    ModelEntry(
        build,
        StemSettings,
        "conditional diffusion over the genes of each spot",
        "Zhu et al., ICLR 2025",
        drawing=("sampler", "n_steps", "mirrored"),
        presets={
            "paper": {
                "model": _PAPER,
                "train": {
                    "lr": 1e-4,
                    "weight_decay": 0.0,
                    "clip": 1e9,
                    "ema": 0.9999,
                    "epochs": 800,
                    "regions_per_section": 40,
                    "regions_per_step": 4,
                    "early_stopping": False,
                },
            },
            "small": {
                "model": {"depth": 2, "width": 48, "n_steps": 10, "spots_per_step": 128},
                "train": {"lr": 1e-3, "epochs": 30, "patience": 8},
            },
        },
    ),
)
