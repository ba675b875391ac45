"""The fast dilated attention and slide encoder equal the literal formulas."""

from __future__ import annotations

import math

import pytest
import torch

from eosin.models.gigapath.longnet import SlideEncoder, attend, attend_chunked, branches, dilated_attention, place
from reference import longnet_literal as literal

PATTERNS = [
    ((8,), (1,)),
    ((8, 20), (1, 2)),
    ((5, 13, 29), (1, 2, 4)),
    ((4, 7, 11, 23, 100), (1, 2, 4, 8, 16)),
    ((1000, 2000), (1, 3)),
]


def random(n: int, h: int, d: int, seed: int = 0) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(n, h, d, generator=rng) * 1.5 for _ in range(3)]


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("n", [1, 9, 26])
@pytest.mark.parametrize("n_heads", [1, 6, 16])
@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_dilated_attention_is_the_literal_one(pattern, n_heads, n, padded):
    q, k, v = random(n, n_heads, 8)
    fast = dilated_attention(q / math.sqrt(8), k, v, branches(*pattern, padded=padded))
    slow = literal.dilated_attention(q, k, v, *pattern, padded=padded)
    torch.testing.assert_close(fast.double(), slow, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(("n", "same"), [(8, True), (16, True), (9, False), (3, True)])
def test_padding_matters_where_a_segment_is_not_whole(n, same):
    """One branch of 8 tokens: 9 tokens leave a segment with 7 keys of zeros; a sequence within one has none."""
    q, k, v = random(n, 2, 4)
    plain, filled = (dilated_attention(q, k, v, branches((8,), (1,), padded=padded)) for padded in (False, True))
    assert torch.allclose(plain, filled, atol=1e-6) == same
    if not same:
        torch.testing.assert_close(
            filled[8], v[8] * (q[8] * k[8]).sum(-1).exp()[:, None] / (7 + (q[8] * k[8]).sum(-1).exp())[:, None]
        )


@pytest.mark.parametrize("n_scores", [1, 40, 1 << 20])
def test_both_forms_of_attention_agree(n_scores):
    q, k, v = (x.transpose(0, 1) for x in random(37, 3, 8))
    scores = q @ k.transpose(1, 2)
    for answer, log_sum in (attend(q, k, v), attend_chunked(q, k, v, n_scores)):
        torch.testing.assert_close(answer, torch.softmax(scores, -1) @ v, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(log_sum, torch.logsumexp(scores, -1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("scale", [40.0, 400.0])
def test_large_scores_do_not_overflow(scale):
    q, k, v = random(40, 4, 8)
    assert torch.isfinite(dilated_attention(q * scale, k, v, branches((16, 40), (1, 2)))).all()


@pytest.mark.parametrize("padded", [False, True])
def test_the_encoder_is_the_literal_one(padded):
    torch.manual_seed(0)
    pattern = ((6, 15, 40), (1, 2, 4))
    slide = SlideEncoder(10, 16, 4, 3, branches(*pattern, padded=padded))
    slide.start_at_random()
    for parameter in slide.parameters():  # LayerNorms and biases too must matter
        parameter.add_(torch.randn_like(parameter) * 0.1)
    features, cells = torch.randn(33, 10), torch.randint(0, 50, (33, 2))
    fast = slide(features, cells.double(), final_norm=False).double()
    slow = literal.encode(
        dict(slide.state_dict()), features, [tuple(c) for c in cells.tolist()], 4, *pattern, padded=padded
    )
    torch.testing.assert_close(fast, slow, atol=2e-5, rtol=1e-4)
    normed = slide(features, cells.double(), final_norm=True).double()
    w = {name: value.double() for name, value in slide.state_dict().items()}
    torch.testing.assert_close(normed, literal.norm(slow, w, "norm", 1e-6), atol=5e-5, rtol=1e-4)


def test_places_are_the_literal_ones():
    cells = torch.tensor([[0, 0], [3, 7], [999, 41]])
    slow = torch.stack([literal.place(y, x, 24) for x, y in cells.tolist()])
    torch.testing.assert_close(place(cells, 24).double(), slow, atol=1e-6, rtol=0)
