"""The compiled resize is Pillow's, bit for bit; where it were not, Pillow does it."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.slide import resize
from eosin.slide.resize import resize_of_many, resized


def test_windows_are_those_of_pillow() -> None:
    many, rng = resize_of_many(), np.random.default_rng(0)
    assert many is not resized
    for _ in range(80):
        px, (more_rows, more_columns) = int(rng.integers(1, 130)), rng.integers(0, 3, 2)
        side = float(rng.uniform(0.4, 4)) * px
        margin = int(np.ceil(3 * max(side / px, 1)))
        n = int(np.ceil(side)) + 2 * margin
        pixels = rng.integers(0, 256, (n + more_rows, n + more_columns, 3), np.uint8)
        if rng.random() < 0.3:
            pixels = np.where(pixels > 128, 255, 0).astype(np.uint8)  # sums that leave 0 to 255
        left, top = rng.uniform(0, 1, 2) * rng.choice([0, margin])  # also cut off at the border
        box, size_px = (left, top, left + side, top + side), (px, px)
        np.testing.assert_array_equal(many(pixels, box, size_px), resized(pixels, box, size_px))
    long = rng.integers(0, 256, (255, 192, 3), np.uint8)
    given = long, (57.6, 73.4, 95.9, 135.1), (77, 8)
    np.testing.assert_array_equal(many(*given), resized(*given))


def test_where_pillow_gives_something_else_pillow_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    resize_of_many.cache_clear()
    real = resize._compiled
    monkeypatch.setattr(resize, "_compiled", lambda *given: real(*given) ^ 1)
    assert resize_of_many() is resized
    resize_of_many.cache_clear()
