from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import toy
from eosin.errors import EosinError
from eosin.geometry import lattice_positions
from eosin.metrics import pearson_per_gene
from eosin.models import MODELS
from eosin.models.check import check_model
from eosin.models.triplex.distillation import Distillation
from eosin.models.triplex.triplex import TriplexSettings, build
from eosin.models.triplex.triplex_net import Triplex, TriplexNetwork, cells_around
from eosin.types import Batch, GenePanel
from toy import fitted, point

PLAIN = {"base": False, "dropout": 0.0, "n_components": None, "width": 32}


def learned(training, steps, **settings):
    return fitted("triplex", training, steps, **{**PLAIN, **settings})


@pytest.fixture(scope="module")
def trained():
    training = toy.training(40)
    return learned(training.take(np.arange(120)), 40), training


def test_parameters_are_those_of_the_published_comparison():
    panel = GenePanel(tuple(f"G{i}" for i in range(50)))
    settings = TriplexSettings.of(MODELS["triplex"].presets["paper"]["model"])
    with torch.device("meta"):
        model = build(settings, 1024, panel)
    assert model.n_parameters == 13_768_280  # 13.767 M in table 6 of the STFlow paper, 1,024 less: without a norm


def test_it_overfits_one_section():
    training = toy.training(40).take(np.arange(40))
    model = learned(training, 60)
    assert np.nanmean(pearson_per_gene(training.target, point(model, training.batch))) > 0.95


def test_it_beats_the_mean_on_a_held_out_section(trained):
    model, training = trained
    rest = training.take(np.arange(120, 160))
    error = np.square(point(model, rest.batch) - rest.target).mean()
    assert error < 0.8 * np.square(training.target[:120].mean(0) - rest.target).mean()


def test_loss_is_the_published_sum():
    rng = np.random.default_rng(0)
    guesses, target = rng.normal(size=(4, 7, 3)), rng.normal(size=(7, 3))

    def mse(a, b):
        return np.square(a - b).mean()

    fused, *views = guesses
    expected = mse(fused, target) + sum(0.7 * mse(view, target) + 0.3 * mse(fused, view) for view in views)
    assert float(Distillation(0.3)(torch.from_numpy(guesses), torch.from_numpy(target))) == pytest.approx(expected)


def test_the_fused_guess_learns_from_the_views():
    guesses = torch.zeros(4, 2, 2)
    guesses[1:] = 1.0
    guesses.requires_grad_()
    Distillation(0.3)(guesses, torch.zeros(2, 2)).backward()
    assert guesses.grad is not None and (guesses.grad[0] < 0).all()  # pulled to the views, though it hits the target


def test_chunks_do_not_show(trained):
    model, training = trained
    whole = point(model, training.batch)
    model.network.chunk = 7
    chunked = point(model, training.batch)
    model.network.chunk = 1024
    assert np.allclose(whole, chunked, atol=1e-5)


def test_chunks_do_not_show_in_gradients():
    training = toy.training(20)

    def gradient(chunk):
        torch.manual_seed(0)
        model = build(TriplexSettings.of(PLAIN), toy.N_FEATURES, training.panel)
        model.observe(training)
        model.network.chunk = chunk
        model.loss(model.prepare(training.batch), torch.from_numpy(training.target), torch.Generator()).backward()
        return torch.cat([p.grad.ravel() for p in model.parameters()])

    assert torch.allclose(gradient(1024), gradient(9), atol=1e-5)


def test_order_of_spots_does_not_matter(trained):
    model, training = trained
    order = np.random.default_rng(0).permutation(40)
    plain, turned = (point(model, training.batch.regions([rows])) for rows in (np.arange(40), order))
    assert np.allclose(plain[order], turned, atol=1e-4)


def test_sections_are_predicted_together_as_alone(trained):
    model, training = trained
    alone = [point(model, training.batch.regions([np.arange(a, a + 40)])) for a in range(0, 160, 40)]
    assert np.allclose(point(model, training.batch), np.concatenate(alone), atol=1e-4)


def test_dropout_is_off_when_drawing():
    training = toy.training(30)
    model = learned(training, 1, dropout=0.5)
    assert np.array_equal(point(model, training.batch), point(model, training.batch))


@pytest.mark.parametrize("part", ["own", "others", "window", "slide", "positions", "fusion"])
def test_every_view_reaches_the_answer(part):
    training = toy.training(20)
    model = learned(training, 3)
    before = point(model, training.batch)
    with torch.no_grad():
        for parameter in getattr(model.network, part).parameters():
            parameter.add_(torch.linspace(-0.3, 0.3, parameter.numel()).view_as(parameter))
    assert np.abs(before - point(model, training.batch)).max() > 1e-3


def test_far_spots_count(trained):
    model, training = trained
    batch = training.batch.regions([np.arange(40)])
    other = Batch(batch.xy_um, batch.features.copy(), batch.starts)
    far = int(np.argmax(np.hypot(*(batch.xy_um - batch.xy_um[0]).T)))
    other.features[far] += 3.0
    assert not np.allclose(point(model, batch)[0], point(model, other)[0], atol=1e-5)


def test_window_without_neighbours_and_duplicates_are_finite(trained):
    model, training = trained
    for n in (1, 2, 5):
        assert np.isfinite(point(model, training.batch.regions([np.arange(n)]))).all()
    same = training.batch.regions([np.arange(30)])
    assert np.isfinite(point(model, replace(same, xy_um=np.zeros((30, 2))))).all()


def test_clamped_guesses_reach_down_to_0_and_no_further():
    training = toy.training(30)
    sunk = replace(training, target=training.target - 0.8 * training.target.mean(0))
    assert point(learned(sunk, 20), sunk.batch).min() < -0.1
    clamped = point(learned(sunk, 20, clamp=True), sunk.batch)
    assert -1e-6 <= clamped.min() < 0.01


def test_window_of_a_square_lattice_is_five_by_five():
    y, x = (a.ravel() for a in np.mgrid[0:9, 0:9])
    batch = Batch(np.column_stack([x, y]) * 100.0, np.zeros((81, 3), dtype=np.float32), np.array([0, 81]))
    network = Triplex(3, 2, TriplexNetwork(width=8, n_heads=2, dropout=0, n_neighbours=24))
    views = network.geometry(batch, torch.zeros(81, 3))
    place = views.place[views.near[40]] - views.place[40]
    assert {tuple(offset) for offset in place.tolist()} == {(r, c) for r in range(-2, 3) for c in range(-2, 3)}


def test_cells_of_two_parts_never_touch():
    xy = np.array([[0, 0], [100, 0], [0, 100], [100, 100]] * 2) * 1.0
    place = lattice_positions(xy, np.array([0, 4, 8]))
    cell, around = cells_around(place, np.repeat([0, 1], 4))
    assert len(np.unique(cell)) == 8
    for part in (0, 1):
        own = set(cell[4 * part : 4 * part + 4]) | {8}
        assert set(around[:, sorted(own - {8})].ravel()) <= own


def test_heads_must_divide_the_width():
    with pytest.raises(EosinError, match="do not divide"):
        build(TriplexSettings.of({"width": 30, "n_heads": 4}), 5, GenePanel(("A",)))


def test_the_published_model_holds_to_the_interface():
    training = toy.training(30)
    settings = TriplexSettings.of(MODELS["triplex"].presets["paper"]["model"], {"width": 32})
    check_model(lambda: build(settings, toy.N_FEATURES, training.panel), training)
