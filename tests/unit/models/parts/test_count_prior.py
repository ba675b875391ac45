"""Count priors of a flow start on the scale of the panel's values, whatever the transform."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

import toy
from eosin.engine.train import gather
from eosin.genes import TRANSFORMS, choose_panel
from eosin.models import Training

PLAIN = {"base": False, "n_components": None, "standardise": False}


def training(transform: str) -> Training:
    """Spots of very different depth, with a hundred counts per spot and gene in other genes than the panel's."""
    sections = []
    for section in toy.cohort(60):
        assert section.counts is not None and section.genes is not None
        rng = np.random.default_rng(len(section.name))
        depth = rng.uniform(2, 6, size=(60, 1))
        counts = np.hstack([rng.poisson(section.counts.toarray() * depth), rng.poisson(100 * depth)])
        sections.append(replace(section, counts=sparse.csr_matrix(counts), genes=(*section.genes, "REST")))
    names = [f"GENE{j}" for j in range(6)]
    return gather(sections, choose_panel(",".join(names), sections, transform=transform))


def observed(prior: str, train: Training, **settings: Any) -> Any:
    """The prior of an STFlow that has seen the training spots."""
    model = toy.made("stflow", train, prior=prior, **{**PLAIN, **settings})
    model.observe(train)
    return model


@pytest.mark.parametrize("transform", list(TRANSFORMS))
@pytest.mark.parametrize("base", [False, True])
def test_fitted_counts_have_the_scale_of_the_target(transform: str, *, base: bool) -> None:
    train = training(transform)
    drawn = observed("empirical", train, base=base).prior.sample(
        1, toy.anywhere(20_000), 6, torch.Generator().manual_seed(0)
    )[0]
    assert np.allclose(drawn.mean(0), train.target.mean(0), rtol=0.1, atol=0.1)
    assert np.allclose(drawn.std(0), train.target.std(0), rtol=0.25)


@pytest.mark.parametrize("transform", list(TRANSFORMS))
@pytest.mark.parametrize("prior", ["zinb", "zinb-logits"])
def test_one_drawn_count_is_one_count_of_the_median_spot(transform: str, prior: str) -> None:
    train = training(transform)
    values = observed(prior, train).prior.sample(1, toy.anywhere(2000), 6, torch.Generator().manual_seed(0))
    per_count = np.median(TRANSFORMS[transform].inverse(train.target).sum(1) / np.asarray(train.counts).sum(1))
    smallest = float(values[values > 0].min())
    assert smallest == pytest.approx(float(TRANSFORMS[transform].log(np.array(per_count))), rel=1e-3)


def test_the_scale_travels_with_the_arrays_and_old_arrays_still_load() -> None:
    train = training("log1p_cp10k")
    model, other = observed("zinb", train), toy.made("stflow", train, prior="zinb", **PLAIN)
    arrays = model.arrays()
    other.load_arrays(arrays)
    assert float(other.prior.per_count) == float(model.prior.per_count) > 5
    del arrays["prior.per_count"]
    other.load_arrays(arrays)
    assert float(other.prior.per_count) == 1.0
    assert "prior.per_count" not in observed("zinb", training("log1p")).arrays()
