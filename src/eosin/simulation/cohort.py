"""Synthetic tissue: drawn H&E sections with gene expression whose causes are known.

For the demo, for tests, and for questions about methods ("does the model find what is there, and no more?"). Counts are
zero-inflated negative binomial around the expected counts of `synthetic_genes`, whose parts are kept as `Truth`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from eosin.data.readers.native import write_sections
from eosin.progress import task
from eosin.simulation.draw_tissue import draw_tissue
from eosin.simulation.synthetic_genes import ROLES, Causes, GeneEffects, Truth, design_genes, express
from eosin.simulation.tissue_field import GRID_UM, sample, shrink, smooth_field
from eosin.simulation.tissue_image import Look, render
from eosin.simulation.tissue_layout import MORPHOLOGY, TissueLayout
from eosin.simulation.tissue_settings import TissueSettings
from eosin.slide.lattice import HexagonalLattice, SquareLattice
from eosin.slide.tissue import Tissue
from eosin.storage.files import atomic_file
from eosin.types import Image, Section, Spots

__all__ = ["ROLES", "Cohort", "TissueSettings", "Truth", "simulate", "write_cohort"]


@dataclass(frozen=True)
class Cohort:
    """Simulated sections.

    Attributes
    ----------
    sections
        Spots, counts and domains; without `Section.image` until `write_cohort` writes them.
    images
        The H&E image of each section, RGB uint8 [h w 3].
    truth
        The true parts of each section's expression.
    roles
        Role of each gene (see `ROLES`).
    settings
        What the cohort was made with.
    """

    sections: tuple[Section, ...]
    images: tuple[np.ndarray, ...]
    truth: tuple[Truth, ...]
    roles: tuple[str, ...]
    settings: TissueSettings


@dataclass(frozen=True)
class _Drawn:
    """One section before its expression: index of the patient, image [h w 3], causes of expression."""

    patient: int
    image: np.ndarray
    causes: Causes


def simulate(settings: TissueSettings | None = None, **given: Any) -> Cohort:
    """Draw a cohort of sections.

    Parameters
    ----------
    settings
        The defaults where None.
    given
        Single settings by name, as `n_sections=2`; they win over those in `settings`.

    Raises
    ------
    EosinError
        An unknown setting or impossible value; a section too small to hold a spot.
    """
    start = {} if settings is None else settings.model_dump()
    settings = TissueSettings.of(start, given, source="synthetic tissue")
    patients, genes = _streams(settings.seed, 1, settings.n_patients), design_genes(settings)
    looks = [Look.draw(rng, settings.stain_sd) for rng in patients]
    levels = [rng.normal(0, settings.patient_sd, settings.n_genes) for rng in patients]
    drawn = []
    with task("draw tissue", settings.n_sections, "sections") as tick:
        for i, rng in enumerate(_streams(settings.seed, 2, settings.n_sections)):
            patient = i % settings.n_patients
            drawn.append(_draw_section(rng, settings, patient, looks[patient]))
            tick()
    seen = np.concatenate([section.causes.seen for section in drawn])
    centre, spread = seen.mean(0), np.maximum(seen.std(0), 1e-6)
    rngs = _streams(settings.seed, 3, settings.n_sections)
    truth = [
        express(rng, d.causes, (d.causes.seen - centre) / spread, genes, levels[d.patient], settings)
        for rng, d in zip(rngs, drawn)
    ]
    sections = [_section(rng, i, drawn[i], truth[i], genes, settings) for i, rng in enumerate(rngs)]
    return Cohort(tuple(sections), tuple(section.image for section in drawn), tuple(truth), genes.roles, settings)


def write_cohort(cohort: Cohort, folder: str | Path) -> Path:
    """Write a cohort as a folder that `eosin.data` reads: `sections/`, `images/*.jpg`, and also `truth/*.npz`.

    Returns the folder.

    Raises
    ------
    EosinError
        The folder cannot be written.
    """
    import imagecodecs

    folder = Path(folder)
    with_images = []
    for section, image, truth in zip(cohort.sections, cohort.images, cohort.truth):
        path = folder / "images" / f"{section.name}.jpg"
        with atomic_file(path) as partial:
            partial.write_bytes(imagecodecs.jpeg_encode(image, level=92))
        with_images.append(replace(section, image=Image(path, cohort.settings.mpp)))
        with atomic_file(folder / "truth" / f"{section.name}.npz") as partial:
            np.savez_compressed(partial, roles=np.array(cohort.roles), **vars(truth))
    write_sections(with_images, folder)
    return folder


def _streams(seed: int, purpose: int, n: int) -> list[np.random.Generator]:
    """`n` independent generators, so that one more section or patient leaves the others unchanged."""
    return [np.random.default_rng([seed, purpose, i]) for i in range(n)]


def _draw_section(rng: np.random.Generator, settings: TissueSettings, patient: int, look: Look) -> _Drawn:
    grade = (patient + 0.5) / settings.n_patients + rng.uniform(-0.1, 0.1)
    tissue = draw_tissue(rng, settings.size_um, settings.mpp, float(np.clip(grade, 0, 1)))
    image = render(rng, tissue, look.vary(rng, settings.stain_sd / 3))
    spots = _lay_spots(rng, tissue, settings)
    seen = tissue.morphology(spots.xy_um, settings.diameter_um)
    shape = shrink(tissue.tissue, settings.mpp).shape
    state = np.tanh(3 * sample(smooth_field(rng, shape, 320 / GRID_UM), spots.xy_um))  # nearly always one or the other
    field = sample(smooth_field(rng, shape, 700 / GRID_UM), spots.xy_um)
    return _Drawn(patient, image, Causes(spots, seen, state * np.clip(3 * seen[:, 0], 0, 1), field))


def _lay_spots(rng: np.random.Generator, tissue: TissueLayout, settings: TissueSettings) -> Spots:
    mask = shrink(tissue.tissue, settings.mpp) > 0.6
    kind = HexagonalLattice if settings.hexagonal else SquareLattice
    spots = kind(settings.pitch_um).lay(Tissue(mask, GRID_UM), settings.diameter_um)
    return replace(spots, xy_um=spots.xy_um + rng.normal(0, settings.jitter_um, spots.xy_um.shape))


def _section(
    rng: np.random.Generator, index: int, drawn: _Drawn, truth: Truth, genes: GeneEffects, settings: TissueSettings
) -> Section:
    rate = truth.expected / (1 - settings.zero_inflation)
    rate = rate * rng.gamma(settings.dispersion, 1 / settings.dispersion, rate.shape)
    counts = rng.poisson(rate) * (rng.random(rate.shape) >= settings.zero_inflation)
    patient = chr(ord("A") + drawn.patient)
    return Section(
        name=f"{patient}{index // settings.n_patients + 1}",
        patient=patient,
        spots=drawn.causes.spots,
        counts=sparse.csr_matrix(counts.astype(np.float32)),
        genes=genes.names,
        domains=_domains(truth),
        platform="synthetic",
        notes=(f"synthetic tissue, seed {settings.seed}",),
    )


def _domains(truth: Truth) -> tuple[str, ...]:
    """The compartment that covers most of each spot (s), as a pathologist would label it."""
    share = dict(zip(MORPHOLOGY, truth.seen.T))
    crowd = share["immune"] / 3.0  # per 1000 µm²; an aggregate holds about 5
    names = ("gland", "stroma", "fat", "immune")
    largest = np.argmax([share["gland"] * 1.6, share["fibre"], share["fat"] * 1.4, crowd], 0)
    return tuple(names[i] for i in largest)
