"""The eight ways to lay a square tile: as it lies, and under seven flips, quarter turns and transpositions.

Tissue has no upright. Stem (Zhu et al., ICLR 2025) trains on tiles turned in these ways, since none distorts the image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

AS_IT_LIES = "as-it-lies"

TURNS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "flip-x": lambda tile: tile.flip(2),
    "flip-y": lambda tile: tile.flip(1),
    "quarter": lambda tile: tile.rot90(1, (1, 2)),
    "half": lambda tile: tile.rot90(2, (1, 2)),
    "three-quarters": lambda tile: tile.rot90(3, (1, 2)),
    "transpose": lambda tile: tile.transpose(1, 2),
    "transverse": lambda tile: tile.rot90(2, (1, 2)).transpose(1, 2),
}
"""The seven by name, in the order of the rows of a feature file: tiles [b px px c] -> turned tiles [b px px c]."""


def turn(tiles: Sequence[Tensor], name: str) -> list[Tensor]:
    """All windows of a batch of spots, one [b px px 3] per view, turned alike and laid out as if read so."""
    return list(tiles) if name == AS_IT_LIES else [TURNS[name](tile).contiguous() for tile in tiles]
