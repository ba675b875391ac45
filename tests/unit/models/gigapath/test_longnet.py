"""Laws of dilated attention, names and counts of the slide encoder."""

from __future__ import annotations

import re

import pytest
import torch

from eosin.models.gigapath import longnet
from eosin.models.gigapath.longnet import SlideEncoder, branches, dilated_attention

PUBLISHED = ((1024, 5792, 32768, 185363, 1048576), (1, 2, 4, 8, 16))
SMALL = ((8, 20, 50), (1, 2, 4))


def random(n: int, h: int = 4, d: int = 8) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(n)
    return [torch.randn(n, h, d, generator=rng) for _ in range(3)]


def small() -> SlideEncoder:
    torch.manual_seed(0)
    slide = SlideEncoder(6, 16, n_heads=4, n_layers=2, branches=branches(*SMALL))
    slide.start_at_random()
    return slide


def test_the_published_size_has_the_published_count():
    with torch.device("meta"):
        slide = SlideEncoder(1536, 768, 16, 12, branches(*PUBLISHED))
    layer = 4 * (768**2 + 768) + 3 * 2 * 768 + (768 * 3072 + 3072) + 2 * 3072 + (3072 * 768 + 768)
    ends = (1536 * 768 + 768) + 768 + 2 * 2 * 768  # patch_embed, cls_token, encoder.layer_norm and norm
    assert sum(p.numel() for p in slide.parameters()) == 12 * layer + ends == 86_330_880


def test_names_are_those_of_the_published_weights():
    of_a_layer = {
        *(f"self_attn.{part}_proj" for part in ("q", "k", "v", "out")),
        *("self_attn.inner_attn_ln", "self_attn_layer_norm", "final_layer_norm"),
        *("ffn.fc1", "ffn.fc2", "ffn.ffn_layernorm"),
    }
    parts = {"patch_embed.proj", "encoder.layer_norm", "norm", *(f"encoder.layers.N.{name}" for name in of_a_layer)}
    wanted = {"cls_token", *(f"{part}.{kind}" for part in parts for kind in ("weight", "bias"))}
    assert {re.sub(r"layers\.\d+", "layers.N", name) for name in small().state_dict()} == wanted
    assert small().cls_token.shape == (1, 1, 16)


def test_one_whole_segment_is_full_attention():
    q, k, v = random(50)
    full = torch.nn.functional.scaled_dot_product_attention(*(x.transpose(0, 1) for x in (q, k, v)), scale=1.0)
    found = dilated_attention(q, k, v, branches((50,), (1,)))
    torch.testing.assert_close(found, full.transpose(0, 1), atol=1e-5, rtol=1e-4)


def test_a_branch_twice_changes_nothing():
    """Equal branches get equal shares: fails when denominators are added up wrongly."""
    q, k, v = random(50)
    once = dilated_attention(q, k, v, branches((20,), (1,)))
    torch.testing.assert_close(dilated_attention(q, k, v, branches((20, 20), (1, 1))), once, atol=1e-5, rtol=1e-4)


def test_segments_longer_than_the_section_do_not_matter():
    q, k, v = random(50)
    one, other = (dilated_attention(q, k, v, branches((a, b), (1, 2))) for a, b in ((50, 50), (1024, 5792)))
    assert torch.equal(one, other)


def test_equal_values_come_back():
    """Shares sum to one for every token and head, covered by one branch or by all."""
    q, k, _ = random(77, h=16)
    found = dilated_attention(q, k, torch.full_like(q, 3.0), branches((8, 20, 50, 60, 70), PUBLISHED[1]))
    torch.testing.assert_close(found, torch.full_like(found, 3.0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dilation", [2, 4, 8, 16])
def test_heads_together_keep_every_token(dilation):
    kept: set[int] = set()
    for heads, offset in branches((64, 64), (1, dilation))[1].groups(16):
        assert heads.stop - heads.start == 16 // dilation
        kept |= set(range(offset, 64, dilation))
    assert kept == set(range(64))


def test_far_tokens_meet_only_in_wide_branches():
    q, k, v = random(40)
    other = v.clone()
    other[35] += 1.0
    near, wide = branches((10,), (1,)), branches((10, 40), (1, 2))
    assert torch.equal(dilated_attention(q, k, v, near)[:10], dilated_attention(q, k, other, near)[:10])
    moved = dilated_attention(q, k, v, wide)[:10] != dilated_attention(q, k, other, wide)[:10]
    assert torch.equal(moved.all(-1).any(1), torch.arange(10) % 2 == 1)  # token 35 is odd: it meets odd ones
    assert not moved[:, :2].any()  # and only in the heads that begin at 1


def test_rows_in_chunks_change_nothing(monkeypatch):
    slide, features, cells = small(), torch.randn(45, 6), torch.arange(90).view(45, 2)
    whole = slide(features, cells, final_norm=False)
    monkeypatch.setattr(longnet, "_ROWS", 7)
    torch.testing.assert_close(slide(features, cells, final_norm=False), whole, atol=1e-6, rtol=1e-5)


def test_without_the_cpu_kernel_the_answer_is_the_same(monkeypatch):
    slide, features, cells = small(), torch.randn(45, 6), torch.arange(90).view(45, 2)
    fused = slide(features, cells, final_norm=False)
    monkeypatch.setattr(longnet, "attend", longnet.attend_chunked)
    torch.testing.assert_close(slide(features, cells, final_norm=False), fused, atol=2e-6, rtol=1e-5)


def test_one_tile_and_cells_beyond_the_table():
    out = small()(torch.randn(1, 6), torch.tensor([[5000, -3]]), final_norm=True)
    assert out.shape == (1, 16) and torch.isfinite(out).all()


@pytest.mark.parametrize(
    ("segments", "dilations"), [((8,), (2,)), ((8, 9), (1,)), ((), ()), ((9, 8), (1, 2)), ((8, 9), (1, 0))]
)
def test_impossible_patterns_are_refused(segments, dilations):
    with pytest.raises(ValueError):
        branches(segments, dilations)
