"""What a protocol file says: a record for each of its tables, and `Protocol` for the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from eosin.config import Settings


class SplitTable(Settings):
    """Which sections are trained, validated and tested on."""

    rule: str = Field(
        description="a rule of --split, or hold-out (test sections named), random (by shares), files (of the data)"
    )
    test: tuple[str, ...] = Field((), description="for hold-out: names or patterns of the test sections, any spelling")
    shares: tuple[float, float, float] = Field(
        (0.7, 0.2, 0.1), description="for random: shares of the sections to train, validate and test on"
    )
    origin: Literal["published", "generated"] = Field(description="whether the authors named the sections, or we do")
    note: str = Field("", description="what was published, and what was chosen where nothing was")


class PanelTable(Settings):
    """Which genes are predicted, and how they are chosen."""

    rule: str = Field("", description="as --genes; or empty where a file is given")
    file: str = Field("", description="file of the data folder that lists the genes")
    chosen_on: Literal["train", "all"] = Field("train", description="sections that were looked at for the choice")
    note: str = Field("", description="how the authors chose theirs")


class SelectionTable(Settings):
    """What chooses the epoch of a model that is trained by steps."""

    on: Literal["inner", "validation", "test"] = Field(
        "inner", description="what chooses the epoch: groups inside training, the split's validation, or the test"
    )
    candidates: int = Field(4, ge=1, description="epochs to choose from, evenly up to the setting's")


class ScoreTable(Settings):
    """Which metrics are shown, and how the headline is pooled."""

    metrics: tuple[str, ...] = Field(("pcc.mean", "mse"), description="keys of the metrics to show, the headline first")
    pooling: Literal["section", "spots"] = Field(
        "section", description="whether the headline is a mean over sections, or over the spots of all of them"
    )


class ClaimTable(Settings):
    """What the protocol claims; a split that breaks a claim is a leak."""

    unseen_patients: bool = Field(False, description="no patient is on both sides; refused where one is")


class Head(Settings):
    """The lines of a protocol file outside its tables."""

    name: str = Field(description="its name")
    version: int = Field(ge=1, description="raised whenever the file changes what is computed")
    about: str = Field(description="one line")
    source: str = Field("", description="paper, and where in it")
    sections: tuple[str, ...] = Field(("*",), description="names or patterns of the sections that take part")
    transform: str = Field("log1p", description="scale of the values")
    models: tuple[str, ...] = Field((), description="models to run where none are named, the probes of the source")
    scaling: Literal["train"] = Field("train", description="sections on which features and targets are scaled")


@dataclass(frozen=True)
class Protocol:
    """One protocol file, read and checked; `sha256` is of the file's bytes."""

    head: Head
    split: SplitTable
    panel: PanelTable
    selection: SelectionTable
    score: ScoreTable
    claims: ClaimTable
    sha256: str

    @property
    def name(self) -> str:
        """The protocol's name, as `her2st/stem`."""
        return self.head.name

    def stamp(self) -> dict[str, Any]:
        """What every result carries."""
        return {
            "name": self.name,
            "version": self.head.version,
            "sha256": self.sha256,
            "split": self.split.origin,
            "selection": self.selection.on,
            "unseen_patients": self.claims.unseen_patients,
            "metrics": list(self.score.metrics),
            "pooling": self.score.pooling,
        }
