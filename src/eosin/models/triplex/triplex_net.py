"""The network of TRIPLEX: three views of a spot, fused (Chung et al., CVPR 2024).

- *target*: the spot's own vector, or the tokens that an image network makes of its tile;
- *neighbours*: the vectors of the spots around it attend to one another, with a learned bias per relative place;
- *global*: all spots of the part attend to one another, positions enter by a convolution on the lattice (APEG).

One stack of cross-attention, asked by the spot's global state, reads the target and then the neighbours.
"""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, replace

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from eosin.config import Settings
from eosin.geometry import lattice_positions, neighbours
from eosin.models.parts.attention import Block, within_parts, within_sets
from eosin.models.parts.chunks import by_rows
from eosin.models.parts.image_branch import BackboneTokens
from eosin.types import Batch

_REACH = 5  # relative rows and columns are told apart from 0 to 4


class TriplexNetwork(Settings, ABC):
    """What the network can be set to."""

    width: int = Field(64, ge=8, description="width of a spot's state")
    n_heads: int = Field(4, ge=1, description="attention heads; must divide the width")
    ratio: float = Field(2.0, gt=0, description="width of the feed-forward layers, in widths")
    n_window_layers: int = Field(1, ge=1, description="blocks over the window of each spot")
    n_global_layers: int = Field(1, ge=1, description="blocks over all spots; the first is followed by positions")
    n_fusion_layers: int = Field(1, ge=1, description="cross-attention blocks that read target and window")
    n_neighbours: int = Field(24, ge=1, description="nearest spots in a window beside the spot itself")
    reach_um: float | None = Field(
        None, gt=0, description="a spot further away than this, µm, is no neighbour; without it however far"
    )
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout rate in every block")
    released_norms: bool = Field(
        False,
        description="norms as in the release: what the cross-attention reads is normalised as its queries are, and a "
        "norm ends the window",
    )
    residual_positions: bool = Field(True, description="add the lattice convolution to the state; False replaces it")


@dataclass
class Views:
    """One prepared batch.

    Attributes
    ----------
    features
        [s f].
    target
        What the target view is made of: the features as one token [s 1 f], or tiles [s px px 3].
    near
        [s n] rows of the spots of each window, the spot itself first.
    hidden
        [s n] bool: no such spot.
    place
        [s 2] row and column on the lattice.
    cell, around
        [s] the cell of each spot; [9 c] the cells around each cell, c where there is none.
    starts
        First rows of the parts.
    """

    features: Tensor
    target: Tensor
    near: Tensor
    hidden: Tensor
    place: Tensor
    cell: Tensor
    around: Tensor
    starts: list[int]


class Window(nn.Module):
    """Attention within the window of each spot; the bias depends on how many rows and columns two spots are apart."""

    bias: nn.ParameterList

    def __init__(self, width: int, n_layers: int, n_heads: int, ratio: float, dropout: float, *, norm: bool = False):
        super().__init__()
        self.norm = nn.LayerNorm(width) if norm else None
        self.blocks = nn.ModuleList(Block(width, n_heads, ratio, dropout) for _ in range(n_layers))
        self.bias = nn.ParameterList(torch.zeros(n_heads, _REACH**2) for _ in range(n_layers))

    def forward(self, tokens: Tensor, place: Tensor, hidden: Tensor) -> Tensor:
        """tokens [s n w], place [s n 2], hidden [s n] -> [s n w]."""
        apart = (place[:, :, None] - place[:, None]).abs().clamp(max=_REACH - 1)
        kind = apart[..., 0] * _REACH + apart[..., 1]  # [s n n]
        never = torch.zeros_like(tokens[..., 0]).masked_fill(hidden, -torch.inf)[:, None, None]  # [s 1 1 n]
        for block, bias in zip(self.blocks, self.bias):
            tokens = block(tokens, within_sets(bias[:, kind].transpose(0, 1) + never))
        return tokens if self.norm is None else self.norm(tokens)


class Positions(nn.Module):
    """APEG: a depthwise 3 x 3 convolution over occupied cells; spots that share a cell are averaged.

    Nine gathers instead of a grid: memory is linear in spots however far they are apart.
    """

    def __init__(self, width: int, *, residual: bool):
        super().__init__()
        self.residual = residual
        self.weight = nn.Parameter(torch.empty(9, width).uniform_(-1 / 3, 1 / 3))
        self.bias = nn.Parameter(torch.empty(width).uniform_(-1 / 3, 1 / 3))

    def forward(self, tokens: Tensor, cell: Tensor, around: Tensor) -> Tensor:
        """tokens [s w] -> [s w]."""
        n_cells = around.shape[1]
        count = tokens.new_zeros(n_cells + 1).index_add(0, cell, tokens.new_ones(len(cell))).clamp(min=1)
        filled = tokens.new_zeros(n_cells + 1, tokens.shape[1]).index_add(0, cell, tokens) / count[:, None]
        mixed = self.bias.expand(n_cells, -1)
        for weight, source in zip(self.weight, around):
            mixed = mixed + weight * filled[source]  # the last row stands for empty cells and stays 0
        return tokens + mixed[cell] if self.residual else mixed[cell]


class Triplex(nn.Module):
    """Four guesses: of the fused views, and of each view alone.

    Parameters
    ----------
    own
        Makes the target view's tokens [s t w] from tiles; none: a linear map of the spot's features is the one token.
    chunk
        Spots whose windows are in memory at once.
    """

    def __init__(
        self,
        n_features: int,
        n_genes: int,
        settings: TriplexNetwork,
        own: BackboneTokens | None = None,
        *,
        chunk: int = 1024,
    ):
        super().__init__()
        s = self.settings = settings
        self.chunk, shape = chunk, (s.width, s.n_heads, s.ratio, s.dropout)
        self.drop = nn.Dropout(s.dropout)
        self.own = own or nn.Linear(n_features, s.width)
        self.others = nn.Linear(n_features, s.width)
        self.window = Window(s.width, s.n_window_layers, s.n_heads, s.ratio, s.dropout, norm=s.released_norms)
        self.slide = nn.ModuleList(Block(*shape) for _ in range(s.n_global_layers))
        self.positions = Positions(s.width, residual=s.residual_positions)
        self.slide_norm = nn.LayerNorm(s.width)
        self.fusion = nn.ModuleList(Block(*shape, norm_context=s.released_norms) for _ in range(s.n_fusion_layers))
        self.fusion_norm = nn.LayerNorm(s.width)
        self.heads = nn.ModuleList(nn.Linear(s.width, n_genes) for _ in range(4))

    def geometry(self, batch: Batch, features: Tensor) -> Views:
        """Windows, lattice and parts of a batch as tensors beside its features [s f]."""
        s = self.settings
        near = neighbours(batch.xy_um, s.n_neighbours, starts=batch.starts, reach_um=s.reach_um)
        own = np.arange(len(batch))[:, None]
        place = lattice_positions(batch.xy_um, batch.starts)
        cell, around = cells_around(place, batch.part_of_spot())
        arrays = (
            np.hstack([own, near.index]),
            np.hstack([np.zeros_like(own, dtype=bool), ~near.valid]),
            place,
            cell,
            around,
        )
        tensors = [torch.from_numpy(np.ascontiguousarray(array)).to(features.device) for array in arrays]
        return Views(features, features[:, None], *tensors, starts=batch.starts.tolist())

    def observe_tiles(self, tiles: Tensor) -> None:
        """Let the image network see the training tiles [s px px 3]."""
        self.own.observe(tiles)

    def with_tiles(self, geometry: Views, tiles: Tensor) -> Views:
        """The same spots, whose target view is made of tiles."""
        return replace(geometry, target=tiles)

    def forward(self, views: Views) -> Tensor:
        """Guesses [4 s g]: fused, target, neighbours, global."""
        target, others = self.own(views.target), self.others(views.features)  # [s t w], [s w]
        whole = self._whole(others, views)

        def read(rows: slice) -> Tensor:  # windows are 25 times the spots: never all at once
            return self._read(whole[rows], target[rows], others, views, rows)

        fused, window = by_rows(read, len(target), self.chunk)
        return torch.stack([head(state) for head, state in zip(self.heads, (fused, target.mean(1), window, whole))])

    def _read(self, whole: Tensor, target: Tensor, others: Tensor, views: Views, rows: slice) -> Tensor:
        """States of the fused views and of the window [2 s w], for some of the spots."""
        near, hidden = views.near[rows], views.hidden[rows]
        tokens = self.window(self.drop(others[near]), views.place[near], hidden)
        seen = (~hidden)[..., None].to(tokens.dtype)
        return torch.stack([self._fuse(whole, target, tokens, hidden), (tokens * seen).sum(1) / seen.sum(1)])

    def _whole(self, others: Tensor, views: Views) -> Tensor:
        """Global states [s w]: one block, positions, the other blocks."""
        mix = within_parts(views.starts)
        x = self.drop(others)[None]
        for number, block in enumerate(self.slide):
            x = block(x, mix)
            if number == 0:
                x = self.positions(x[0], views.cell, views.around)[None]
        return self.slide_norm(x[0])

    def _fuse(self, whole: Tensor, target: Tensor, tokens: Tensor, hidden: Tensor) -> Tensor:
        never = torch.zeros_like(tokens[..., 0]).masked_fill(hidden, -torch.inf)[:, None, None]
        by_target, by_window = whole[:, None], whole[:, None]
        for block in self.fusion:
            by_target = block(by_target, within_sets(never[..., :1]), target)
            by_window = block(by_window, within_sets(never), tokens)
        return self.fusion_norm(by_target + by_window)[:, 0]


def cells_around(place: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Occupied cells: the one of each spot [s], and the 3 x 3 around each of the c cells [9 c] (c: empty)."""
    width, height = int(place[:, 1].max()) + 3, int(place[:, 0].max()) + 3  # an empty rim keeps lines and parts apart
    key = (part * height + place[:, 0] + 1) * width + place[:, 1] + 1
    cells, cell = np.unique(key, return_inverse=True)
    around = []
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            wanted = cells + row * width + column
            row_of_cell = np.searchsorted(cells, wanted).clip(max=len(cells) - 1)
            around.append(np.where(cells[row_of_cell] == wanted, row_of_cell, len(cells)))
    return cell.reshape(-1), np.stack(around)
