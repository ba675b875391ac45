"""What several verbs can be told, each as one record: the command line, Python and the grid take the same ones.

A flag more is a field more, here: its name, its default and its line of help. Lists may be given as text by commas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eosin.errors import EosinError

DEFAULT_ENCODER = "stain+stain?tile_um=100,660"
"""Two members: a spot with its rim and its surroundings; and the spot closely, with its wider surroundings."""

UNITS = ("spots", "cells")


def names_of(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Names, from a sequence or from text by commas; None where none is given, or an empty text."""
    if isinstance(given, str):
        return tuple(name.strip() for name in given.split(",") if name.strip()) or None
    return None if given is None else tuple(given)


def panel_rule(genes: str | Path | Sequence[str]) -> str:
    """A rule of genes as text: a list of names is joined by commas."""
    return str(genes) if isinstance(genes, str | Path) else ",".join(genes)


def widths_of(given: str | float | Sequence[float] | None) -> tuple[float, ...] | None:
    """Widths in µm, from a number, several, or text by commas; None where nothing is given."""
    if given is None:
        return None
    widths = given.split(",") if isinstance(given, str) else [given] if isinstance(given, int | float) else given
    try:
        return tuple(float(width) for width in widths)
    except ValueError:
        raise EosinError(
            f"--tile-um is '{given}'", fix="give a width in µm, or several by commas, as 165,330"
        ) from None


@dataclass(frozen=True)
class ReadOptions:
    """How measured sections are read.

    Attributes
    ----------
    reader
        reader to use; by default the one that recognises the layout
    mpp
        µm per pixel at full resolution, for images that do not say it
    bin_um
        width of pseudo-spots, µm, for Visium HD and Xenium
    unit
        what is measured: `spots` (spots, bins or squares, as the platform has them), or `cells` of Xenium and Visium HD
    library
        column of obs that says of which library (section) a spot is, for an AnnData of several
    positions_um
        positions of an AnnData are µm, not pixels
    patient
        whose sections or slide these are, where files do not say it; by default each section is a patient of its own
    gene_names
        call genes by `symbol` or `ensembl`, as the files tell or by the gene table
    gene_table
        table of symbol, ensembl_id, aliases, previous, species
    duplicates
        columns of one gene name: `sum` or `refuse`
    sections
        only these sections, by commas, in this order; all by default
    """

    reader: str | None = None
    mpp: float | None = None
    bin_um: float | None = None
    unit: str = "spots"
    library: str | None = None
    positions_um: bool = False
    patient: str | None = None
    gene_names: str | None = None
    gene_table: str | Path | None = None
    duplicates: str = "sum"
    sections: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sections", names_of(self.sections))
        if self.unit not in UNITS:
            raise EosinError(f"--unit is '{self.unit}'", fix=f"give {' or '.join(UNITS)}")
        if self.unit == "cells" and self.bin_um is not None:
            problem = f"--unit cells takes every cell by itself, and --bin-um {self.bin_um:g} pools them to squares"
            raise EosinError(problem, fix="leave one of them out")


@dataclass(frozen=True)
class FeatureOptions:
    """Where the features of spots come from.

    Attributes
    ----------
    features
        folder of feature files; what is missing is encoded into the user's cache (`EOSIN_CACHE`) without it
    encoder
        `stain` needs no weights, and by default stands twice, with windows of 165 and 330 and of 100 and 660 µm;
        `timm:ARCH@WEIGHTS.safetensors` is any timm model (see: eosin list encoders); `A+B` is both side by side
    tile_um
        the encoder's field of view, µm, or several by commas; its own by default. It is not the width of a spot
    symmetries
        also encode every tile under its seven flips and quarter turns, for --train.augment; completes what is done
    device
        where to encode: `auto` (all GPUs, for an encoder with weights), or `cpu`, `cuda:0`, several by commas
    precision
        `float16` or `bfloat16` for encoders with weights; `float32` by default
    commercial_only
        refuse what is not known to be licensed for commercial use
    match
        how tiles of --features are put onto spots: `exact` (one at every spot), `nearest`, or `overlap` (mean by area):
        for grids of TRIDENT, CLAM and others
    match_um
        largest distance of a spot's centre from that of its tile, µm, with --match; by default they must touch
    """

    features: str | Path | None = None
    encoder: str | Any = DEFAULT_ENCODER
    tile_um: str | float | Sequence[float] | None = None
    symmetries: bool = False
    device: str = "auto"
    precision: str | None = None
    commercial_only: bool = False
    match: str = "exact"
    match_um: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tile_um", widths_of(self.tile_um))


@dataclass(frozen=True)
class PanelOptions:
    """Which genes a model predicts, and on which scale.

    Attributes
    ----------
    genes
        panel: `var:50` (the default), `hvg:50`, `hmhvg:200`, a file, names by commas, or a union by `+`
    transform
        scale of the values: `log1p`, `log1p_cp10k` or `log2p1`
    missing_genes
        named genes that a section lacks: `refuse`, or `skip` to leave them out
    """

    genes: str | Sequence[str] = "var:50"
    transform: str = "log1p"
    missing_genes: str = "refuse"

    def __post_init__(self) -> None:
        object.__setattr__(self, "genes", panel_rule(self.genes))


@dataclass(frozen=True)
class DrawOptions:
    """How a section is predicted.

    Attributes
    ----------
    draws
        Samples from the model, of which the mean is taken; error bars do not depend on how many there are.
    seed
        Of the draws: the same seed gives the same draws.
    keep_draws
        Write every draw as well, as `obsm["draws"]` [s k g].
    memory
        Memory that a prediction may take, GiB. A larger section is predicted in pieces, with the same result.
    strict
        Refuse a slide that is unlike the training slides.
    calibration
        What `eosin calibrate` wrote: its intervals and verdicts in the place of the model's own.
    """

    draws: int = 16
    seed: int = 0
    keep_draws: bool = False
    memory: float = 4.0
    strict: bool = False
    calibration: str | Path | None = None


@dataclass(frozen=True)
class ScoreOptions:
    """What a score is asked for, the same for every prediction.

    Attributes
    ----------
    scale
        scale of another tool's values: `log1p`, `log1p_cp10k`, `log2p1` or `counts`; it is never guessed
    biomarkers
        genes to score by name, by commas; by default GATA3,ERBB2,UBE2C,VWF where the panel has one
    pathways
        .gmt file of gene sets whose co-expression is compared
    """

    scale: str | None = None
    biomarkers: str | Sequence[str] | None = None
    pathways: str | Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "biomarkers", names_of(self.biomarkers))


@dataclass(frozen=True)
class CohortOptions:
    """How the slides of a cohort are shared out.

    Attributes
    ----------
    on
        where slides of a cohort are done: `here`, `processes:N` for N at a time, or `ray`, `ray:ADDRESS` for a cluster
    shard
        only part i of N of a cohort's slides, as 1/4: for arrays of jobs on a cluster, all with the same OUT
    """

    on: str = "here"
    shard: str | None = None


@dataclass(frozen=True)
class StartOptions:
    """How a training run starts.

    Attributes
    ----------
    resume
        continue the run that lies in OUT, to the same weights as if it had not been stopped
    overwrite
        replace the trained model that lies in OUT
    on
        `here`, or `torchrun`: a process for each GPU of this machine, `torchrun:N` for N; they share the batches of
        each step out (--train.accumulate), and the weights are those of one process with as many batches
    """

    resume: bool = False
    overwrite: bool = False
    on: str = "here"


@dataclass(frozen=True)
class LayoutOptions:
    """Where spots are laid on a bare image.

    Attributes
    ----------
    lattice
        spots of a bare image: `square` or `hexagonal`, as Visium's
    pitch_um
        distance of the spots of a bare image, µm
    spot_um
        width of the spots of a bare image, µm; by default their distance
    points
        spots of a bare image: table with x,y (px) or x_um,y_um and id, or GeoJSON Points
    tissue
        GeoJSON mask of a bare image's tissue; else it is found
    """

    lattice: str | Any = "square"
    pitch_um: float = 100.0
    spot_um: float | None = None
    points: str | Path | None = None
    tissue: str | Path | None = None


@dataclass(frozen=True)
class BenchSettings:
    """How models are compared, whichever they are.

    Attributes
    ----------
    genes
        panel, chosen on training sections: `var:50` (the default), `hvg:50`, `hmhvg:200`, a file, names by commas, or a
        union by `+`
    transform
        scale of the values: `log1p` (the default), `log1p_cp10k` or `log2p1`
    missing_genes
        named genes that a training section lacks: `refuse`, or `skip` to leave them out
    split
        `leave-section-out` (the default) or `leave-patient-out`, of all or of some as leave-section-out(C2,C3,C4); or
        train:test, as C2,C3,C4,C5:C6; several by `;`
    protocol
        name of a protocol (see: eosin list protocols) or a .toml file, instead of split, genes and transform; NAME@HASH
        insists on its content
    seeds
        trainings of each model, with seeds 0, 1, ...
    draws
        samples of each prediction
    allow_leak
        go on where test data is known before the test; every result is stamped with it
    keep_predictions
        also write every prediction as .h5ad into OUT
    biomarkers
        genes to score by name, by commas; by default GATA3,ERBB2,UBE2C,VWF where the panel has one
    pathways
        .gmt file of gene sets whose co-expression is compared
    workers
        cells that run at a time, each in a process of its own; the times that are noted then disturb one another
    on
        where cells run, instead of workers: `here` in one process after another, `processes:N`, or `ray`,
        `ray:ADDRESS` for a cluster
    shard
        only part i of N of the cells, as 1/4: for arrays of jobs on a cluster, all with the same OUT; what is there of
        all parts stands in OUT/scores.json
    """

    genes: str | Sequence[str] | None = None
    transform: str | None = None
    missing_genes: str = "refuse"
    split: str | None = None
    protocol: str | Path | None = None
    seeds: int = 1
    draws: int = 16
    allow_leak: bool = False
    keep_predictions: bool = False
    biomarkers: str | Sequence[str] | None = None
    pathways: str | Path | Mapping[str, Sequence[str]] | None = None
    workers: int = 1
    on: str | None = None
    shard: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "biomarkers", names_of(self.biomarkers))
        object.__setattr__(self, "genes", None if self.genes is None else panel_rule(self.genes))
