"""LongNet as a slide encoder: dilated attention over the tiles of a section, for inference, in plain PyTorch.

Dilated attention: Ding et al., LongNet, arXiv 2307.02486, equations 7 to 12. The encoder with a LayerNorm inside both
blocks of a layer ("sub-LN"): Wang et al., Magneto, arXiv 2210.06423. The slide encoder: Xu et al., Nature 2024. Names
and shapes of the parameters are those of the published weights of Prov-GigaPath.

Time grows with tiles times the longest dilated segment, memory with tiles: no score matrix larger than a chunk exists.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from eosin.row_blocks import row_blocks

_SCORES = 1 << 21  # scores held at once by the chunked attention, 8 MiB: measured fastest on a CPU core
_ROWS = 4096  # tiles whose wide state of the feed-forward block exists at once


@dataclass(frozen=True)
class Branch:
    """One pattern of dilated attention: segments of `segment` tokens, of which every `dilation`-th is kept.

    `padded`: the last segment is filled up to a whole one (to the sequence, where that is shorter), and every segment
    to a multiple of the dilation, by keys of zeros that take part in the softmax, as in the release.
    """

    segment: int
    dilation: int
    padded: bool = False

    def groups(self, n_heads: int) -> Iterator[tuple[slice, int]]:
        """(heads, offset of the tokens that they keep): neighbouring heads share an offset.

        The paper's offset of head j is j mod r. Here the first H/r heads begin at token 0, the next H/r at token 1:
        the order in which the published weights are understood to have their heads, see docs/models/gigapath.md.
        """
        size = -(-n_heads // self.dilation)
        for offset, first in enumerate(range(0, n_heads, size)):
            yield slice(first, min(first + size, n_heads)), offset

    def n_zero_keys(self, n: int, rows: slice) -> int:
        """Keys of zeros beside the tokens `rows` of one segment of a sequence of `n` tokens."""
        if not self.padded:
            return 0
        return -(-min(self.segment, n) // self.dilation) - len(range(rows.start, rows.stop, rows.step))


def dilated_attention(q: Tensor, k: Tensor, v: Tensor, branches: Sequence[Branch]) -> Tensor:
    """Attention of every head over the union of its branches' tokens, a token counting once for each branch.

    Branches are mixed by softmax denominators (equation 10 of the paper), one after another, so that only the mix is
    held. The first branch has dilation 1, so that every token gets an answer.

    Parameters
    ----------
    q, k, v
        [n h d]; q is scaled already.
    """
    n, n_heads = q.shape[:2]
    out = torch.zeros_like(v)
    total = v.new_full((n, n_heads), -torch.inf)  # log of the denominator so far
    for branch in branches:
        for heads, offset in branch.groups(n_heads):
            for start in range(0, n, branch.segment):
                rows = slice(start + offset, min(start + branch.segment, n), branch.dilation)
                if rows.start < rows.stop:
                    at = (rows, heads)
                    answer, log_sum = attend(*(x[at].transpose(0, 1) for x in (q, k, v)))
                    n_zero = branch.n_zero_keys(n, rows)
                    if n_zero:  # each adds exp(0) to the denominators and nothing to the answers
                        with_zeros = torch.logaddexp(log_sum, log_sum.new_tensor(float(n_zero)).log())
                        answer, log_sum = answer * (log_sum - with_zeros).exp()[..., None], with_zeros
                    _mix(out[at], total[at], answer.transpose(0, 1), log_sum.transpose(0, 1))
    return out


def _mix(out: Tensor, total: Tensor, answer: Tensor, log_sum: Tensor) -> None:
    """Mix a branch's `answer` into the views `out` [l h d] and `total` [l h], in place."""
    both = torch.logaddexp(total, log_sum)
    out.mul_((total - both).exp_()[..., None]).add_(answer * (log_sum - both).exp_()[..., None])
    total.copy_(both)


def attend(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax attention [h l d] and the logarithm of its denominators [h l].

    PyTorch's public attention keeps the denominators to itself. Its CPU kernel gives them, under a private name and
    twice as fast as the chunked form; where it is not, the chunked form answers the same.
    """
    fused = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
    if fused is None or q.device.type != "cpu":
        return attend_chunked(q, k, v)
    answer, log_sum = fused(q[None], k[None], v[None], 0.0, False, scale=1.0)
    return answer[0], log_sum[0]


def attend_chunked(q: Tensor, k: Tensor, v: Tensor, n_scores: int = _SCORES) -> tuple[Tensor, Tensor]:
    """`attend` for at most `n_scores` scores at a time."""
    answers, log_sums = [], []
    for rows in row_blocks(q.shape[1], budget=n_scores, per_row=k.shape[0] * k.shape[1]):
        scores = q[:, rows] @ k.transpose(1, 2)
        top = scores.amax(-1, keepdim=True)
        denominator = scores.sub_(top).exp_().sum(-1, keepdim=True)
        answers.append(scores @ v / denominator)
        log_sums.append((top + denominator.log())[..., 0])
    return torch.cat(answers, 1), torch.cat(log_sums, 1)


class Attention(nn.Module):
    """Dilated attention between linear maps, with a LayerNorm before the last one."""

    def __init__(self, width: int, n_heads: int, branches: Sequence[Branch]):
        super().__init__()
        self.n_heads, self.branches = n_heads, branches
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.inner_attn_ln = nn.LayerNorm(width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[n c] -> [n c]."""
        q, k, v = (p(x).unflatten(1, (self.n_heads, -1)) for p in (self.q_proj, self.k_proj, self.v_proj))
        mixed = dilated_attention(q.div_(math.sqrt(q.shape[-1])), k, v, self.branches)
        return self.out_proj(self.inner_attn_ln(mixed.flatten(1)))


class FeedForward(nn.Module):
    """Two linear maps with GELU and a LayerNorm between them."""

    def __init__(self, width: int, wide: int):
        super().__init__()
        self.fc1 = nn.Linear(width, wide)
        self.ffn_layernorm = nn.LayerNorm(wide)
        self.fc2 = nn.Linear(wide, width)

    def forward(self, x: Tensor) -> Tensor:
        """[n c] -> [n c], some rows at a time."""
        blocks = row_blocks(len(x), budget=_ROWS)
        return torch.cat([self.fc2(self.ffn_layernorm(functional.gelu(self.fc1(x[rows])))) for rows in blocks])


class Layer(nn.Module):
    """Attention and feed-forward, each normalised before and added to its input."""

    def __init__(self, width: int, n_heads: int, branches: Sequence[Branch]):
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.self_attn = Attention(width, n_heads, branches)
        self.final_layer_norm = nn.LayerNorm(width)
        self.ffn = FeedForward(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """[n c] -> [n c]."""
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        return x + self.ffn(self.final_layer_norm(x))


class Encoder(nn.Module):
    """All layers, and a LayerNorm."""

    def __init__(self, width: int, n_heads: int, n_layers: int, branches: Sequence[Branch]):
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, n_heads, branches) for _ in range(n_layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """[n c] -> [n c]."""
        for layer in self.layers:
            x = layer(x)
        return self.layer_norm(x)


class PatchEmbed(nn.Module):
    """The linear map of tile features to the width of the encoder."""

    def __init__(self, n_features: int, width: int):
        super().__init__()
        self.proj = nn.Linear(n_features, width)

    def forward(self, features: Tensor) -> Tensor:
        """[n f] -> [n c]."""
        return self.proj(features)


class SlideEncoder(nn.Module):
    """Tile features [n f] in sequence, and the grid cell of each [n 2] -> contextual features [n width].

    A token for the whole slide stands before the tiles and is left out of the answer.
    """

    def __init__(self, n_features: int, width: int, n_heads: int, n_layers: int, branches: Sequence[Branch]):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.patch_embed = PatchEmbed(n_features, width)
        self.encoder = Encoder(width, n_heads, n_layers, branches)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.requires_grad_(False)

    def start_at_random(self) -> None:
        """Weights as before training, from torch's global random state."""
        nn.init.normal_(self.cls_token, std=0.02)
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.xavier_uniform_(part.weight)
                nn.init.zeros_(part.bias)

    @torch.no_grad()
    def forward(self, features: Tensor, cells: Tensor, *, final_norm: bool) -> Tensor:
        """Contextual features [n width]; `final_norm` takes them after the last LayerNorm."""
        x = self.patch_embed(features)
        x = torch.cat([self.cls_token[0], x + place(cells, x.shape[1])])  # the slide's token has no place
        x = self.encoder(x)[1:]
        return self.norm(x) if final_norm else x


def place(cells: Tensor, width: int) -> Tensor:
    """Sines and cosines of grid cells (x, y) [n 2]: the row (y) in the first half, the column (x) in the second.

    Computed where it is needed. The table of a grid of 1000 x 1000 cells would take 3 GB.
    """
    quarter = width // 4
    rates = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64, device=cells.device) / quarter)
    angles = cells.double().flip(1)[..., None] * rates  # [n 2 quarter], y first
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(1).float()


def branches(segments: Sequence[int], dilations: Sequence[int], *, padded: bool = False) -> tuple[Branch, ...]:
    """Branches from two lists of one length; ValueError says what is wrong with them."""
    if len(segments) != len(dilations) or not segments:
        raise ValueError(f"{len(segments)} segment lengths but {len(dilations)} dilations")
    if dilations[0] != 1:
        raise ValueError(f"the first dilation is {dilations[0]}; it must be 1, else some tokens get no answer")
    if min(*segments, *dilations) < 1 or any(a > b for a, b in pairwise(segments)):
        raise ValueError("segment lengths and dilations must be positive, and lengths must not fall")
    return tuple(Branch(segment, dilation, padded) for segment, dilation in zip(segments, dilations))
