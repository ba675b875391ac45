"""E2CNN: exact symmetry of kernels and network, windows, counts, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import flows
import toy
from eosin.models import MODELS
from eosin.models.check import check_model
from eosin.models.e2cnn import e2cnn_net
from eosin.models.e2cnn.e2cnn_net import E2CNN, ORDER, E2CNNNetwork, FieldNorm, GroupConv, windows
from eosin.types import Batch
from flows import chunks_change_nothing, denoised

G, N_FEATURES = 5, 6
QUARTERS = [(turns, flip) for turns in range(4) for flip in (False, True)]
SMALL = {"n_channels": 6, "n_first": 2, "n_fields": 2, "n_stages": 1, "dropout": 0.1, "pool": False}
SHAPES = [{}, {"n_stages": 2}, {"n_stages": 3, "pool": True}, {"n_channels": None, "n_stages": 3, "pool": True}]


def net(**given):
    torch.manual_seed(0)
    return E2CNN(N_FEATURES, G, E2CNNNetwork.of(SMALL, given)).eval()


def scene(seed=0, jitter=12.0):
    rng = np.random.default_rng(seed)
    xy = np.stack(np.meshgrid(np.arange(8), np.arange(8)), -1).reshape(-1, 2) * 100.0 + rng.normal(0, jitter, (64, 2))
    keep = rng.random(64) > 0.15  # holes in the tissue
    features, y = rng.normal(size=(64, N_FEATURES)).astype(np.float32), rng.random((64, G)).astype(np.float32)
    return xy[keep], features[keep], torch.from_numpy(y[keep])


def moved(x, turns, flip):
    """A window [n c h w] turned by quarters, then mirrored."""
    x = torch.rot90(x, turns, (-2, -1))
    return x.flip(-1) if flip else x


@pytest.mark.parametrize(("turns", "flip"), QUARTERS)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_turns_with_its_window(turns, flip, stride):
    """From single channels, between fields, and back: turned input gives turned output, its eight permuted alike."""
    torch.manual_seed(0)
    layers = [GroupConv(3, 2, 5, lift=True), GroupConv(2, 4, 3, stride=stride), GroupConv(4, 5, 3, lower=True)]
    x = torch.randn(2, 3, 5, 5)
    plain = other = None
    for layer in layers:
        plain, other = (
            layer(x if plain is None else plain),
            layer(moved(x, turns, flip) if other is None else other),
        )
        if layer.taps.shape[0] == ORDER:
            same = moved(plain, turns, flip).unflatten(1, (-1, ORDER))
            found = other.unflatten(1, (-1, ORDER))
            order = [
                next(h for h in range(ORDER) if torch.allclose(found[:, :, g], same[:, :, h], atol=1e-5))
                for g in range(ORDER)
            ]
            assert sorted(order) == list(range(ORDER))
    assert torch.allclose(other, moved(plain, turns, flip), atol=1e-5)


def test_lifted_channels_are_those_of_turned_kernels():
    torch.manual_seed(0)
    layer, x = GroupConv(2, 1, 5, lift=True), torch.randn(1, 2, 5, 5)
    kernel = layer.weight[0].unflatten(-1, (5, 5))
    found = layer(x)[0, :, 2, 2].sort().values
    literal = torch.stack([(x[0] * moved(kernel, *g)).sum() for g in QUARTERS]).sort().values
    assert torch.allclose(found, literal, atol=1e-4)


def test_an_ordinary_convolution_is_not_symmetric():
    """Else the tests above would pass on anything."""
    torch.manual_seed(0)
    x, kernel = torch.randn(1, 2, 5, 5), torch.randn(3, 2, 3, 3)
    plain, other = (F.conv2d(one, kernel, padding=1) for one in (x, moved(x, 1, False)))
    assert not torch.allclose(moved(plain, 1, False), other, atol=0.1)


def test_the_norm_is_alike_for_all_channels_of_a_field():
    norm = FieldNorm(2)
    torch.nn.init.normal_(norm.gain)
    x = torch.randn(3, 16, 5, 5)
    permuted = x.unflatten(1, (2, ORDER))[:, :, torch.randperm(ORDER)].flatten(1, 2)
    assert torch.allclose(norm(x).sum(1), norm(permuted).sum(1), atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("turns", "flip"), QUARTERS)
def test_quarter_turns_and_mirrors_of_the_tissue_change_nothing(shape, turns, flip):
    network, (xy, features, y) = net(**shape), scene()
    turn = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), turns) @ np.diag([-1.0 if flip else 1.0, 1.0])
    plain, other = denoised(network, xy, features, y), denoised(network, xy @ turn + 5e3, features, y)
    assert torch.allclose(plain, other, atol=1e-5)


def test_positions_matter():
    network, (xy, features, y) = net(), scene()
    exchanged = xy.copy()
    exchanged[[0, 30]] = exchanged[[30, 0]]
    assert not torch.allclose(denoised(network, xy, features, y), denoised(network, exchanged, features, y), atol=1e-3)


def test_windows_of_a_square_lattice_hold_its_neighbours():
    xy = np.stack(np.meshgrid(np.arange(7), np.arange(7)), -1).reshape(-1, 2) * 200.0
    index, there = windows(Batch(xy, np.zeros((49, 1), np.float32), np.array([0, 49])))
    rows = np.arange(49).reshape(7, 7)
    assert np.array_equal(index[24].reshape(5, 5), rows[1:6, 1:6]) and there[24].all()
    assert there[0].sum() == 9 and np.array_equal(index[0].reshape(5, 5)[2:, 2:], rows[:3, :3])
    assert (index[0][~there[0]] == 0).all()


def test_windows_of_a_hexagonal_lattice_lose_no_near_spot():
    row, column = np.mgrid[0:9, 0:9]
    xy = np.column_stack([(column + 0.5 * (row % 2)).ravel(), row.ravel() * np.sqrt(3) / 2]) * 100.0
    index, there = windows(Batch(xy, np.zeros((81, 1), np.float32), np.array([0, 81])))
    centre = 40
    nearest = np.argsort(np.linalg.norm(xy - xy[centre], axis=1))[:19]
    inside = set(index[centre][there[centre]])
    assert len(inside) == there[centre].sum() == 23
    assert set(nearest) <= inside


def test_windows_stay_in_their_section_and_survive_odd_places():
    xy, features, y = scene()
    both = Batch(np.vstack([xy, xy]), np.vstack([features, features]), np.array([0, 1, len(xy), 2 * len(xy)]))
    index, there = windows(both)
    assert there[0].sum() == 1 and index[0, 12] == 0
    assert (index[len(xy) :][there[len(xy) :]] >= len(xy)).all() and (index[: len(xy)] < len(xy)).all()
    network = net()
    for place in (xy * 0, xy * [1, 0]):
        assert torch.isfinite(denoised(network, place, features, y)).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_sections_together_are_as_alone(shape):
    network, (xy, features, y) = net(**shape), scene()
    n = len(xy)
    together = denoised(
        network, np.vstack([xy, xy * 2]), np.vstack([features, -features]), torch.cat([y, y]), np.array([0, n, 2 * n])
    )
    assert torch.allclose(together[:n], denoised(network, xy, features, y), atol=1e-5)
    assert torch.allclose(
        denoised(network, xy[:1], features[:1], y[:1]), denoised(net(**shape), xy[:1], features[:1], y[:1])
    )


def test_a_missing_spot_is_not_a_spot_of_zeros():
    """The channel that marks spots: without it, absence would look like a spot whose channels are all 0."""
    network, (xy, features, y) = net(), scene()
    for part in (network.embed, network.embed_expression, network.embed_time):
        for parameter in part.parameters():
            torch.nn.init.zeros_(parameter)
    found = denoised(network, xy, features, y)
    there = windows(Batch(xy, features, np.array([0, len(xy)])))[1]
    full, holed = there.sum(1).argmax(), there.sum(1).argmin()
    assert not torch.allclose(found[full], found[holed], atol=1e-3)


def test_the_network_sees_what_the_window_says():
    """One spot's window built cell by cell: its channels where there is a spot, else zeros, and the mark."""
    network, (xy, features, y) = net(n_channels=None), scene()
    batch = Batch(xy, features, np.array([0, len(xy)]))
    index, there = windows(batch)
    spot = int(there.sum(1).argmin())
    cells = torch.zeros(1, N_FEATURES + G + 2, 5, 5)
    for cell in np.flatnonzero(there[spot]):
        of = index[spot, cell]
        cells[0, :, cell // 5, cell % 5] = torch.tensor([*features[of], *y[of], 0.4, 1.0])
    with torch.no_grad():
        literal = network.out(network.read(cells))[0]
    assert not there[spot].all()
    assert torch.allclose(denoised(network, xy, features, y)[spot], literal, atol=1e-5)


def test_chunks_change_nothing(monkeypatch):
    network, (xy, features, y) = net(), scene()
    batch = Batch(xy, features, np.array([0, 3, len(xy)]))

    def shrink():
        for limit in ("_CHUNK_NUMBERS", "_KEPT_NUMBERS"):
            monkeypatch.setattr(e2cnn_net, limit, 10_000)

    assert chunks_change_nothing(network, batch, y, shrink)


def test_the_published_shape_has_the_computed_count():
    """A wide residual network of 10 layers, widened by 4: 16, then 64, 128 and 256 channels; 1024 features, 50 genes.

    Weights of a map between regular fields: 1/8 of the ordinary one's. To single channels: 1/8 too.
    """

    def conv(n_in, n_out, side):
        return n_in * n_out * side * side // ORDER

    first = (1024 + 50 + 1 + 1) * 16 * 25 // ORDER + 2
    blocks = 0
    for n_in, n_out in ((16, 64), (64, 128), (128, 256)):
        biases = 3 * (n_out // ORDER) if n_out < 256 else n_out // ORDER + 2 * n_out
        norms = 2 * (n_in + n_out) // ORDER
        blocks += conv(n_in, n_out, 3) + conv(n_out, n_out, 3) + conv(n_in, n_out, 1) + biases + norms
    head = 2 * 256 + 256 * 50 + 50
    paper = MODELS["e2cnn"].presets["paper"]["model"]
    shape = {name: paper[name] for name in ("n_channels", "n_first", "n_fields", "n_stages", "dropout", "pool")}
    count = sum(p.numel() for p in E2CNN(1024, 50, E2CNNNetwork.of(shape)).parameters())
    assert count == first + blocks + head == 217_192


def test_as_published_it_holds_to_the_interface():
    training, entry = toy.training(30), MODELS["e2cnn"]
    settings = entry.settings.of(entry.presets["paper"]["model"], {"n_fields": 2})
    check_model(lambda: entry.build(settings, toy.N_FEATURES, training.panel), training)


def test_it_overfits_one_section():
    assert flows.training_pcc("e2cnn", 200, n_channels=8, n_first=2, n_fields=2) > 0.95


def test_it_beats_the_mean_on_a_held_out_section():
    assert flows.held_out_gain("e2cnn", 40, n_channels=16, n_first=4, n_fields=2, dropout=0.3) > 0.2


@pytest.mark.long
def test_it_draws_what_cannot_be_predicted():
    draw, mean = flows.coin_distances("e2cnn", 120, n_channels=8, n_first=2, n_fields=2)
    assert draw < 0.1 * mean
