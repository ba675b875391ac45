"""The lattice convolution of TRIPLEX against PyTorch's own on a dense grid, and the window's bias written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eosin.models import MODELS
from eosin.models.parts.attention import Block, within_parts
from eosin.models.triplex.triplex_net import Positions, Triplex, Window, cells_around
from eosin.types import Batch


@pytest.mark.parametrize("residual", [False, True])
def test_gathers_equal_a_depthwise_convolution_on_the_grid(residual):
    rng = np.random.default_rng(0)
    place = rng.integers(0, 9, (60, 2))  # some cells are empty, some hold several spots
    tokens = torch.from_numpy(rng.normal(size=(60, 5))).float()
    layer = Positions(5, residual=residual)
    cell, around = cells_around(place, np.zeros(60, dtype=np.int64))
    fast = layer(tokens, torch.from_numpy(cell), torch.from_numpy(around))

    grid, count = torch.zeros(5, 9, 9), torch.zeros(9, 9)
    for token, (row, column) in zip(tokens, place):
        grid[:, row, column] += token
        count[row, column] += 1
    kernel = layer.weight.T.reshape(5, 1, 3, 3)
    dense = torch.nn.functional.conv2d((grid / count.clamp(min=1))[None], kernel, layer.bias, padding=1, groups=5)[0]
    literal = dense[:, place[:, 0], place[:, 1]].T + (tokens if residual else 0)
    assert torch.allclose(fast, literal, atol=1e-5)


def test_window_attention_equals_the_formula():
    torch.manual_seed(0)
    window = Window(8, 1, 2, 2.0, 0.0)
    torch.nn.init.normal_(window.bias[0])
    tokens, place = torch.randn(3, 6, 8), torch.randint(0, 7, (3, 6, 2))
    hidden = torch.zeros(3, 6, dtype=torch.bool)
    hidden[1, 4:] = True
    fast = window(tokens, place, hidden)
    block = window.blocks[0]
    for s in range(3):
        asked = block.norm(tokens[s])
        q, (k, v) = block.queries(asked), block.keys_values(asked).chunk(2, -1)
        heard = torch.zeros(6, 8)
        for head in range(2):
            own = slice(4 * head, 4 * head + 4)
            logit = q[:, own] @ k[:, own].T / 2  # the root of the head's width
            for i in range(6):
                for j in range(6):
                    row, column = (place[s, i] - place[s, j]).abs().clamp(max=4).tolist()
                    logit[i, j] += window.bias[0][head, 5 * row + column]
            logit[:, hidden[s]] = -torch.inf
            heard[:, own] = logit.softmax(-1) @ v[:, own]
        x = tokens[s] + block.out(heard)
        assert torch.allclose(fast[s], x + block.feed(x), atol=1e-5)


def test_parts_attend_as_if_alone():
    torch.manual_seed(0)
    block, x = Block(8, 2, 2.0, 0.0), torch.randn(1, 11, 8)
    together = block(x, within_parts([0, 4, 5, 11]))
    alone = torch.cat([block(x[:, a:b], within_parts([0, b - a])) for a, b in ((0, 4), (4, 5), (5, 11))], dim=1)
    assert torch.allclose(together, alone, atol=1e-6)


def linear(x, w, name):
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0)


def norm(x, w, name):
    spread = torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-5)
    return (x - x.mean(-1, keepdim=True)) / spread * w[f"{name}.weight"] + w[f"{name}.bias"]


def cross(asking, told, w, at, heads, *, norm_told):
    """One token [w] reads the tokens [n w]: attention, then the feed-forward map, each added to what came in."""
    width = len(asking)
    d = width // heads
    q = linear(norm(asking, w, f"{at}.norm"), w, f"{at}.queries")
    k, v = linear(norm(told, w, f"{at}.norm") if norm_told else told, w, f"{at}.keys_values").split(width, -1)
    heard = [torch.softmax(k[:, a : a + d] @ q[a : a + d] / d**0.5, 0) @ v[:, a : a + d] for a in range(0, width, d)]
    x = asking + linear(torch.cat(heard), w, f"{at}.out.0")
    wide = linear(norm(x, w, f"{at}.feed.0"), w, f"{at}.feed.1")
    return x + linear(wide * 0.5 * (1 + torch.erf(wide / 2**0.5)), w, f"{at}.feed.4")


@pytest.mark.parametrize("released", [False, True])
@torch.no_grad()
def test_fusion_is_the_literal_one(released):
    """Release: keys and values are normalised by the norm of the query, and a norm ends the window."""
    torch.manual_seed(0)
    sizes = {"width": 8, "n_heads": 2, "n_neighbours": 4, "n_fusion_layers": 2, "released_norms": released}
    settings = MODELS["triplex"].settings.of(sizes)
    net = Triplex(5, 3, settings).eval()
    for parameter in net.parameters():  # norms and offsets too must matter
        torch.nn.init.normal_(parameter, std=0.5)
    w = dict(net.state_dict())
    xy = np.array([[0, 0], [100, 0], [200, 0], [0, 100], [100, 100], [5000, 0], [5100, 0]], dtype=float)
    features = torch.randn(7, 5)
    views = net.geometry(Batch(xy, features.numpy(), np.array([0, 5, 7])), features)
    guesses = net(views)
    others, target = linear(features, w, "others"), linear(features, w, "own")
    whole = net._whole(others, views)
    tokens = window_before_its_norm(net, others, views)
    for spot in range(7):
        there = tokens[spot][~views.hidden[spot]]
        if released:
            there = norm(there, w, "window.norm")
        by_target = by_window = whole[spot]
        for layer in range(2):
            by_target = cross(by_target, target[spot : spot + 1], w, f"fusion.{layer}", 2, norm_told=released)
            by_window = cross(by_window, there, w, f"fusion.{layer}", 2, norm_told=released)
        states = (norm(by_target + by_window, w, "fusion_norm"), target[spot], there.mean(0), whole[spot])
        for head, state in enumerate(states):
            assert torch.allclose(guesses[head, spot], linear(state, w, f"heads.{head}"), atol=1e-5)


def window_before_its_norm(net, others, views):
    """Tokens of the windows [s n w] as the blocks leave them; the blocks are checked above."""
    window = Window(8, 1, 2, 2.0, 0.0)
    window.load_state_dict({k: v for k, v in net.window.state_dict().items() if not k.startswith("norm.")})
    return window(others[views.near], views.place[views.near], views.hidden)
