from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import toy
from eosin.metrics import pearson_per_gene
from eosin.models import MODELS
from eosin.models.check import check_model
from eosin.models.histogene import HisToGeneSettings, build
from eosin.types import Batch, GenePanel
from toy import fitted, point

PLAIN = {"base": False, "dropout": 0.0, "n_components": None, "width": 32}


def learned(training, steps, **settings):
    return fitted("histogene", training, steps, **{**PLAIN, **settings})


@pytest.fixture(scope="module")
def trained():
    training = toy.training(40)
    return learned(training.take(np.arange(120)), 80), training


@pytest.mark.parametrize(("n_layers", "n_genes", "published"), [(4, 1000, 73_281_512), (8, 785, 106_648_337)])
def test_parameters_are_the_published_ones_but_for_positions(n_layers, n_genes, published):
    panel = GenePanel(tuple(f"G{i}" for i in range(n_genes)))
    paper = MODELS["histogene"].presets["paper"]["model"]
    settings = HisToGeneSettings.of(paper, {"n_layers": n_layers, "positions": "none"})
    with torch.device("meta"):
        model = build(settings, 112 * 112 * 3, panel)  # raw pixels
    assert model.n_parameters + 2 * 64 * 1024 == published  # two tables of 64 positions


def test_it_overfits_one_section():
    training = toy.training(40).take(np.arange(40))
    model = learned(training, 60)
    assert np.nanmean(pearson_per_gene(training.target, point(model, training.batch))) > 0.95


def test_it_beats_the_mean_on_a_held_out_section(trained):
    model, training = trained
    rest = training.take(np.arange(120, 160))
    error = np.square(point(model, rest.batch) - rest.target).mean()
    assert error < 0.8 * np.square(training.target[:120].mean(0) - rest.target).mean()


@pytest.mark.parametrize("positions", ["sinusoidal", "linear"])
def test_positions_say_what_features_do_not(positions):
    training = toy.training(40).take(np.arange(40))
    gradient = training.batch.xy_um[:, :1] / 300.0
    blind = replace(
        training,
        batch=replace(training.batch, features=np.ones_like(training.batch.features)),
        target=np.repeat(gradient, training.target.shape[1], 1).astype(np.float32),
    )
    seen = point(learned(blind, 60, positions=positions), blind.batch)
    unseen = point(learned(blind, 60, positions="none"), blind.batch)
    assert np.square(seen - blind.target).mean() < 0.1 * np.square(unseen - blind.target).mean()


def test_a_set_has_no_places():
    training = toy.training(30)
    model = learned(training, 2, positions="none")
    moved = replace(training.batch, xy_um=training.batch.xy_um[::-1] * 3)
    assert np.allclose(point(model, training.batch), point(model, moved), atol=1e-6)


def test_far_positions_are_as_good_as_near_ones(trained):
    model, training = trained
    batch = training.batch.regions([np.arange(40)])
    wide = Batch(batch.xy_um * 40, batch.features, batch.starts)  # 300 pitches across: beyond any table of 64
    assert np.isfinite(point(model, wide)).all()
    far = Batch(batch.xy_um + 1e6, batch.features, batch.starts)
    assert np.allclose(point(model, batch), point(model, far), atol=1e-3)


def test_order_of_spots_does_not_matter(trained):
    model, training = trained
    order = np.random.default_rng(0).permutation(40)
    plain, turned = (point(model, training.batch.regions([rows])) for rows in (np.arange(40), order))
    assert np.allclose(plain[order], turned, atol=1e-4)


def test_sections_are_predicted_together_as_alone(trained):
    model, training = trained
    alone = [point(model, training.batch.regions([np.arange(a, a + 40)])) for a in range(0, 160, 40)]
    assert np.allclose(point(model, training.batch), np.concatenate(alone), atol=1e-4)


def test_every_spot_is_seen_by_every_other(trained):
    model, training = trained
    batch = training.batch.regions([np.arange(40)])
    other = Batch(batch.xy_um, batch.features.copy(), batch.starts)
    other.features[39] += 3.0
    changed = np.abs(point(model, batch) - point(model, other)).max(1)
    assert (changed > 1e-6).all()


def test_what_the_ridge_says_is_the_start():
    training = toy.training(30)
    model = build(HisToGeneSettings.of(), toy.N_FEATURES, training.panel).eval()
    model.observe(training)
    plain = replace(training.batch, training_rows=None)
    left_over = point(model, plain) - model.base.predict(plain)
    assert np.allclose(left_over, left_over[:1], atol=1e-4)  # the mean of what it leaves over, the same everywhere


def test_the_published_model_holds_to_the_interface():
    training = toy.training(30)
    settings = HisToGeneSettings.of(
        MODELS["histogene"].presets["paper"]["model"], {"width": 32, "n_heads": 4, "head_width": 8}
    )
    check_model(lambda: build(settings, toy.N_FEATURES, training.panel), training)
