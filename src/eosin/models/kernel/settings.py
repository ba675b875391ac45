"""What the model `kernel` can be set to; every step can be switched off."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from eosin.config import Settings


class KernelSettings(Settings):
    """Members, context, kernel, heads, and what penalty and smoothing are chosen from."""

    members: Literal["encoders", "one"] = Field(
        "encoders", description="'encoders' gives each of several encoders (`a+b`) a kernel of its own and averages"
    )
    rings: tuple[int, ...] = Field(
        (8, 24), description="last rank of each ring of neighbours whose mean features are added; () for none"
    )
    ring_weight: float = Field(0.3, ge=0, description="weight of each ring in the kernel; the spot has 1")
    linear: bool = Field(True, description="the linear part of the kernel")
    rbf: bool = Field(True, description="the Gaussian part of the kernel")
    n_components: int = Field(64, ge=1, description="principal components that the Gaussian part measures distance in")
    centre_sections: bool = Field(
        True, description="learn from each value less its section's mean, which says nothing of the image"
    )
    heads: bool = Field(
        True,
        description="predict a patient of training with a penalty chosen for that and the patient's own level; "
        "false: everyone as a new patient",
    )
    penalties: tuple[float, ...] = Field(
        tuple(float(x) for x in np.logspace(-5, 2, 22)),
        min_length=1,
        description="penalties to choose from, per training spot; a single one is used as it is",
    )
    smoothing: tuple[float, ...] = Field(
        (0.0, 0.25, 0.5, 0.75),
        min_length=1,
        description="shares of the neighbours' mean prediction to choose from; (0,) switches smoothing off",
    )
    n_neighbours: int = Field(8, ge=1, description="spots that smoothing averages over")
    reach_um: float | None = Field(
        None,
        gt=0,
        description="a spot further away than this, µm, is no neighbour; without it however far",
    )
    n_choice_genes: int = Field(
        200, ge=1, description="genes by which penalty and smoothing are chosen, evenly over the panel by variance"
    )
    n_exact: int = Field(3000, ge=2, description="training spots up to which the kernel between all of them is solved")
    n_landmarks: int = Field(2000, ge=2, description="beyond that: spots by which it is approximated (Nyström)")
    registration: bool = Field(
        True, description="lay serial sections over one another, and let spots at the same place be alike"
    )
    gate: bool = Field(
        True, description="use registration only on sections where image and place agree; false: wherever it fits"
    )
    register_weights: tuple[float, ...] = Field(
        (0.0, 0.25, 0.5, 1.0), min_length=1, description="weights of the part for places to choose from"
    )
    register_lengths: tuple[float, ...] = Field(
        (1.0, 1.5, 2.5), min_length=1, description="widths of that part to choose from, in pitches"
    )
    n_map_components: int = Field(6, ge=1, description="principal components by which sections are laid over")
    seed: int = Field(0, ge=0, description="of the choice of landmarks")

    @field_validator("rings")
    @classmethod
    def _grow(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if list(value) != sorted({*value}) or (value and value[0] < 1):
            raise ValueError("ranks must grow from at least 1")
        return value
