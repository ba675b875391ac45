"""E2CNN's network: convolutions that turn and mirror with the tissue, on a window of spots.

The group is D4, the eight symmetries of a square. A *regular* field is eight channels, one per symmetry g; turning the
window turns every channel and permutes the eight. A map between fields commutes with that exactly if its kernels are
turned copies of one another. Therefore every kernel here is a set of free numbers, laid out by a table of indices and
handed to an ordinary convolution. Mathematics: Cohen and Welling, ICML 2016; Weiler and Cesa, NeurIPS 2019.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from eosin.config import Settings
from eosin.geometry import neighbours, spacings
from eosin.models.parts.chunks import by_rows
from eosin.models.parts.spot_geometry import SpotGeometry
from eosin.models.parts.time_waves import time_waves
from eosin.types import Batch

SIDE = 5
"""Cells across the window (Huang et al., appendix A)."""

ORDER = 8
"""Symmetries of a square."""

_NEAREST = 36
"""Spots looked at to fill the 24 cells: on square and hexagonal lattices all of the window's are among them."""

_WAVES = 128
_CHUNK_NUMBERS = 2**21
"""Numbers in the widest layer of a chunk at inference: 8 MB."""

_KEPT_NUMBERS = 2**28
"""The same for training, which above recomputes on the way back (1 GB in the widest layer)."""

SYMMETRIES = [
    np.array([[c, -s], [s, c]]) @ np.diag([1, flip]) for flip in (1, -1) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))
]


def symmetric_taps(side: int, *, lift: bool = False, lower: bool = False) -> Tensor:
    """Which free number stands at each tap of a kernel: [outputs, inputs, side * side].

    K(g, h, x) = w(g⁻¹ h, g⁻¹ x) from one regular field to another; without h where the input has a single channel
    (`lift`), and at g = h, hence w(h⁻¹ x), where the output has (`lower`).
    """
    half = (side - 1) / 2
    cells = np.array(list(itertools.product(range(side), repeat=2))) - half
    row = {tuple(cell): number for number, cell in enumerate(cells)}
    turned = np.array([[row[tuple(np.round(g.T @ x * 2) / 2)] for x in cells] for g in SYMMETRIES])  # g⁻¹ x
    if lift:
        return torch.from_numpy(turned[:, None])
    if lower:
        return torch.from_numpy(turned[None])
    number = {g.astype(int).tobytes(): i for i, g in enumerate(SYMMETRIES)}
    back = np.array([[number[(g.T @ h).astype(int).tobytes()] for h in SYMMETRIES] for g in SYMMETRIES])  # g⁻¹ h
    return torch.from_numpy(back[:, :, None] * side * side + turned[:, None])


class GroupConv(nn.Module):
    """A convolution from fields to fields that commutes with the eight symmetries.

    Counts are of fields: 8 channels each, or 1 for the input of `lift` and the output of `lower`. Channels of a field
    stand together.
    """

    taps: Tensor

    def __init__(self, n_in: int, n_out: int, side: int, *, stride: int = 1, lift: bool = False, lower: bool = False):
        super().__init__()
        self.side, self.stride = side, stride
        self.register_buffer("taps", symmetric_taps(side, lift=lift, lower=lower), persistent=False)
        self.per_out, self.per_in = self.taps.shape[:2]
        free = side * side * (1 if lift or lower else ORDER)
        fan_in = n_in * self.per_in * side * side
        self.weight = nn.Parameter(torch.randn(n_out, n_in, free) * math.sqrt(2 / fan_in))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Tensor, *, pad: bool = True) -> Tensor:
        """[n, c, side, side] -> the same, or smaller by stride; `pad=False` leaves out what would need zeros."""
        o, i = self.weight.shape[:2]
        kernel = self.weight[:, :, self.taps].movedim(2, 1)  # [o out i in taps]
        kernel = kernel.reshape(o * self.per_out, i * self.per_in, self.side, self.side)
        bias = self.bias.repeat_interleave(self.per_out)
        return F.conv2d(x, kernel, bias, self.stride, self.side // 2 if pad else 0)


class FieldNorm(nn.Module):
    """Mean 0 and variance 1 over all of a spot's window; then a gain and a shift per field, the same for its channels.

    In the place of batch statistics, with which a spot's prediction would depend on the others.
    """

    def __init__(self, n_fields: int, per_field: int = ORDER):
        super().__init__()
        self.per_field = per_field
        self.gain, self.shift = nn.Parameter(torch.ones(n_fields)), nn.Parameter(torch.zeros(n_fields))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, side, side] -> the same shape."""
        gain, shift = (p.repeat_interleave(self.per_field) for p in (self.gain, self.shift))
        return F.group_norm(x, 1, gain, shift)


class Block(nn.Module):
    """Norm, ReLU, convolution, twice, beside a shortcut (a wide residual network's block).

    `lower` ends in single channels. `inwards` pads nothing, hence shrinks the window by two cells on each side.
    """

    def __init__(self, n_in: int, n_out: int, dropout: float, *, stride: int, lower: bool, inwards: bool):
        super().__init__()
        self.inwards = inwards
        self.norm1, self.norm2 = FieldNorm(n_in), FieldNorm(n_out)
        self.conv1 = GroupConv(n_in, n_out, 3, stride=stride)
        self.conv2 = GroupConv(n_out, n_out * ORDER if lower else n_out, 3, lower=lower)
        self.dropout = nn.Dropout(dropout)
        self.shortcut = None
        if n_in != n_out or stride > 1 or lower:
            self.shortcut = GroupConv(n_in, n_out * ORDER if lower else n_out, 1, stride=stride, lower=lower)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, side, side] -> [n, c_out, side, side]; smaller by the stride, or by two cells on each side."""
        active = F.relu(self.norm1(x))
        beside = x if self.shortcut is None else active
        beside = beside[..., 2:-2, 2:-2] if self.inwards else beside
        beside = beside if self.shortcut is None else self.shortcut(beside)
        inner = self.conv1(active, pad=not self.inwards)
        inner = self.conv2(self.dropout(F.relu(self.norm2(inner))), pad=not self.inwards)
        return beside + inner


class E2CNNNetwork(Settings, ABC):
    """What the denoiser can be set to."""

    n_channels: int | None = Field(
        64,
        ge=1,
        description="channels that features, Y_t and t are mapped to; none: they themselves, as published",
    )
    n_first: int = Field(8, ge=1, description="fields (of eight channels) of the first convolution")
    n_fields: int = Field(8, ge=1, description="fields of the first stage; each further stage has twice as many")
    n_stages: int = Field(1, ge=1, le=3, description="stages of one residual block")
    pool: bool = Field(False, description="halve the window between stages and average it; False reads its centre")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout rate inside blocks")


@dataclass
class WindowGeometry(SpotGeometry):
    """The spots of a batch, and which of them stand in whose window.

    Attributes
    ----------
    index, there
        [s 25] the spot in each cell of each window, and 1 where there is one, else 0.
    """

    index: Tensor
    there: Tensor


def windows(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """The spot in each cell of each spot's window: rows [s 25], and whether there is one.

    Offsets in units of the part's spacing are rounded to the nearest cell, halves away from the centre (on a hexagonal
    lattice all six neighbours then have cells of their own). Of several spots in a cell the nearest one stays.
    """
    near = neighbours(batch.xy_um, _NEAREST, starts=batch.starts)
    offset = batch.xy_um[near.index] - batch.xy_um[:, None]
    distance = np.linalg.norm(offset, axis=-1)
    unit = spacings(distance[:, :4], near.valid[:, :4], batch.starts)
    length = np.abs(offset) / unit[:, None, None]
    cell = (np.sign(offset) * np.floor(length * (1 + 1e-6) + 0.5)).astype(np.int64)  # halves, up to rounding, outwards
    reach = SIDE // 2
    inside = near.valid & (np.abs(cell) <= reach).all(-1) & cell.any(-1)
    flat = (cell[..., 1] + reach) * SIDE + cell[..., 0] + reach
    own = np.arange(len(batch))
    index, there = np.repeat(own[:, None], SIDE * SIDE, axis=1), np.zeros((len(batch), SIDE * SIDE), dtype=bool)
    there[:, reach * SIDE + reach] = True
    for j in reversed(range(near.index.shape[1])):  # the nearest come last and stay
        rows = own[inside[:, j]]
        index[rows, flat[rows, j]] = near.index[rows, j]
        there[rows, flat[rows, j]] = True
    return index, there


class E2CNN(nn.Module):
    """f(window of features and Y_t, t) -> expression at t = 1 of the window's centre."""

    def __init__(self, n_features: int, n_genes: int, settings: E2CNNNetwork):
        super().__init__()
        s = self.settings = settings
        self.embed = nn.Linear(n_features, s.n_channels) if s.n_channels else None
        self.embed_expression = nn.Linear(n_genes, s.n_channels, bias=False) if s.n_channels else None
        self.embed_time = nn.Linear(_WAVES, s.n_channels, bias=False) if s.n_channels else None
        n_in = 1 + (s.n_channels or n_features + n_genes + 1)  # the last one says where spots are
        self.first = GroupConv(n_in, s.n_first, SIDE, lift=True)
        fields = [s.n_first, *(s.n_fields * 2**stage for stage in range(s.n_stages))]
        self.blocks = nn.ModuleList(
            Block(
                a,
                b,
                s.dropout,
                stride=2 if s.pool and stage > 0 else 1,
                lower=stage == s.n_stages - 1,
                inwards=not s.pool and stage == s.n_stages - 1,
            )
            for stage, (a, b) in enumerate(itertools.pairwise(fields))
        )
        self.norm = FieldNorm(ORDER * fields[-1], 1)
        self.out = nn.Linear(ORDER * fields[-1], n_genes)
        self.widest = SIDE * SIDE * max(n_in, ORDER * s.n_first, ORDER * s.n_fields)

    @property
    def heads(self) -> list[nn.Linear]:
        """What reads the genes."""
        return [self.out]

    def geometry(self, batch: Batch, features: Tensor) -> WindowGeometry:
        """The windows of a batch as tensors beside its features [s f]."""
        index, there = windows(batch)
        return WindowGeometry(
            features, torch.from_numpy(index).to(features.device), torch.from_numpy(there).to(features)
        )

    def precompute(self, geometry: WindowGeometry) -> WindowGeometry:
        """The features' share of the channels, once for all steps and draws; for inference only."""
        if self.embed is not None:
            geometry.keep_embedded(self.embed)
        return geometry

    def forward(self, geometry: WindowGeometry, y: Tensor, t: Tensor) -> Tensor:
        """Denoise y [k s g] at times t ([s], one per spot, or [1]) to [k s g]."""
        state = self._state(geometry, y, t)

        def look(rows: slice) -> Tensor:
            index, there = geometry.index[rows], geometry.there[rows]
            cells = state.index_select(1, index.flatten()).unflatten(1, index.shape) * there[..., None]
            cells = torch.cat([cells, there[..., None].expand(len(state), -1, -1, 1)], -1)  # [k c 25 channels]
            x = cells.flatten(0, 1).mT.unflatten(-1, (SIDE, SIDE))
            return self.out(self.read(x)).unflatten(0, (len(state), -1))

        most = _KEPT_NUMBERS if torch.is_grad_enabled() else _CHUNK_NUMBERS
        return by_rows(look, y.shape[1], max(most // (self.widest * len(y)), 1))

    def _state(self, geometry: WindowGeometry, y: Tensor, t: Tensor) -> Tensor:
        """The channels of each spot, whatever window it stands in: [k s c]."""
        if self.embed is None or self.embed_expression is None or self.embed_time is None:
            image = geometry.features.expand(len(y), -1, -1)
            return torch.cat([image, y, t[:, None].expand(len(y), y.shape[1], 1)], -1)
        return geometry.embedded_by(self.embed) + self.embed_expression(y) + self.embed_time(time_waves(t))

    def read(self, x: Tensor) -> Tensor:
        """Windows [n c 5 5] -> [n d], the same however the windows are turned or mirrored."""
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return F.relu(self.norm(x)).mean((-2, -1))
