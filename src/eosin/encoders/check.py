"""The contract of encoders, as a check that plug-ins can run too."""

from __future__ import annotations

import torch
from torch import Tensor

from eosin.encoders.base import Encoder

_TOLERANCE = 1e-5


def check_encoder(encoder: Encoder, *, seed: int = 0) -> None:
    """Run the contract of `Encoder` on random and blank windows.

    Parameters
    ----------
    encoder
        The encoder to check.
    seed
        Seed of the random windows.

    Raises
    ------
    ValueError
        It breaks the contract: wrong shape or type, NaN, numbers that change from run to run or with the rest of the
        batch, equal features of different spots, an unstable key, or an incomplete card.
    """
    tiles = _tiles(encoder, seed)
    before = [tile.clone() for tile in tiles]
    values = encoder.encode(tiles).cpu()
    _require(
        values.shape == (len(tiles[0]), encoder.n_features) and values.dtype == torch.float32,
        encoder,
        f"gives {tuple(values.shape)} {values.dtype}, its card says [b {encoder.n_features}] float32",
    )
    _require(bool(torch.isfinite(values).all()), encoder, "gives NaN or infinity")
    _require(all(torch.equal(a, b) for a, b in zip(tiles, before)), encoder, "changes the windows it is given")
    _require(_close(encoder.encode(tiles).cpu(), values), encoder, "gives other numbers the second time")
    for row in range(len(values)):
        alone = encoder.encode([tile[row : row + 1] for tile in tiles]).cpu()
        _require(_close(alone, values[row : row + 1]), encoder, "gives other numbers alone than in a batch")
    reversed_back = encoder.encode([tile.flip(0) for tile in tiles]).cpu().flip(0)
    _require(_close(reversed_back, values), encoder, "gives other numbers in another order of the batch")
    _require(float((values[0] - values[1]).abs().max()) > 0, encoder, "gives two different spots the same features")
    _require(bool(encoder.key) and encoder.key == encoder.key, encoder, "has no stable key")
    _require(bool(encoder.views) and all(v.width_um > 0 and v.px > 0 for v in encoder.views), encoder, "has no views")
    _require(bool(encoder.card.name and encoder.card.licence), encoder, "has no name or licence on its card")


def _tiles(encoder: Encoder, seed: int) -> list[Tensor]:
    """Six spots: noise, smooth noise, and blank windows (white, black), which expose divisions by zero."""
    rng = torch.Generator().manual_seed(seed)
    tiles = []
    for view in encoder.views:
        noise = torch.randint(0, 256, (2, view.px, view.px, 3), generator=rng, dtype=torch.uint8)
        coarse = torch.rand(2, 3, 8, 8, generator=rng) * 255
        smooth = torch.nn.functional.interpolate(coarse, size=(view.px, view.px), mode="bilinear")
        blank = torch.stack([torch.full((view.px, view.px, 3), v, dtype=torch.uint8) for v in (255, 0)])
        tiles.append(torch.cat([noise, smooth.permute(0, 2, 3, 1).to(torch.uint8), blank]))
    return tiles


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.all((a - b).abs() <= _TOLERANCE * (1 + b.abs())))


def _require(holds: bool, encoder: Encoder, fault: str) -> None:  # noqa: FBT001
    if not holds:
        raise ValueError(f"encoder '{encoder.card.name}' {fault}")
