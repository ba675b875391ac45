"""Windows that overlap are cut out of shared blocks: the same pixels, each decoded once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.slide import blocks, open_slide, reading_order
from eosin.slide.blocks import Blocks, worth_sharing
from eosin.slide.source import Level
from unit.slide import pictures


class Counted:
    """Pixels that say where they are; counts what is asked for. Everything that touches `bad` is damaged."""

    library = "none"

    def __init__(self, width: int = 300, height: int = 200, bad: tuple[int, int] | None = None, seconds: float = 0):
        self.levels = (Level(width, height, 1.0), Level(width // 2, height // 2, 2.0))
        rng = np.random.default_rng(0)
        self.pixels = [rng.integers(0, 255, (one.height, one.width, 3), np.uint8) for one in self.levels]
        self.bad, self.seconds, self.asked, self._lock = bad, seconds, [], threading.Lock()

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        with self._lock:
            self.asked.append((level, x, y, width, height))
        time.sleep(self.seconds)
        assert min(x, y) >= 0 and x + width <= self.levels[level].width and y + height <= self.levels[level].height
        if self.bad is not None and x <= self.bad[0] < x + width and y <= self.bad[1] < y + height:
            raise EosinError("damaged", fix="copy it again")
        return self.pixels[level][y : y + height, x : x + width]

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_PX", 64)


BLOCK_BYTES = 3 * 64 * 64


def boxes(n: int = 200, seed: int = 1) -> list[tuple[int, int, int, int, int]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        level = int(rng.integers(2))
        width, height = (int(v) for v in rng.integers(1, 90, 2))
        x, y = int(rng.integers(0, (300 >> level) - width + 1)), int(rng.integers(0, (200 >> level) - height + 1))
        found.append((level, x, y, width, height))
    return found


@pytest.mark.parametrize("n_kept", [1, 4, 1000])
def test_every_rectangle_is_what_the_source_gives(n_kept: int) -> None:
    """Also at the edge, where blocks are smaller, across blocks, and when blocks are forgotten at once."""
    source = Counted()
    shared = Blocks(source, n_kept * BLOCK_BYTES)
    for level, x, y, width, height in boxes():
        got = shared.region(level, x, y, width, height)
        np.testing.assert_array_equal(got, source.pixels[level][y : y + height, x : x + width])
        assert len(shared._kept) <= n_kept


def test_a_block_is_read_once_however_many_ask() -> None:
    source = Counted(seconds=0.002)
    shared = Blocks(source, 1000 * BLOCK_BYTES)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda box: shared.region(*box), boxes(300)))
    assert len(source.asked) == len(set(source.asked)) <= 5 * 4 + 3 * 2


def test_a_damaged_place_harms_only_the_windows_that_hold_it() -> None:
    shared = Blocks(Counted(bad=(100, 100)), 1000 * BLOCK_BYTES)
    np.testing.assert_array_equal(shared.region(0, 64, 64, 20, 20), Counted().pixels[0][64:84, 64:84])
    with pytest.raises(EosinError, match="damaged"):
        shared.region(0, 90, 90, 20, 20)


def test_shared_windows_equal_those_read_one_by_one(tmp_path: Path) -> None:
    path = pictures.save_pyramid(tmp_path / "s.tif", pictures.painted(800, 600, 0.25), 0.25)
    xy = np.stack(np.meshgrid(np.arange(0, 200, 12.0), np.arange(0, 150, 12.0)), -1).reshape(-1, 2)
    for width_um, px in ((30.0, 48), (60.0, 40)):
        with open_slide(path) as slide:
            shared = slide.sharing(xy, width_um, px)
            assert shared is not slide
            for centre in xy:
                np.testing.assert_array_equal(shared.read(centre, width_um, px), slide.read(centre, width_um, px))
        with pytest.raises(ValueError, match="closed"):
            shared.read(xy[0], width_um, px)


def test_windows_far_apart_and_images_in_memory_are_read_as_they_are(tmp_path: Path) -> None:
    pixels = pictures.painted(800, 600, 0.25)
    far = np.array([[20.0, 20.0], [180.0, 130.0]])
    with open_slide(pictures.save_pyramid(tmp_path / "s.tif", pixels, 0.25)) as slide:
        assert slide.sharing(far, 4.0, 16) is slide
        assert slide.sharing(np.empty((0, 2)), 4.0, 16) is slide
    with open_slide(pictures.save_image(tmp_path / "s.png", pixels), mpp=0.25) as slide:
        assert slide.sharing(np.full((50, 2), 60.0), 30.0, 16) is slide


@pytest.mark.parametrize("width", [5.0, 64.0, 130.0, 400.0])
def test_sharing_is_worth_it_where_blocks_hold_fewer_pixels(width: float) -> None:
    corners = np.random.default_rng(2).uniform(0, 2000, (60, 2))
    held = {
        (i, j)
        for x, y in corners
        for i in range(int(x // 64), int((x + width) // 64) + 1)
        for j in range(int(y // 64), int((y + width) // 64) + 1)
    }
    assert worth_sharing(corners, width) == (len(held) * 64**2 < 60 * width**2)


def test_neighbours_follow_one_another_in_whatever_order_they_come() -> None:
    xy = np.stack(np.meshgrid(np.arange(40.0), np.arange(30.0)), -1).reshape(-1, 2) * 20
    order = reading_order(xy, 0.5)
    mixed = np.random.default_rng(3).permutation(len(xy))
    np.testing.assert_array_equal(xy[mixed][reading_order(xy[mixed], 0.5)], xy[order])
    assert sorted(order) == list(range(len(xy)))
    seen, kept, again = set(), [], 0
    for x, y in xy[order] // 32:  # blocks of 32 µm, strips of 8 blocks: of 25 blocks in a row it is enough to keep 12
        again += (x, y) in seen and (x, y) not in kept
        seen.add((x, y))
        kept = [*(one for one in kept if one != (x, y)), (x, y)][-12:]
    assert again == 0 and len(seen) == 25 * 19
