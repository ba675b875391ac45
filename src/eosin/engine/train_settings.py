"""How models are trained, whatever the model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from eosin.config import Settings
from eosin.trust.level_prior import LevelPrior


class TrainSettings(Settings):
    """How a `Learned` model is trained; a `Solved` one has nothing to train."""

    epochs: int = Field(12, ge=1, description="most passes over the training sections")
    regions_per_section: int = Field(4, ge=1, description="random regions of each section in an epoch")
    regions_per_step: int = Field(2, ge=1, description="regions in one batch")
    accumulate: int = Field(
        1,
        ge=1,
        description="batches whose gradients make one step; several processes share them out, at least one each",
    )
    min_region: float = Field(0.0, ge=0, le=1, description="smallest region as a share of the section's spots")
    largest_region: int = Field(
        5_000, ge=2, description="most spots of a region: what a step takes in memory on sections of many spots"
    )
    augment: float = Field(
        0.0, ge=0, le=1, description="share of a step's spots whose tile is seen flipped or turned; needs --symmetries"
    )
    lr: float = Field(3e-4, gt=0, description="Adam's learning rate")
    weight_decay: float = Field(0.01, ge=0, description="decoupled weight decay; 0 is plain Adam")
    clip: float = Field(1.0, gt=0, description="largest norm of a gradient")
    ema: float = Field(0.98, ge=0, lt=1, description="decay of the averaged weights that are kept; 0 keeps the last")
    calibrate: Literal["levels", "conformal"] = Field(
        "levels",
        description="how intervals for new patients are made: `levels` of slides and noise, or `conformal`, which "
        "holds whatever the distribution and needs 9 patients",
    )
    level_prior: LevelPrior | None = Field(
        None,
        description="how levels of genes differ between patients and between slides, before the training slides are "
        "looked at; none is what six patients of breast cancer showed. A table [train.level_prior] of the settings "
        "file, or `--train.level-prior '{source = \"...\", patients_common = 0.1, ...}'`",
    )
    early_stopping: bool = Field(True, description="hold out a group of the training sections to choose the epoch")
    patience: int = Field(4, ge=1, description="epochs without gain on the held-out group after which to stop")
    least_gain: float = Field(
        0.005,
        ge=-2,
        description="by how much an epoch must be better on the held-out group of the training sections than the "
        "closed-form base alone; less is chance, and the network is left out; with -2 it takes part in any case",
    )
    select: Literal["pcc", "crps"] = Field(
        "pcc", description="what is best on the held-out group: correlation of the mean, or CRPS of 16 or more draws"
    )
    refit: bool = Field(True, description="then train on all training sections for the chosen number of epochs")
    validation_draws: int = Field(2, ge=1, description="draws averaged when the held-out group is predicted")
    precision: Literal["no", "fp16", "bf16"] = Field("no", description="mixed precision, through accelerate")
    device: Literal["auto", "cpu"] = Field("auto", description="auto takes a GPU where there is one")
