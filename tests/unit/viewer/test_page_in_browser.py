"""The page in a browser without a window; left out where there is none."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from eosin.viewer import Viewing, compose, write_folder
from unit.viewer.conftest import HOSTILE, Make

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: the page was not opened")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--enable-logging=stderr"),
)


@dataclass(frozen=True)
class Opened:
    """What a page held and looked like when it was done."""

    dom: str
    log: str
    pixels: np.ndarray

    @property
    def faults(self) -> list[str]:
        return [line for line in self.log.splitlines() if "CONSOLE" in line]


def opened(address: str, folder: Path, size: tuple[int, int] = (1200, 800)) -> Opened:
    picture = folder / "picture.png"
    flags = [*FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={size[0]},{size[1]}"]
    timing = "--virtual-time-budget=12000"
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, *flags, timing, f"--screenshot={picture}", "--dump-dom", address],
        capture_output=True,
        text=True,
        timeout=120,
    )
    pixels = np.asarray(Picture.open(picture).convert("RGB")).astype(int) if picture.exists() else np.zeros((1, 1, 3))
    return Opened(done.stdout, done.stderr, pixels)


def share_of_spots(pixels: np.ndarray) -> float:
    """Share of pixels in the blue-green and yellow of the values: the drawn slide has no blue."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return float(((blue > 90) & (green - red > 40)).mean())


def test_a_folder_opens_from_the_disk(make: Make, tmp_path: Path) -> None:
    with closing(compose(make(), others=[make(seed=1)])) as scene:
        page = write_folder(scene, tmp_path / "view")
    seen = opened(page.as_uri(), tmp_path)
    assert seen.faults == []
    assert 'data-gene="ERBB2"' in seen.dom and "One interval for all spots of this gene" in seen.dom
    assert share_of_spots(seen.pixels) > 0.002


def test_a_served_page_shows_names_as_text(make: Make, tmp_path: Path) -> None:
    with Viewing(compose(make(bars=False))) as viewing:
        seen = opened(viewing.address, tmp_path)
    assert seen.faults == []
    assert 'data-gene="ERBB2"' in seen.dom
    body = re.sub(r"<script defer[^>]*></script>", "", seen.dom)
    assert "<script" not in body.partition("<body")[2] and html.escape(HOSTILE, quote=False) in body
    assert share_of_spots(seen.pixels) > 0.002


def test_a_page_without_slide_and_a_page_for_a_telephone(make: Make, tmp_path: Path) -> None:
    from dataclasses import replace

    with closing(compose(replace(make(n=1), image=None))) as scene:
        page = write_folder(scene, tmp_path / "view")
    seen = opened(page.as_uri(), tmp_path, (420, 1400))
    assert seen.faults == [] and "no slide" in seen.dom and 'data-gene="ERBB2"' in seen.dom
