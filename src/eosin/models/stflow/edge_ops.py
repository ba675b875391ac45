"""STFlow's operations on edges: compiled for float32 on the CPU (`edge_kernels`), else by whole tensors.

Both ways compute the same formulas and have the same way back; `tests/unit/models/test_edge_ops.py` compares them. The
compiled one recomputes inner values on the way back, hence keeps a tenth of the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eosin.parallel import each
from eosin.row_blocks import row_blocks

_ROWS = 256
"""Spots (or edges/4) per piece of work for a thread: enough to hide the call, few enough to share evenly."""

_BYTE, _WORD = 2**8, 2**32
"""Rates of dropout that a byte, or four, can tell apart."""


class Dropout(nn.Module):
    """Dropout whose mask costs a byte of randomness per number instead of a draw from torch's slow generator.

    The rate is the nearest multiple of 1/256, or of 2^-32 (four bytes per number) where that is not within 2 %; the
    kept values are scaled for exactly that rate.

    Attributes
    ----------
    dropped, levels
        The rate is `dropped / levels`.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.levels, self.dropped = _BYTE, round(_BYTE * rate)
        if abs(self.dropped / _BYTE - rate) > 0.02 * rate or self.dropped == _BYTE:
            self.levels, self.dropped = _WORD, min(round(_WORD * rate), _WORD - 1)

    @property
    def active(self) -> bool:
        """Whether anything is dropped now."""
        return self.training and self.dropped > 0

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, some numbers 0 and the others scaled up."""
        if not self.active:
            return x
        per_word = 8 if self.levels == _BYTE else 2
        words = torch.empty(-(-x.numel() // per_word), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        if self.levels == _BYTE:
            kept = words.view(torch.uint8)[: x.numel()] >= self.dropped
        else:
            kept = words.view(torch.int32)[: x.numel()] >= self.dropped - _WORD // 2  # torch's 32 bits have a sign
        return x * kept.view(x.shape).to(x.dtype).mul_(self.levels / (self.levels - self.dropped))

    def hashed(self) -> tuple[Any, Any, Any]:
        """Seed, threshold and scale of a mask that a kernel makes itself; the seed comes from torch's generator."""
        if not self.active:
            return np.uint64(0), np.uint32(0), np.float32(1)
        seed = int(torch.randint(2**62, ()))
        threshold = self.dropped * (_WORD // self.levels)
        return np.uint64(seed), np.uint32(threshold), np.float32(self.levels / (self.levels - self.dropped))


class GatedMLP(nn.Module):
    """Linear, SiLU gate, dropout, LayerNorm, linear, dropout: timm's SwiGLU with a norm, which the release uses."""

    def __init__(self, n_in: int, n_hidden: int, n_out: int, dropout: float):
        super().__init__()
        self.fc1 = nn.Linear(n_in, n_hidden)
        self.norm = nn.LayerNorm(n_hidden // 2)
        self.fc2 = nn.Linear(n_hidden // 2, n_out)
        self.dropout = Dropout(dropout)

    def gate(self, hidden: Tensor) -> Tensor:
        """From the first linear map's output [..., hidden] to the gated half [..., hidden/2]."""
        u, w = hidden.chunk(2, dim=-1)
        return self.dropout(F.silu(u).mul_(w) if not torch.is_grad_enabled() else F.silu(u) * w)

    def forward(self, x: Tensor) -> Tensor:
        """[... n_in] -> [... n_out]."""
        return self.dropout(self.fc2(self.norm(self.gate(self.fc1(x)))))


class Neighbourhood:
    """Which spots some spots attend to: index [c n] into s spots, and the same from the other end."""

    def __init__(self, index: Tensor, n_spots: int):
        self.index, self.n_spots = index, n_spots

    @cached_property
    def rows(self) -> np.ndarray:
        """The index [c n] as an array."""
        return self.index.numpy()

    @cached_property
    def incoming(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges ordered by the spot that they point to, and where each spot's begin: [c*n], [s + 1]."""
        flat = self.rows.ravel()
        starts = np.zeros(self.n_spots + 1, np.int64)
        np.cumsum(np.bincount(flat, minlength=self.n_spots), out=starts[1:])
        return np.argsort(flat, kind="stable"), starts

    def gather(self, x: Tensor) -> Tensor:
        """Rows of x [k s ...] -> [k c n ...]."""
        return x.index_select(1, self.index.flatten()).unflatten(1, self.index.shape)


def frame_average(mlp: GatedMLP, edges: Tensor) -> Tensor:
    """Average over the four frames of an edge MLP's normalised hidden state: [... 3] -> [... m] (equation 6).

    The frames are the signs of the first two inputs. The second linear map, which commutes with the average, is left
    to the caller.
    """
    if not is_compiled(edges, mlp.fc1.weight):
        signs = edges.new_tensor([[1, 1, 1], [1, -1, 1], [-1, 1, 1], [-1, -1, 1]])
        weight = signs[:, None] * mlp.fc1.weight  # [4 2m 3]: signs move from the input into the weights
        hidden = F.linear(edges, weight.flatten(0, 1), mlp.fc1.bias.repeat(4)).unflatten(-1, (4, -1))
        return mlp.norm(mlp.gate(hidden)).mean(-2)
    flat = edges.reshape(-1, 3)
    arguments = (flat, mlp.fc1.weight.T.contiguous(), mlp.fc1.bias, mlp.norm.weight, mlp.norm.bias)
    return _Frames.apply(*arguments, np.float32(mlp.norm.eps), mlp.dropout.hashed()).unflatten(0, edges.shape[:-1])


def attention_logits(
    mlp: GatedMLP, along: Tensor | None, beside: Tensor, centre: Tensor, near: Neighbourhood
) -> Tensor:
    """The attention's MLP after its first map, which is given in three parts to be added (equation 7): [k c n H].

    along [c n H 2m] of each edge, beside [k s H 2m] of each spot as a neighbour, centre [k c H 2m] as a centre. The
    norm's gain and shift are folded into the last map.
    """
    weight = mlp.fc2.weight[0] * mlp.norm.weight
    constant = mlp.fc2.weight[0] @ mlp.norm.bias + mlp.fc2.bias
    if is_compiled(beside, centre, weight, *([] if along is None else [along])):
        nothing = beside.new_empty(0, 0, *beside.shape[2:])
        arguments = (nothing if along is None else along, beside, centre, weight)
        plain = _Logits.apply(*arguments, near, np.float32(mlp.norm.eps), mlp.dropout.hashed())
    else:
        hidden = near.gather(beside) + centre[:, :, None]
        z = mlp.gate(hidden if along is None else hidden + along)
        plain = F.layer_norm(z, z.shape[-1:], eps=mlp.norm.eps) @ weight
    return mlp.dropout(plain + constant)


def mix(share: Tensor, v: Tensor, e: Tensor | None, near: Neighbourhood) -> Tensor:
    """Weighted sums over neighbours of their values and of the edges: [k c H*p + H*q] (equation 8).

    share [k c n H], v [k s H p] (k may be 1), e [c n H q].
    """
    if is_compiled(share, v, *([] if e is None else [e])):
        return _Mix.apply(share, v, v.new_empty(0, 0, v.shape[2], 0) if e is None else e, near)
    message = (share[..., None] * near.gather(v)).sum(2).flatten(-2)
    return message if e is None else torch.cat([message, (share[..., None] * e).sum(2).flatten(-2)], -1)


def softmax(logits: Tensor, valid: Tensor | None) -> Tensor:
    """Over neighbours [k c n H]; a spot without neighbours gets all zeros, hence no message."""
    if valid is None:
        return logits.softmax(2)
    exists = valid[None, :, :, None]
    return logits.masked_fill(~exists, torch.finfo(logits.dtype).min).softmax(2) * exists


def is_compiled(*tensors: Tensor) -> bool:
    """Whether tensors are such that compiled kernels take them: float32 on the CPU."""
    return all(x.device.type == "cpu" and x.dtype == torch.float32 for x in tensors)


def kernels() -> Any:
    """Imported at first use: numba takes half a second to load."""
    from eosin.models.stflow import edge_kernels

    return edge_kernels


def arrays(*tensors: Tensor) -> list[np.ndarray]:
    """NumPy views of tensors, without their gradients; copies where memory is not in one piece."""
    return [x.detach().contiguous().numpy() for x in tensors]


def _joined(x: np.ndarray) -> np.ndarray:
    """Heads side by side: [... H p] -> [... H*p], also where there are no rows."""
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


def _share_out(function: Callable[[int, int], Any], n: int, step: int = _ROWS) -> list[Any]:
    """`function(a, b)` of all rows in pieces, on all threads; pieces do not depend on the number of threads."""
    return each(lambda rows: function(rows.start, rows.stop), row_blocks(n, budget=step))


class _Frames(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, edges, across, bias, gain, shift, eps, drop):
        ctx.save_for_backward(edges, across, bias, gain)
        ctx.rest = eps, drop
        out = edges.new_empty(len(edges), len(gain))
        given, result = arrays(edges, across, bias, gain, shift), out.numpy()
        _share_out(lambda a, b: kernels().frames(a, b, *given, eps, *drop, result), len(edges), 4 * _ROWS)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor):
        edges, across, bias, gain = ctx.saved_tensors
        eps, drop = ctx.rest
        known, given = arrays(edges, across, bias, gain), grads[0].contiguous().numpy()

        def piece(a: int, b: int) -> list[np.ndarray]:
            sums = [np.zeros_like(x) for x in known[1:]]
            kernels().frames_back(a, b, *known, eps, *drop, given, *sums)
            return sums

        pieces = _share_out(piece, len(edges), 4 * _ROWS)
        total = [torch.from_numpy(np.sum(parts, axis=0)) for parts in zip(*pieces)]
        return None, *total, grads[0].sum(0), None, None


class _Logits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, along, beside, centre, weight, near, eps, drop):
        ctx.save_for_backward(along, beside, centre, weight)
        ctx.rest = near, eps, drop
        out = centre.new_empty(*centre.shape[:2], near.index.shape[1], centre.shape[2])
        edges, besides, centres, last = arrays(along, beside, centre, weight)
        for k, result in enumerate(out.numpy()):
            given = (edges, besides[k], centres[k], near.rows, last, eps, *drop, result)
            _share_out(lambda a, b, given=given: kernels().logits(a, b, *given), out.shape[1])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor):
        near, eps, drop = ctx.rest
        edges, besides, centres, last = arrays(*ctx.saved_tensors)
        c, n = near.rows.shape
        d_along, d_beside, d_centre, d_last = None, np.empty_like(besides), np.empty_like(centres), np.zeros_like(last)
        for k, given in enumerate(grads[0].contiguous().numpy()):
            d_edges = np.empty((c, n, *centres.shape[2:]), np.float32)
            known = (edges, besides[k], centres[k], near.rows, last, eps, *drop, given, d_edges, d_centre[k])

            def piece(a: int, b: int, known=known) -> np.ndarray:
                total = np.zeros_like(last)
                kernels().logits_back(a, b, *known, total)
                return total

            d_last += np.sum(_share_out(piece, c), axis=0)
            flat, into = d_edges.reshape(c * n, -1), d_beside[k].reshape(len(d_beside[k]), -1)
            rest = (*near.incoming, flat, into)
            _share_out(lambda a, b, rest=rest: kernels().collect(a, b, *rest), near.n_spots)
            d_along = d_edges if d_along is None else d_along + d_edges
        towards_edges = torch.from_numpy(d_along) if len(edges) and d_along is not None else None
        return towards_edges, *map(torch.from_numpy, (d_beside, d_centre, d_last)), None, None, None


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, share, v, e, near):
        ctx.save_for_backward(share, v, e)
        ctx.near = near
        width = v.shape[2] * v.shape[3] + e.shape[2] * e.shape[3]
        out = share.new_empty(*share.shape[:2], width)
        shares, values, edges = arrays(share, v, e)
        for k, result in enumerate(out.numpy()):
            given = (shares[k], _joined(values[k % len(values)]), _joined(edges), near.rows, result)
            _share_out(lambda a, b, given=given: kernels().mix(a, b, *given), out.shape[1])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor):
        near = ctx.near
        shares, values, edges = arrays(*ctx.saved_tensors)
        d_share, d_v, d_e = np.empty_like(shares), np.zeros_like(values), np.zeros_like(edges)
        for k, given in enumerate(grads[0].contiguous().numpy()):
            d_edges, into = np.empty_like(edges), np.empty_like(values[0])
            first = (shares[k], values[k % len(values)], edges, near.rows, given, d_share[k], d_edges)
            then = (*near.incoming, shares[k], given, into)
            _share_out(lambda a, b, first=first: kernels().mix_back(a, b, *first), len(near.rows))
            _share_out(lambda a, b, then=then: kernels().mix_back_v(a, b, *then), near.n_spots)
            d_e += d_edges
            d_v[k % len(values)] += into
        return torch.from_numpy(d_share), torch.from_numpy(d_v), torch.from_numpy(d_e) if len(edges) else None, None
