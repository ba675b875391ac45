"""EGNN in STFlow's flow: messages between neighbours that see only how far apart they are.

The layer is that of Satorras, Hoogeboom and Welling (ICML 2021), equations 3 to 6. Huang et al. (ICML 2025, table 3 and
appendix A) put it in the place of their own denoiser: 4 layers, width 128, 8 neighbours, dropout 0.2. They released no
code of that. Where eosin chooses, and why:

- The first state is a linear map of [features, Y_t, waves of t]; Huang et al. only say "integrated with the flow".
- Distances are in units of the section's spacing. Squared distances in pixels (10^4 to 10^6) saturate the messages.
- Positions stay as they are by default (`move_positions`): what is predicted is invariant, so nothing reads them.
- The last layer never moves positions, since nothing would see it; the published class has dead parameters there.
- Dropout, which the published class lacks, follows each of the two MLPs.
- The first linear map of the messages is split by its columns and applied once per spot instead of once per edge.
"""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from eosin.config import Settings
from eosin.geometry import neighbours, spacings
from eosin.models.base import MODELS, ModelEntry
from eosin.models.parts.chunks import by_rows
from eosin.models.parts.flow import FlowModel
from eosin.models.parts.flow_settings import PAPER_FLOW, PAPER_TRAIN, FlowSettings, make_flow
from eosin.models.parts.objective import ValueObjective, squared_error
from eosin.models.parts.spot_geometry import SpotGeometry
from eosin.models.parts.time_waves import time_waves
from eosin.types import Batch, GenePanel

_CHUNK_EDGES = 8192
"""Edges per chunk at inference (times draws): [8192, 128] in float32 is 4 MB, which stays in cache."""

_KEPT_EDGES = 262_144
"""Edges whose inner values training keeps for the way back (0.5 GB a layer as published); above, it recomputes."""

_WAVES = 128


class EGNNNetwork(Settings, ABC):
    """What the denoiser can be set to."""

    n_layers: int = Field(2, ge=1, description="layers; each widens the context by one ring of neighbours")
    width: int = Field(64, ge=1, description="width of a spot's state and of a message")
    n_neighbours: int = Field(8, ge=1, description="nearest spots that send a message")
    reach_um: float | None = Field(
        None, gt=0, description="a spot further away than this, µm, is no neighbour; without it however far"
    )
    include_ties: bool = Field(False, description="hear all spots as near as the last one, not some of them")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout rate after each MLP")
    move_positions: bool = Field(False, description="let layers shift the positions, as published")


@dataclass
class DistanceGeometry(SpotGeometry):
    """The spots of a batch and how far apart they are; lengths in units of the part's spacing.

    Attributes
    ----------
    index, valid
        [s n] neighbours' rows, and 1 where they exist, else 0 (`valid` is None when all do).
    square
        [s n] squared distances.
    xy
        [s 2] positions from the part's mean.
    """

    index: Tensor
    valid: Tensor | None
    square: Tensor
    xy: Tensor


class EGNNLayer(nn.Module):
    """Messages m_ij from states and distance, their sum into the state, and (if `moves`) a shift along the offsets."""

    def __init__(self, width: int, dropout: float, *, moves: bool):
        super().__init__()
        self.pair = nn.Linear(2 * width + 1, width)
        self.message = nn.Linear(width, width)
        self.update = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))
        self.dropout = nn.Dropout(dropout)
        self.shift = None
        if moves:
            self.shift = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1, bias=False))
            nn.init.xavier_uniform_(self.shift[2].weight, gain=0.001)

    def forward(self, h: Tensor, x: Tensor | None, geometry: DistanceGeometry) -> tuple[Tensor, Tensor | None]:
        """New states [k s d] and positions [k s 2] of all spots; without positions distances are the batch's own."""
        width, (k, s) = h.shape[-1], h.shape[:2]
        own, other, far = self.pair.weight.split([width, width, 1], dim=1)
        centre, beside = F.linear(h, own, self.pair.bias), F.linear(h, other)

        def look(rows: slice) -> Tensor:
            index = geometry.index[rows]
            offset = None if x is None else x[:, rows, None] - _gather(x, index)
            square = geometry.square[rows] if offset is None else offset.square().sum(-1)
            m = F.silu(centre[:, rows, None] + _gather(beside, index) + square[..., None] * far[:, 0])
            m = self.dropout(F.silu(self.message(m)))  # [k c n d]
            valid = None if geometry.valid is None else geometry.valid[rows]
            total = m.sum(2) if valid is None else (m * valid[..., None]).sum(2)
            new = h[:, rows] + self.dropout(self.update(torch.cat([h[:, rows], total], -1)))
            if self.shift is None or offset is None or x is None:
                return new
            step, count = offset * self.shift(m), float(index.shape[1])
            if valid is not None:
                step, count = step * valid[..., None], valid.sum(1, keepdim=True).clamp(min=1)
            return torch.cat([new, x[:, rows] + step.sum(2) / count], -1)

        edges = _KEPT_EDGES if torch.is_grad_enabled() else _CHUNK_EDGES
        updated = by_rows(look, s, max(edges // (k * geometry.index.shape[1]), 1))
        return (updated, x) if updated.shape[-1] == width else (updated[..., :width], updated[..., width:])


def _gather(x: Tensor, index: Tensor) -> Tensor:
    """Rows of x [k s d] -> [k c n d]."""
    return x.index_select(1, index.flatten()).unflatten(1, index.shape)


class EGNN(nn.Module):
    """f(features, distances, Y_t, t) -> expression at t = 1."""

    def __init__(self, n_features: int, n_genes: int, settings: EGNNNetwork):
        super().__init__()
        s = self.settings = settings
        self.embed = nn.Linear(n_features, s.width)
        self.embed_expression = nn.Linear(n_genes, s.width, bias=False)
        self.embed_time = nn.Linear(_WAVES, s.width, bias=False)
        self.layers = nn.ModuleList(
            EGNNLayer(s.width, s.dropout, moves=s.move_positions and number < s.n_layers)
            for number in range(1, s.n_layers + 1)
        )
        self.out = nn.Linear(s.width, n_genes)

    @property
    def heads(self) -> list[nn.Linear]:
        """What reads the genes."""
        return [self.out]

    def geometry(self, batch: Batch, features: Tensor) -> DistanceGeometry:
        """Neighbours of a batch and their distances, as tensors beside its features [s f]."""
        s = self.settings
        near = neighbours(
            batch.xy_um, s.n_neighbours, starts=batch.starts, include_ties=s.include_ties, reach_um=s.reach_um
        )
        distance = np.linalg.norm(batch.xy_um[near.index] - batch.xy_um[:, None], axis=-1)
        unit = spacings(distance[:, :1], near.valid[:, :1], batch.starts)
        sizes = np.diff(batch.starts)
        centre = np.add.reduceat(batch.xy_um, batch.starts[:-1], axis=0) / sizes[:, None]
        xy = (batch.xy_um - np.repeat(centre, sizes, axis=0)) / unit[:, None]
        numbers = ((distance / unit[:, None]) ** 2, xy, near.valid)
        square, xy, valid = (torch.from_numpy(a).to(features) for a in numbers)
        index = torch.from_numpy(near.index).to(features.device)
        return DistanceGeometry(features, index, None if near.valid.all() else valid, square, xy)

    def precompute(self, geometry: DistanceGeometry) -> DistanceGeometry:
        """The features' share of the first state, once for all steps and draws; for inference only."""
        geometry.keep_embedded(self.embed)
        return geometry

    def forward(self, geometry: DistanceGeometry, y: Tensor, t: Tensor) -> Tensor:
        """Denoise y [k s g] at times t ([s], one per spot, or [1]) to [k s g]."""
        h = geometry.embedded_by(self.embed) + self.embed_expression(y) + self.embed_time(time_waves(t))
        x = geometry.xy.expand(len(h), -1, -1) if self.settings.move_positions else None
        for layer in self.layers:
            h, x = layer(h, x, geometry)
        return self.out(h)


class EGNNSettings(FlowSettings, EGNNNetwork):
    """The network's settings, then the flow's."""


def build(
    settings: EGNNSettings, n_features: int, panel: GenePanel, *, objective: ValueObjective = squared_error
) -> FlowModel:
    """Put the parts together; no I/O, no device."""
    return make_flow(EGNN, settings, n_features, panel, objective=objective)


_PAPER = {"n_layers": 4, "width": 128, "dropout": 0.2, "move_positions": True, **PAPER_FLOW}

MODELS.add(
    "egnn",
    ModelEntry(
        build,
        EGNNSettings,
        "flow matching with messages that see distances (E(n)-equivariant graph network)",
        "Satorras et al., ICML 2021, in the flow of Huang et al., ICML 2025",
        presets={
            "paper": {"model": _PAPER, "train": PAPER_TRAIN},
            "small": {"model": {"width": 32}, "train": {"lr": 1e-3}},
        },
        drawing=("n_steps", "sampler"),
    ),
)
