"""The compiled statistics of `stain` are those of its plain version, whatever the window shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eosin.encoders import get_encoder
from eosin.encoders.parts import map_statistics, window_filters, window_kernels
from eosin.encoders.stain import Stain


def windows(px: int) -> np.ndarray:
    """Tissue-like blotches, noise, white, black, one colour, a step and stripes, uint8 [7 px px 3]."""
    rng = np.random.default_rng(px)
    coarse = np.kron(rng.random((px // 8 + 1, px // 8 + 1)), np.ones((8, 8)))[:px, :px, None]
    tissue = np.clip(coarse * [140, 80, 160] + (1 - coarse) * [230, 190, 215] + rng.normal(0, 9, (px, px, 3)), 0, 255)
    step, stripes = np.full((px, px, 3), 240), np.full((px, px, 3), 90)
    step[:, px // 3 :], stripes[:, ::3] = (120, 60, 140), (210, 150, 190)
    plain = [np.full((px, px, 3), value) for value in (255, 0)] + [np.full((px, px, 3), (170, 90, 180))]
    return np.stack([tissue, rng.integers(0, 256, (px, px, 3)), *plain, step, stripes]).astype(np.uint8)


@pytest.mark.parametrize("settings", ["", "?version=1", "?px=97", "?tile_um=60,700&px=96"])
def test_compiled_statistics_are_the_plain_ones(settings: str) -> None:
    encoder = get_encoder(f"stain{settings}")
    assert isinstance(encoder, Stain)
    tiles = [torch.from_numpy(windows(view.px)) for view in encoder.views]
    adapted = encoder.for_slide([tiles[0][:1]])
    plain = torch.cat([adapted._plain(tile, view) for tile, view in zip(tiles, adapted.views)], 1)
    found = adapted.encode(tiles)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, plain, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("shape", [(33, 40), (17, 17)])
def test_decisions_are_the_same_to_the_last_bit(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    x = rng.random(shape, np.float32)
    for sigma in (0.8, 2.0):
        weights = np.array(map_statistics.blur_weights(sigma), np.float32)
        found = np.empty_like(x)
        window_filters._blurred(x, weights, np.empty_like(x), found)
        np.testing.assert_array_equal(found, map_statistics.blur(torch.from_numpy(x)[None, None], sigma)[0, 0])
    for size in (2, 3, 5, 11, 21):
        found, room = np.empty_like(x), np.empty((shape[0] + size) * (shape[1] + size), np.float32)
        window_filters._extreme(x, size, True, room, np.empty_like(room), found)
        np.testing.assert_array_equal(found, map_statistics.dilate(torch.from_numpy(x)[None, None], size)[0, 0])
    half, light = np.empty((1, shape[0] // 2, shape[1] // 2), np.float32), rng.integers(0, 765, (1, *shape), np.int16)
    window_kernels.halved(x[None], half)
    np.testing.assert_array_equal(half, map_statistics.halve(torch.from_numpy(x)[None]))
    pairs = np.empty(half.shape, np.int16)
    window_kernels.summed_pairs(light, pairs)
    np.testing.assert_array_equal(pairs, map_statistics.pair_sum(torch.from_numpy(light)))


def test_windows_do_not_depend_on_their_batch() -> None:
    encoder = get_encoder("stain?px=96")
    tiles = [torch.from_numpy(windows(96))] * 2
    one_by_one = torch.cat([encoder.encode([tile[i : i + 1] for tile in tiles]) for i in range(len(tiles[0]))])
    assert torch.equal(encoder.encode(tiles), one_by_one)
