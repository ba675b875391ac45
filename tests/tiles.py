"""Toy sections whose spots have tiles: the colours of a tile's quarters say the spot's features."""

from __future__ import annotations

import numpy as np

import toy
from eosin.engine.train import gather
from eosin.genes import choose_panel
from eosin.models import Training
from eosin.types import Features, Section

PX = 8


def with_tiles(section: Section, *, features: bool = True) -> Section:
    """The section with the pixels of its tiles behind its features, or alone."""
    own = section.need_features().values  # 12 features: 2 x 2 quarters of 3 colours
    colours = np.clip(128 + 40 * own, 0, 255).reshape(-1, 2, 2, 3)
    tiles = colours.repeat(PX // 2, 1).repeat(PX // 2, 2)
    tiles = np.clip(tiles + np.random.default_rng(0).normal(0, 5, tiles.shape), 0, 255).round()
    pixels = tiles.reshape(len(section), -1)
    values = np.hstack([own, pixels]) if features else pixels
    return section.with_features(Features(values.astype(np.float32), "toy+pixels", f"toy+pixels-{features}"))


def cohort(n: int = 60, *, features: bool = True) -> list[Section]:
    return [with_tiles(section, features=features) for section in toy.cohort(n)]


def training(n: int = 60, genes: str = "var:6", *, features: bool = True) -> Training:
    sections = cohort(n, features=features)
    return gather(sections, choose_panel(genes, sections))
