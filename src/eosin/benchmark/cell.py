"""One cell of a grid: what it is called, what it is asked, and the job that computes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eosin.benchmark.protocol_tables import Protocol, SelectionTable
from eosin.data.splits import Split
from eosin.metrics.gene_lists import USUAL, GeneLists
from eosin.storage.files import fingerprint
from eosin.types import GenePanel, Prediction

Save = Callable[[Prediction, Path], None]
"""Writes one prediction to a file."""
Tables = Mapping[str, Mapping[str, Any]]
"""A model's settings: tables `model` and `train`."""


@dataclass(frozen=True)
class GridSettings:
    """What every cell of a grid is asked, with names and files of the user resolved to objects.

    Attributes
    ----------
    genes
        A rule, applied to each split's training sections, or a panel.
    transform
        Scale of the values.
    seeds
        Trainings of each model, with seeds 0, 1, ...
    draws
        Samples of each prediction.
    protocol
        What stands behind splits and genes; stamped into every cell, and its selection rule and claims hold.
    allow_leak
        Go on where test data is known before the test, and stamp every result with it.
    lists
        Biomarkers and pathways to score by name.
    """

    genes: str | GenePanel = "var:50"
    transform: str = "log1p"
    seeds: int = 1
    draws: int = 16
    protocol: Protocol | None = None
    allow_leak: bool = False
    lists: GeneLists = USUAL

    @property
    def selection(self) -> SelectionTable:
        """How the epoch is chosen: as the protocol says, else on an inner part of the training sections."""
        return SelectionTable.of({}) if self.protocol is None else self.protocol.selection


@dataclass(frozen=True)
class Cell:
    """One model, trained once and judged on the test sections of one split."""

    model: str
    encoder: str
    split: Split
    seed: int

    @property
    def name(self) -> str:
        """Model, encoder, split and seed, for logs."""
        return f"{self.model} {self.encoder} {self.split.name} seed {self.seed}"

    @property
    def stem(self) -> str:
        """Its name as a file name, unique also where two names differ in signs only."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.name) + f"-{fingerprint(self.name)[:6]}"


@dataclass(frozen=True)
class Keeping:
    """How and where the predictions of a cell are kept.

    Attributes
    ----------
    save
        Writes one prediction; none is kept if it is None.
    files
        One for each test section.
    stamps
        Split, leaks and protocol: what a kept prediction says of where it comes from.
    """

    save: Save | None = None
    files: tuple[Path, ...] = ()
    stamps: Mapping[str, Any] = field(default_factory=dict)

    def complete(self) -> bool:
        """Whether every prediction that is to be kept is there."""
        return self.save is None or all(path.is_file() for path in self.files)
