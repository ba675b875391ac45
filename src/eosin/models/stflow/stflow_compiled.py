"""A layer of STFlow at inference on the CPU, as a few compiled calls for many spots (`edge_kernels`).

Threads take chunks of spots. Inside a chunk nothing returns to Python, so that threads do not wait for one another,
and hidden values of a few spots at a time stay in a core's cache. The formulas are those of
`spatial_layer.py`.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor, nn

from eosin.models.stflow.edge_geometry import EdgeGeometry
from eosin.models.stflow.edge_ops import arrays, frame_average, kernels
from eosin.models.stflow.spatial_layer import SpatialLayer
from eosin.parallel import each


class CompiledLayer:
    """The parameters of a layer as arrays, and what to do with them."""

    def __init__(self, layer: SpatialLayer):
        d, attention, edge = layer.qkv.in_features, layer.attention, layer.edge
        to_q, to_k, to_e, to_y = arrays(*layer.columns())
        weight, bias = arrays(layer.qkv.weight, layer.qkv.bias)
        norm, eps = tuple(arrays(layer.norm.weight, layer.norm.bias)), np.float32(layer.norm.eps)
        (first_bias,) = arrays(attention.fc1.bias)
        self.n_heads, self.edge_mlp = layer.n_heads, edge
        self.beside = norm, eps, weight[d : 2 * d], bias[d : 2 * d], to_k, to_y, weight[2 * d :], bias[2 * d :]
        self.centre = norm, eps, weight[:d], bias[:d], to_q, to_y, first_bias
        if edge is None:
            self.edge = np.empty((0, 0), np.float32), np.empty(0, np.float32), np.empty((len(to_q), 0), np.float32)
        else:
            self.edge = (*arrays(edge.fc2.weight, edge.fc2.bias), to_e)
        (self.last,) = arrays(attention.fc2.weight[0] * attention.norm.weight)
        self.last_eps = np.float32(attention.norm.eps)
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
        k, s, d = max(len(h), len(y)), *h.shape[1:]
        chunks = geometry.chunks(k)
        if state is None and self.edge_mlp is not None:
            state = frame_average(self.edge_mlp, geometry.edges)
        beside = geometry.buffer("beside", (k, s, self.n_heads, 2 * len(self.last)), h).numpy()
        v = geometry.buffer("v", tuple(h.shape), h).numpy()
        exists = None if geometry.valid is None else geometry.valid.numpy()
        index, states = geometry.index.numpy(), None if state is None else state.numpy()
        # once the neighbours' parts are laid, a row of h and y concerns no other row: results take their place
        new_h, new_y = (x.numpy() if len(x) == k else np.empty((k, *x.shape[1:]), np.float32) for x in (h, y))
        h_old, y_old = h.numpy(), y.numpy()

        def lay(rows: slice) -> None:
            for i in range(k):
                kernels().lay(
                    h_old[i % len(h), rows], y_old[i % len(y), rows], *self.beside, beside[i, rows], v[i % len(h), rows]
                )

        def look(rows: slice) -> None:
            n_rows = rows.stop - rows.start
            some = np.empty((n_rows, index.shape[1], 0), np.float32) if states is None else states[rows]
            valid = np.ones((n_rows, index.shape[1]), bool) if exists is None else exists[rows]
            message = np.empty((k, n_rows, d + len(self.edge[1])), np.float32)
            near = beside, index[rows], valid, self.last, self.last_eps, v, message
            kernels().attend(some, *self.edge, _rows(h_old, rows), _rows(y_old, rows, k), *self.centre, *near)
            for i in range(k):
                if new_h is not h_old:
                    new_h[i, rows] = h_old[i % len(h), rows]
                kernels().update(message[i], new_h[i, rows], new_y[i, rows], *self.update)

        with _one_blas_thread():
            each(lay, chunks)
            each(look, chunks)
        return torch.from_numpy(new_h), torch.from_numpy(new_y)


def _rows(x: np.ndarray, rows: slice, k: int | None = None) -> np.ndarray:
    """x[:, rows] in one piece of memory (no copy where there is one draw), repeated to k draws if asked."""
    some = np.ascontiguousarray(x[:, rows])
    return some if k is None or len(some) == k else np.repeat(some, k, axis=0)


def _parameters(first: nn.Linear, norm: nn.LayerNorm, then: nn.Linear) -> tuple[np.ndarray, ...]:
    return tuple(arrays(first.weight, first.bias, norm.weight, norm.bias, then.weight, then.bias))


def _one_blas_thread() -> AbstractContextManager[Any]:
    """Products inside kernels take one thread each, since chunks are shared out already."""
    kernels()  # loads the linear algebra library that is to be limited
    return _blas().limit(limits=1, user_api="blas")


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()
