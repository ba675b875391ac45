"""EGNN: published counts, invariance, chunks, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import flows
import toy
from eosin.models import MODELS, egnn
from eosin.models.check import check_model
from eosin.models.egnn import EGNN, EGNNLayer, EGNNNetwork
from eosin.types import Batch
from flows import chunks_change_nothing, denoised

G, F = 5, 6
WIDTH, EDGE = 128, 2 * 128 + 1


def count(module):
    return sum(p.numel() for p in module.parameters())


def net(**given):
    torch.manual_seed(0)
    given = {"width": 16, "n_layers": 2, "dropout": 0.1, **given}
    made = EGNN(F, G, EGNNNetwork.of(given)).eval()
    for layer in made.layers:
        if layer.shift is not None:
            torch.nn.init.normal_(layer.shift[2].weight, std=0.05)  # from its start positions would hardly move
    return made


def scene(seed=0, n=64):
    rng = np.random.default_rng(seed)
    xy = np.stack(np.meshgrid(np.arange(8), np.arange(8)), -1).reshape(-1, 2) * 100.0 + rng.normal(0, 15, (64, 2))
    features, y = rng.normal(size=(64, F)).astype(np.float32), rng.random((64, G)).astype(np.float32)
    return xy[:n], features[:n], torch.from_numpy(y[:n])


def turned(xy, angle, *, mirrored):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return xy @ (turn @ np.diag([1.0, -1.0]) if mirrored else turn)


def test_layers_have_the_published_count():
    """485,298 with the published class's two linear maps around the layers, of 128 inputs and to 50 genes."""
    layer = count(EGNNLayer(WIDTH, 0.2, moves=True))
    around = (WIDTH * WIDTH + WIDTH) + (WIDTH * 50 + 50)
    assert 4 * layer + around == 485_298


def test_whole_network_has_the_published_count_but_for_its_dead_weights():
    """622,770 with [1024 features, 50 genes, 128 waves of time] as input; the last layer's shift is never used."""
    dead = WIDTH * WIDTH + WIDTH + WIDTH
    still, moving = (EGNNNetwork(width=WIDTH, n_layers=4, dropout=0.2, move_positions=moves) for moves in (False, True))
    assert count(EGNN(1024, 50, moving)) == 622_770 - dead
    assert count(EGNN(1024, 50, still)) == 622_770 - 4 * dead


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("angle", [np.pi / 2, 0.3, 2.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_reflection_and_shift_change_nothing(moves, angle, mirrored):
    network, (xy, features, y) = net(move_positions=moves), scene()
    plain, moved = (
        denoised(network, xy, features, y),
        denoised(network, turned(xy, angle, mirrored=mirrored) + 7e3, features, y),
    )
    assert torch.allclose(plain, moved, atol=1e-5)


def test_on_an_exact_lattice_ties_must_be_included():
    network, (xy, features, y) = net(include_ties=True, n_neighbours=6), scene()
    exact = np.round(xy / 100) * 100
    plain, moved = (denoised(network, one, features, y) for one in (exact, turned(exact, 0.3, mirrored=True)))
    assert torch.allclose(plain, moved, atol=1e-5)


def test_distances_matter_but_not_their_unit():
    network, (xy, features, y) = net(), scene()
    near, far = denoised(network, xy, features, y), denoised(network, xy * [1, 1.5], features, y)
    assert torch.allclose(near, denoised(network, xy * 2.7, features, y), atol=1e-5)
    assert not torch.allclose(near, far, atol=1e-3)


def test_moved_positions_matter():
    xy, features, y = scene()
    still, moving = net(move_positions=True), net(move_positions=True)
    torch.nn.init.zeros_(still.layers[0].shift[2].weight)
    assert not torch.allclose(denoised(still, xy, features, y), denoised(moving, xy, features, y), atol=1e-3)


def test_expression_of_a_neighbour_matters():
    network, (xy, features, y) = net(n_layers=1), scene()
    other = y.clone()
    other[0] += 1
    changed = (denoised(network, xy, features, y) - denoised(network, xy, features, other)).abs().amax(-1) > 1e-6
    assert changed[0] and changed[1] and not changed[-1]


@pytest.mark.parametrize("moves", [False, True])
def test_order_and_other_sections_do_not_matter(moves):
    network, (xy, features, y) = net(move_positions=moves), scene()
    plain, order = denoised(network, xy, features, y), np.random.default_rng(0).permutation(64)
    assert torch.allclose(plain[order], denoised(network, xy[order], features[order], y[order]), atol=1e-5)
    starts = np.array([0, 1, 4, 64, 128])
    beside = denoised(
        network, np.vstack([xy, xy * 3]), np.vstack([features, features]), torch.cat([y, y]), starts=starts
    )
    assert torch.allclose(plain, beside[64:], atol=1e-5)
    assert torch.allclose(denoised(network, xy[1:4], features[1:4], y[1:4]), beside[1:4], atol=1e-5)


@pytest.mark.parametrize("moves", [False, True])
def test_few_spots_and_spots_at_one_place_are_finite(moves):
    network, (xy, features, y) = net(move_positions=moves), scene()
    for n in (1, 2, 5):
        assert torch.isfinite(denoised(network, xy[:n], features[:n], y[:n])).all()
    assert torch.isfinite(denoised(network, xy * 0, features, y)).all()


@pytest.mark.parametrize("moves", [False, True])
def test_chunks_change_nothing(monkeypatch, moves):
    network, (xy, features, y) = net(move_positions=moves), scene()
    batch = Batch(xy, features, np.array([0, 3, 64]))

    def shrink():
        for limit in ("_CHUNK_EDGES", "_KEPT_EDGES"):
            monkeypatch.setattr(egnn, limit, 100)

    assert chunks_change_nothing(network, batch, y, shrink)


def test_as_published_it_holds_to_the_interface():
    training, entry = toy.training(30), MODELS["egnn"]
    settings = entry.settings.of(entry.presets["paper"]["model"], {"width": 16, "n_layers": 2})
    check_model(lambda: entry.build(settings, toy.N_FEATURES, training.panel), training)


def test_it_overfits_one_section():
    assert flows.training_pcc("egnn", 200, lr=3e-3, n_layers=1, width=64) > 0.95


def test_it_beats_the_mean_on_a_held_out_section():
    assert flows.held_out_gain("egnn", 40, n_layers=1, width=32, dropout=0.3) > 0.5


def test_it_draws_what_cannot_be_predicted():
    draw, mean = flows.coin_distances("egnn", 150, n_layers=1, width=32)
    assert draw < 0.1 * mean
