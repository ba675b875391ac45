"""The eight symmetries of a square tile: unchanged, and seven flips, quarter turns and transpositions.

Tissue has no upright, and none of these distorts the image. Stem (Zhu et al., ICLR 2025) trains on tiles under them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

UNTURNED = "as-it-lies"
"""Name of the identity; journals of unfinished encodings hold it."""

TURNS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "flip-x": lambda tile: tile.flip(2),
    "flip-y": lambda tile: tile.flip(1),
    "quarter": lambda tile: tile.rot90(1, (1, 2)),
    "half": lambda tile: tile.rot90(2, (1, 2)),
    "three-quarters": lambda tile: tile.rot90(3, (1, 2)),
    "transpose": lambda tile: tile.transpose(1, 2),
    "transverse": lambda tile: tile.rot90(2, (1, 2)).transpose(1, 2),
}
"""The seven others by name, in the order of the rows in a feature file: tiles [b px px c] -> tiles [b px px c]."""


def turn(tiles: Sequence[Tensor], name: str) -> list[Tensor]:
    """All windows of a batch of spots under one symmetry.

    Parameters
    ----------
    tiles
        One tensor [b px px 3] per view.
    name
        `UNTURNED`, or a name in `TURNS`.

    Returns
    -------
    list
        Tensors of the same shapes, contiguous in memory.
    """
    return list(tiles) if name == UNTURNED else [TURNS[name](tile).contiguous() for tile in tiles]
