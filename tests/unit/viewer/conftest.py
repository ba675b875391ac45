"""A prediction on a small drawn slide, and a page of it that is being served."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image as Picture

from eosin.types import ErrorBars, Footprints, GenePanel, Image, Outlines, Prediction, Spots
from eosin.types.gene_trust import GeneTrust
from eosin.types.likeness import Likeness
from eosin.viewer import Viewing, compose

HOSTILE = "<script>alert(1)</script>"
MPP = 0.5
SIZE_PX = (1500, 1100)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """1,500 x 1,100 pixels whose red grows to the right and whose green grows downwards."""
    width, height = SIZE_PX
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 250, width)[None]
    pixels[..., 1] = np.linspace(0, 250, height)[:, None]
    path = tmp_path / "slide.png"
    Picture.fromarray(pixels).save(path)
    return Image(path, MPP)


Make = Callable[..., Prediction]


@pytest.fixture
def make(image: Image) -> Make:
    """Predictions of 60 spots on the drawn slide."""

    def made(
        *, genes: tuple[str, ...] = ("ERBB2", "GATA3", HOSTILE), bars: bool = True, seed: int = 0, n: int = 60
    ) -> Prediction:
        rng = np.random.default_rng(seed)
        xy = rng.uniform(20, 500, (n, 2))
        draws = rng.normal(2, 1, (1 if bars else 5, n, len(genes))).astype(np.float32)
        error_bars = ErrorBars(np.full(len(genes), 0.5), np.array([0.05, 0.95]), np.array([-1.0, 1.5]), 0.0)
        return Prediction(
            HOSTILE,
            Spots(xy, 40.0, tuple(f"{HOSTILE}{i}" for i in range(n))),
            GenePanel(genes),
            draws,
            "ridge",
            seed,
            image,
            centre=draws.mean(0),
            error_bars=error_bars if bars else None,
            trust=GeneTrust(np.linspace(0.9, 0.0, len(genes)), np.full(len(genes), np.nan), "new patient"),
            likeness=Likeness(rng.uniform(0.5, 2, n), 1.5, 1.2),
        )

    return made


SQUARE = np.array([[-4, -4], [4, -4], [4, 4], [-4, 4]], np.float32)


def as_cells(plain: Prediction) -> tuple[Prediction, np.ndarray]:
    """A prediction without a slide whose spots are cells of 64 µm², and which of them have an outline (a square)."""
    n = len(plain.spots)
    has = np.arange(n) % 3 != 0
    corners = (plain.spots.xy_um[has][:, None] + SQUARE).reshape(-1, 2)
    outlines = Outlines(corners, np.concatenate([[0], np.cumsum(4 * has)]))
    spots = Spots(plain.spots.xy_um, 8.0, plain.spots.ids, Footprints(np.full(n, 64.0), outlines))
    return Prediction("cells", spots, plain.panel, plain.draws, "ridge", 0), has


@dataclass
class Asking:
    """Requests of a server, each on a connection of its own."""

    viewing: Viewing

    @property
    def port(self) -> int:
        return urlsplit(self.viewing.address).port or 0

    @property
    def token(self) -> str:
        return self.viewing.address.rpartition("=")[2]

    def __call__(
        self, path: str, *, method: str = "GET", token: str | None = "", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; the right token is added unless another one, or None, is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = self.token if token == "" else token
        if given is not None:
            path += f"{'&' if '?' in path else '?'}token={given}"
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


@pytest.fixture
def ask(make: Make) -> Iterator[Asking]:
    """A page that is being served."""
    with Viewing(compose(make(), others=[make(seed=1)])) as viewing:
        yield Asking(viewing)
