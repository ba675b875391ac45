"""Genes of synthetic tissue: what each depends on, and its expected counts.

A gene's expected count at a spot is `library * exp(base + morphology + neighbour + hidden)`, reduced by zero inflation:
what the image shows there, what the surrounding spots do, and what no image shows (a smooth field, and clones that look
alike but are in one of two states).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eosin.geometry import neighbours
from eosin.simulation.tissue_layout import MORPHOLOGY
from eosin.simulation.tissue_settings import TissueSettings
from eosin.types import Spots

ROLES = (*MORPHOLOGY, "neighbour", "hidden", "clone", "flat", "silent")
"""What a gene mainly depends on; `flat` on nothing, `silent` is hardly ever counted."""
_SHARES = (8, 6, 8, 7, 5, 9, 6, 6, 3, 2)  # of 60 genes
_NAMES = ("GLND", "NUCL", "IMMU", "FIBR", "FATT", "NEIB", "HIDE", "CLON", "FLAT", "SLNT")


@dataclass(frozen=True)
class Truth:
    """The true parts of one section's expression, in the order of its spots and genes.

    Attributes
    ----------
    expected
        Expected count [s g], with zero inflation and library size.
    morphology, neighbour, hidden
        Parts of the log rate [s g]; `hidden` is the sum of the smooth field's and the clones'.
    library
        Library size [s], about 1.
    seen
        Morphology, which the image shows [s m], columns as `tissue_layout.MORPHOLOGY`.
    clone
        State of the clone [s], -1 to 1, which the image does not show; 0 where there is no gland.
    """

    expected: np.ndarray
    morphology: np.ndarray
    neighbour: np.ndarray
    hidden: np.ndarray
    library: np.ndarray
    seen: np.ndarray
    clone: np.ndarray


@dataclass(frozen=True)
class GeneEffects:
    """How strongly each gene depends on each cause.

    Attributes
    ----------
    roles, names
        Role (see `ROLES`) and name of each gene (g).
    base
        Log of the base level [g].
    morphology
        Weights of the morphology [m g].
    neighbour, hidden, clone
        Weights of the neighbours' signal, of the hidden field and of the clone's state [g].
    """

    roles: tuple[str, ...]
    names: tuple[str, ...]
    base: np.ndarray
    morphology: np.ndarray
    neighbour: np.ndarray
    hidden: np.ndarray
    clone: np.ndarray


@dataclass(frozen=True)
class Causes:
    """What expression depends on, at the spots of one section.

    Attributes
    ----------
    spots
        The spots (s).
    seen
        Morphology [s m], columns as `tissue_layout.MORPHOLOGY`.
    clone
        State of the clone [s], -1 to 1.
    field
        The smooth field that no image shows [s].
    """

    spots: Spots
    seen: np.ndarray
    clone: np.ndarray
    field: np.ndarray


def design_genes(settings: TissueSettings) -> GeneEffects:
    """Genes of ten roles, with random weights; equal settings give equal genes."""
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
    of_image = role < len(MORPHOLOGY)
    morphology[role[of_image], np.flatnonzero(of_image)] = 1.0
    sign = rng.choice([-1.0, 1.0], n)
    return GeneEffects(
        roles=tuple(kind.tolist()),
        names=names,
        base=base,
        morphology=settings.morphology * gain * morphology,
        neighbour=settings.neighbour * gain * np.where(kind == "neighbour", 1.0, 0.1 * rng.standard_normal(n)),
        hidden=settings.hidden * gain * np.where(kind == "hidden", sign, 0.25 * rng.standard_normal(n)),
        clone=settings.clone * gain * np.where(kind == "clone", sign, 0.1 * rng.standard_normal(n)),
    )


def express(
    rng: np.random.Generator,
    causes: Causes,
    seen: np.ndarray,
    genes: GeneEffects,
    level: np.ndarray,
    settings: TissueSettings,
) -> Truth:
    """Expected counts of one section, and the parts of the log rate.

    Parameters
    ----------
    rng
        Source of randomness, for the library sizes.
    causes
        The causes at the spots.
    seen
        Morphology [s m], standardised over the cohort.
    genes
        What each gene depends on.
    level
        Log level of each gene in this patient [g].
    settings
        Of the cohort.
    """
    immune = seen[:, MORPHOLOGY.index("immune")]
    sent = 0.5 * immune + 0.9 * causes.clone + 0.5 * causes.field  # a signal that the image shows only in part
    near = neighbours(causes.spots.xy_um, 8)
    weight = near.valid / np.maximum(near.valid.sum(1, keepdims=True), 1)
    received = (sent[near.index] * weight).sum(1)
    morphology = seen.clip(-2.5, 2.5) @ genes.morphology
    neighbour = received[:, None] * genes.neighbour
    hidden = causes.field[:, None] * genes.hidden + causes.clone[:, None] * genes.clone
    cells = seen[:, MORPHOLOGY.index("nuclei")].clip(-2, 2)  # more cells, more molecules
    library = np.exp(settings.library_sd * (rng.standard_normal(len(seen)) + 0.5 * cells) - settings.library_sd**2 / 2)
    total = np.clip(genes.base + level + morphology + neighbour + hidden, -10, 9)
    expected = (1 - settings.zero_inflation) * library[:, None] * np.exp(total)
    return Truth(expected, morphology, neighbour, hidden, library, causes.seen, causes.clone)
