"""A layer of STFlow at inference on the CPU, as a few compiled calls for many spots (`edge_kernels`).

Threads take chunks of spots. Inside a chunk nothing returns to Python, so that threads do not wait for one another,
and hidden values of a few spots at a time stay in a core's cache. The formulas are those of
`spatial_layer.py`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from eosin.models.stflow.edge_geometry import EdgeGeometry
from eosin.models.stflow.edge_ops import arrays, frame_average, kernels
from eosin.models.stflow.spatial_layer import SpatialLayer
from eosin.parallel import each, one_blas_thread


class CompiledLayer:
    """The parameters of a layer as arrays, and what to do with them."""

    def __init__(self, layer: SpatialLayer):
        d, attention, edge = layer.qkv.in_features, layer.attention, layer.edge
        to_q, to_k, to_e, to_y = (_turned(x) for x in layer.columns())
        query, key, value = (_turned(x) for x in layer.qkv.weight.split(d))
        of_query, of_key, of_value = arrays(*layer.qkv.bias.split(d))
        (first_bias,) = arrays(attention.fc1.bias)
        self.n_heads, self.edge_mlp = layer.n_heads, edge
        self.norm = (*arrays(layer.norm.weight, layer.norm.bias), np.float32(layer.norm.eps))
        self.beside = key, to_k, to_y, _by_head(of_key, to_k)
        self.value = value, of_value
        centre = _by_head(of_query, to_q) + first_bias
        if edge is None:
            self.edge = np.empty((0, 0), np.float32), np.empty(0, np.float32), np.empty((0, to_q.shape[1]), np.float32)
        else:
            (e_shift,) = arrays(edge.fc2.bias)
            self.edge = _turned(edge.fc2.weight), e_shift, to_e
            centre += _by_head(e_shift, to_e)
        self.centre = query, to_q, -to_y, centre
        (weight,) = arrays(attention.fc2.weight[0] * attention.norm.weight)
        self.last = weight, np.float32(attention.norm.eps)
        out, forward = layer.out, layer.feed_forward
        first, _, middle, _, last, _ = layer.head
        self.update = (
            _parameters(out.fc1, out.norm, out.fc2),
            _parameters(forward.fc1, forward.norm, forward.fc2),
            _parameters(first, middle, last),
            np.float32(middle.eps),
        )

    def __call__(self, h: Tensor, y: Tensor, geometry: EdgeGeometry, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """New states and expression; h [k s d] and y [k s g] are overwritten, but where one grows to the other's k."""
        k, (s, n) = max(len(h), len(y)), geometry.index.shape
        if state is None and self.edge_mlp is not None:
            state = frame_average(self.edge_mlp, geometry.edges)
        beside = geometry.buffer("beside", (k, s, self.n_heads, 2 * len(self.last[0])), h).numpy()
        v = geometry.buffer("v", tuple(h.shape), h).numpy()
        states = np.empty((s, n, 0), np.float32) if state is None else state.numpy()
        index = geometry.index.numpy()
        valid = np.ones((s, n), bool) if geometry.valid is None else geometry.valid.numpy()
        # once the neighbours' parts are laid, a row of h and y concerns no other row: results take their place
        old = h.numpy(), y.numpy()
        new_h, new_y = (x if len(x) == k else np.empty((k, *x.shape[1:]), np.float32) for x in old)
        near = beside, v, index, valid

        def lay(rows: slice) -> None:
            compiled.lay(rows.start, rows.stop, old, self.norm, self.beside, self.value, near[:2])

        def look(rows: slice) -> None:
            edge = states, *self.edge
            parts = old, edge, self.norm, self.centre, near, self.last, self.update, (new_h, new_y)
            compiled.attend(rows.start, rows.stop, *parts)

        compiled = kernels()  # loads the linear algebra library that is to be limited
        with one_blas_thread():
            each(lay, geometry.chunks())
            each(look, geometry.chunks())
        return torch.from_numpy(new_h), torch.from_numpy(new_y)


def _turned(weight: Tensor) -> np.ndarray:
    """[in out] in one piece of memory, of torch's [out in]."""
    return np.ascontiguousarray(weight.detach().numpy().T)


def _by_head(bias: np.ndarray, part: np.ndarray) -> np.ndarray:
    """What a bias [d] before a map [d/H 2m] of each head adds after it: [H 2m]."""
    return bias.reshape(-1, len(part)) @ part


def _parameters(first: nn.Linear, norm: nn.LayerNorm, then: nn.Linear) -> tuple[np.ndarray, ...]:
    biases = arrays(first.bias, norm.weight, norm.bias)
    return (_turned(first.weight), *biases, _turned(then.weight), *arrays(then.bias))
