"""The lattice convolution of TRIPLEX against PyTorch's own on a dense grid, and the window's bias written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eosin.models.parts.attention import Block, within_parts
from eosin.models.triplex.triplex_net import Positions, Window, cells_around


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
