"""The contract of encoders, as a check that plug-ins can run too."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eosin.encoders.base import Encoder, View

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
        batch, equal features of different spots, an unstable key, an incomplete card, or a slide that changes the
        encoder itself or the key.
    """
    tiles = _tiles(encoder.views, seed)
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
    _check_slide(encoder, seed)
    _require(bool(encoder.key) and encoder.key == encoder.key, encoder, "has no stable key")
    _require(bool(encoder.views) and all(v.width_um > 0 and v.px > 0 for v in encoder.views), encoder, "has no views")
    _require(bool(encoder.card.name and encoder.card.licence), encoder, "has no name or licence on its card")


def _check_slide(encoder: Encoder, seed: int) -> None:
    """Show the encoder a slide, and one of which no window can be read."""
    if not encoder.slide_views:
        return
    windows, facts, tiles = (
        _tiles(encoder.slide_views, seed + 1),
        dict(encoder.slide_facts),
        _tiles(encoder.views, seed),
    )
    before = encoder.encode(tiles)
    made, again = encoder.for_slide(windows), encoder.for_slide(windows)
    _require(dict(made.slide_facts) == dict(again.slide_facts), encoder, "measures a slide otherwise the second time")
    numbers = [float(value) for value in made.slide_facts.values()]
    _require(bool(torch.isfinite(torch.tensor(numbers)).all()), encoder, "measures NaN or infinity on a slide")
    unread = encoder.for_slide([window[:0] for window in windows])
    for one in (made, unread):
        same = (one.key, one.views, one.n_features) == (encoder.key, encoder.views, encoder.n_features)
        _require(same, encoder, "has another key, other views or another width for a slide")
        _require(bool(torch.isfinite(one.encode(tiles)).all()), encoder, "gives NaN or infinity for a slide")
    unchanged = _close(encoder.encode(tiles).cpu(), before.cpu()) and dict(encoder.slide_facts) == facts
    _require(unchanged, encoder, "is changed by `for_slide`")


def _tiles(views: Sequence[View], seed: int) -> list[Tensor]:
    """Six spots: noise, smooth noise, and blank windows (white, black), which expose divisions by zero."""
    rng = torch.Generator().manual_seed(seed)
    tiles = []
    for view in views:
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
