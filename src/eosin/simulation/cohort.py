"""Synthetic tissue: drawn H&E sections with gene expression whose causes are known.

For the demo, the tests and the methods' own questions ("does the model find what is there, and no more?"). A gene's
expected count at a spot is `library * exp(base + morphology + neighbour + hidden)`: what the picture shows there, what
the surrounding spots are doing, and what no picture tells (a smooth field, and clones that look alike but come in two
states). Counts are zero-inflated negative binomial around it. Every part is kept as `Truth`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from scipy import sparse

from eosin.config import Settings
from eosin.data.readers.native import write_sections
from eosin.geometry import neighbours
from eosin.progress import task
from eosin.simulation.tissue_field import GRID_UM, sample, shrink, smooth_field
from eosin.simulation.tissue_image import Look, render
from eosin.simulation.tissue_layout import MORPHOLOGY, Tissue, draw_tissue
from eosin.slide.lattice import HexagonalLattice, SquareLattice
from eosin.slide.tissue import Tissue as Mask
from eosin.storage.files import atomic_file
from eosin.types import Image, Section, Spots

ROLES = (*MORPHOLOGY, "neighbour", "hidden", "clone", "flat", "silent")
_SHARES = (8, 6, 8, 7, 5, 9, 6, 6, 3, 2)  # of 60 genes
_NAMES = ("GLND", "NUCL", "IMMU", "FIBR", "FATT", "NEIB", "HIDE", "CLON", "FLAT", "SLNT")


class TissueSettings(Settings):
    """What synthetic tissue is like. The defaults are the demo: 5 sections of 3 patients, about 300 spots each."""

    n_sections: int = Field(5, ge=1, le=676, description="sections")
    n_patients: int = Field(3, ge=1, le=26, description="patients; sections go round them in turn")
    size_um: float = Field(2000.0, ge=400, le=20_000, description="width and height of the image, µm")
    mpp: float = Field(1.0, ge=0.2, le=4, description="µm per pixel of the image")
    pitch_um: float = Field(100.0, ge=20, description="distance between spots, µm")
    diameter_um: float = Field(100.0, ge=5, description="width of a spot, µm; what it measures")
    jitter_um: float = Field(4.0, ge=0, description="sd of the spots' displacement, µm; 0 is an exact lattice")
    hexagonal: bool = Field(False, description="hexagonal lattice, as Visium; else square, as ST")
    n_genes: int = Field(60, ge=10, le=20_000, description="genes, of ten roles in fixed shares")
    mean_count: float = Field(6.0, gt=0, description="typical count of a gene in a spot")
    library_sd: float = Field(0.30, ge=0, le=2, description="sd of the log library size between spots")
    dispersion: float = Field(6.0, gt=0, description="negative binomial size: variance = m + m²/dispersion")
    zero_inflation: float = Field(0.05, ge=0, lt=1, description="chance that a count is lost")
    morphology: float = Field(0.95, ge=0, le=3, description="sd, log scale, of what the picture shows")
    neighbour: float = Field(0.70, ge=0, le=3, description="sd, log scale, of the surrounding spots' signal")
    hidden: float = Field(0.55, ge=0, le=3, description="sd, log scale, of the smooth field no picture shows")
    clone: float = Field(0.80, ge=0, le=3, description="half distance, log scale, of two states that look alike")
    patient_sd: float = Field(0.15, ge=0, le=2, description="sd, log scale, of a gene's level between patients")
    stain_sd: float = Field(0.10, ge=0, le=0.5, description="relative spread of staining between patients")
    seed: int = Field(0, ge=0, description="equal seeds and settings give equal tissue")


@dataclass(frozen=True)
class Truth:
    """What is true of one section, in the order of its spots and genes.

    Attributes
    ----------
    expected
        Mean count [s g], zero inflation and library included.
    morphology, neighbour, hidden
        Parts of the log rate [s g]; `hidden` is the smooth field and the clones together.
    library
        Library size [s], about 1.
    seen
        What the picture shows [s m], columns as `tissue_layout.MORPHOLOGY`.
    clone
        State [s] in [-1, 1]; 0 where there is no gland.
    """

    expected: np.ndarray
    morphology: np.ndarray
    neighbour: np.ndarray
    hidden: np.ndarray
    library: np.ndarray
    seen: np.ndarray
    clone: np.ndarray


@dataclass(frozen=True)
class Cohort:
    """Simulated sections with their images (uint8 [h w 3]), their truth, and each gene's role (see `ROLES`)."""

    sections: tuple[Section, ...]
    images: tuple[np.ndarray, ...]
    truth: tuple[Truth, ...]
    roles: tuple[str, ...]
    settings: TissueSettings


@dataclass(frozen=True)
class _Genes:
    """How each gene reads the causes: log base level [g] and weights [causes g]."""

    roles: tuple[str, ...]
    names: tuple[str, ...]
    base: np.ndarray
    morphology: np.ndarray
    neighbour: np.ndarray
    hidden: np.ndarray
    clone: np.ndarray


@dataclass(frozen=True)
class _Drawn:
    """One section before its genes: the causes at its spots."""

    patient: int
    image: np.ndarray
    spots: Spots
    seen: np.ndarray
    clone: np.ndarray
    field: np.ndarray


def simulate(settings: TissueSettings | None = None, **given: Any) -> Cohort:
    """Draw a cohort of sections; settings by record, by name (`n_sections=2, seed=1`), or both.

    Raises
    ------
    EosinError
        An unknown setting or impossible value; a section too small to hold a spot.
    """
    start = {} if settings is None else settings.model_dump()
    settings = TissueSettings.of(start, given, source="synthetic tissue")
    patients, genes = _streams(settings.seed, 1, settings.n_patients), _design_genes(settings)
    looks = [Look.draw(rng, settings.stain_sd) for rng in patients]
    levels = [rng.normal(0, settings.patient_sd, settings.n_genes) for rng in patients]
    drawn = []
    with task("draw tissue", settings.n_sections, "sections") as tick:
        for i, rng in enumerate(_streams(settings.seed, 2, settings.n_sections)):
            patient = i % settings.n_patients
            drawn.append(_draw_section(rng, settings, patient, looks[patient]))
            tick()
    seen = np.concatenate([one.seen for one in drawn])
    centre, spread = seen.mean(0), np.maximum(seen.std(0), 1e-6)
    rngs = _streams(settings.seed, 3, settings.n_sections)
    truth = [
        _express(rng, one, (one.seen - centre) / spread, genes, levels[one.patient], settings)
        for rng, one in zip(rngs, drawn)
    ]
    sections = [_section(rng, i, drawn[i], truth[i], genes, settings) for i, rng in enumerate(rngs)]
    return Cohort(tuple(sections), tuple(one.image for one in drawn), tuple(truth), genes.roles, settings)


def write_cohort(cohort: Cohort, folder: str | Path) -> Path:
    """Write a cohort as a folder that `eosin.data` reads: `sections/`, `images/*.jpg`, and `truth/*.npz` beside them.

    Raises
    ------
    EosinError
        The folder cannot be written.
    """
    import imagecodecs

    folder = Path(folder)
    placed = []
    for section, image, truth in zip(cohort.sections, cohort.images, cohort.truth):
        path = folder / "images" / f"{section.name}.jpg"
        with atomic_file(path) as partial:
            partial.write_bytes(imagecodecs.jpeg_encode(image, level=92))
        placed.append(replace(section, image=Image(path, cohort.settings.mpp)))
        with atomic_file(folder / "truth" / f"{section.name}.npz") as partial:
            np.savez_compressed(partial, roles=np.array(cohort.roles), **vars(truth))
    write_sections(placed, folder)
    return folder


def _streams(seed: int, purpose: int, n: int) -> list[np.random.Generator]:
    """Independent generators, so that one more section or gene leaves the others as they were."""
    return [np.random.default_rng([seed, purpose, i]) for i in range(n)]


def _design_genes(settings: TissueSettings) -> _Genes:
    n = settings.n_genes
    ends = np.round(np.cumsum(_SHARES) * n / sum(_SHARES)).astype(int)
    role = np.searchsorted(ends, np.arange(n), side="right")
    rng = np.random.default_rng([settings.seed, 4])
    kind = np.array(ROLES)[role]
    within = np.arange(n) - np.concatenate([[0], ends])[role]
    names = tuple(f"{_NAMES[r]}{k + 1}" for r, k in zip(role, within))
    base = np.log(settings.mean_count) + rng.normal(0, 0.6, n)
    base[kind == "silent"] = -5.0  # one count in some hundred spots: constant in most sections
    living = ~np.isin(kind, ("flat", "silent"))
    gain = rng.uniform(0.75, 1.25, n) * living
    morphology = rng.normal(0, 0.22, (len(MORPHOLOGY), n))
    morphology[:, kind == "clone"] += (np.arange(len(MORPHOLOGY)) == 0)[:, None] * 0.5
    own = role < len(MORPHOLOGY)
    morphology[role[own], np.flatnonzero(own)] = 1.0
    sign = rng.choice([-1.0, 1.0], n)
    return _Genes(
        roles=tuple(kind.tolist()),
        names=names,
        base=base,
        morphology=settings.morphology * gain * morphology,
        neighbour=settings.neighbour * gain * np.where(kind == "neighbour", 1.0, 0.1 * rng.standard_normal(n)),
        hidden=settings.hidden * gain * np.where(kind == "hidden", sign, 0.25 * rng.standard_normal(n)),
        clone=settings.clone * gain * np.where(kind == "clone", sign, 0.1 * rng.standard_normal(n)),
    )


def _draw_section(rng: np.random.Generator, settings: TissueSettings, patient: int, look: Look) -> _Drawn:
    grade = (patient + 0.5) / settings.n_patients + rng.uniform(-0.1, 0.1)
    tissue = draw_tissue(rng, settings.size_um, settings.mpp, float(np.clip(grade, 0, 1)))
    image = render(rng, tissue, look.vary(rng, settings.stain_sd / 3))
    spots = _lay(rng, tissue, settings)
    seen = tissue.morphology(spots.xy_um, settings.diameter_um)
    shape = shrink(tissue.tissue, settings.mpp).shape
    state = np.tanh(3 * sample(smooth_field(rng, shape, 320 / GRID_UM), spots.xy_um))  # nearly always one or the other
    field = sample(smooth_field(rng, shape, 700 / GRID_UM), spots.xy_um)
    return _Drawn(patient, image, spots, seen, state * np.clip(3 * seen[:, 0], 0, 1), field)


def _lay(rng: np.random.Generator, tissue: Tissue, settings: TissueSettings) -> Spots:
    on = shrink(tissue.tissue, settings.mpp) > 0.6
    kind = HexagonalLattice if settings.hexagonal else SquareLattice
    spots = kind(settings.pitch_um).lay(Mask(on, GRID_UM), settings.diameter_um)
    return replace(spots, xy_um=spots.xy_um + rng.normal(0, settings.jitter_um, spots.xy_um.shape))


def _express(
    rng: np.random.Generator,
    drawn: _Drawn,
    seen: np.ndarray,
    genes: _Genes,
    level: np.ndarray,
    settings: TissueSettings,
) -> Truth:
    """The parts of the log rate and the expected counts; `seen` is standardised over the cohort."""
    immune = seen[:, MORPHOLOGY.index("immune")]
    sent = 0.5 * immune + 0.9 * drawn.clone + 0.5 * drawn.field  # a signal that only partly shows in the picture
    near = neighbours(drawn.spots.xy_um, 8)
    weight = near.valid / np.maximum(near.valid.sum(1, keepdims=True), 1)
    received = (sent[near.index] * weight).sum(1)
    morphology = seen.clip(-2.5, 2.5) @ genes.morphology
    neighbour = received[:, None] * genes.neighbour
    hidden = drawn.field[:, None] * genes.hidden + drawn.clone[:, None] * genes.clone
    cells = seen[:, MORPHOLOGY.index("nuclei")].clip(-2, 2)  # more cells, more molecules
    library = np.exp(settings.library_sd * (rng.standard_normal(len(seen)) + 0.5 * cells) - settings.library_sd**2 / 2)
    total = np.clip(genes.base + level + morphology + neighbour + hidden, -10, 9)
    expected = (1 - settings.zero_inflation) * library[:, None] * np.exp(total)
    return Truth(expected, morphology, neighbour, hidden, library, drawn.seen, drawn.clone)


def _section(
    rng: np.random.Generator, index: int, drawn: _Drawn, truth: Truth, genes: _Genes, settings: TissueSettings
) -> Section:
    rate = truth.expected / (1 - settings.zero_inflation)
    rate = rate * rng.gamma(settings.dispersion, 1 / settings.dispersion, rate.shape)
    counts = rng.poisson(rate) * (rng.random(rate.shape) >= settings.zero_inflation)
    patient = chr(ord("A") + drawn.patient)
    return Section(
        name=f"{patient}{index // settings.n_patients + 1}",
        patient=patient,
        spots=drawn.spots,
        counts=sparse.csr_matrix(counts.astype(np.float32)),
        genes=genes.names,
        domains=_domains(truth),
        platform="synthetic",
        notes=(f"synthetic tissue, seed {settings.seed}",),
    )


def _domains(truth: Truth) -> tuple[str, ...]:
    """The compartment that fills most of each spot, as a pathologist would label it."""
    share = dict(zip(MORPHOLOGY, truth.seen.T))
    crowd = share["immune"] / 3.0  # per 1000 µm²; an aggregate holds about 5
    names = ("gland", "stroma", "fat", "immune")
    order = np.argmax([share["gland"] * 1.6, share["fibre"], share["fat"] * 1.4, crowd], 0)
    return tuple(names[i] for i in order)
