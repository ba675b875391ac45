"""How much the level of a gene differs between slides and between patients, before a cohort has shown it.

A level is the mean of a gene over a slide. Its variance is told in units of the gene's variance within slides, in two
parts: `common`, by which all genes of a slide are shifted alike, and `own`, by which each gene is shifted alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from eosin.config import Settings

_GENES, _FEWEST_GENES, _POWER = 50, 20, -0.23


@dataclass(frozen=True)
class LevelVariance:
    """Variance of a slide's level around what was expected, in units of the variance within slides.

    Attributes
    ----------
    common, own
        Of the shift that all genes share, and of each gene's own.
    source
        What it was measured on.
    worth
        How many units (patients or slides) it counts as beside those of a cohort; a fifth as many for `own`.
    """

    common: float
    own: float
    source: str
    worth: float

    @property
    def total(self) -> float:
        """Of the level of one gene."""
        return self.common + self.own

    def for_panel(self, n_genes: int) -> LevelVariance:
        """For another number of genes than 50: of weaker genes more of the variance within slides is counting noise.

        The power is what was measured for the 50, 300, 1000 and 5000 genes of largest variance.
        """
        factor = (max(n_genes, _FEWEST_GENES) / _GENES) ** _POWER
        return replace(self, common=self.common * factor, own=self.own * factor)

    def around_mean_of(self, n_units: float) -> LevelVariance:
        """The variance around a mean of some units, which is not known better than they tell it."""
        factor = around_mean(n_units)
        return replace(self, common=self.common * factor, own=self.own * factor)

    def updated(self, shifts: np.ndarray, units: np.ndarray) -> LevelVariance:
        """The variance after some slides were seen: prior and measurement, weighed by their numbers of units.

        Parameters
        ----------
        shifts
            [n g] level of each slide less its expected level, divided by the gene's sd within slides.
        units
            [n] what each slide is of: patients, or the slides themselves. Slides of a unit count as one.
        """
        numbers = np.unique(units)
        if not len(numbers):
            return self
        shared = shifts.mean(1)
        of_slide = np.stack([shared**2, np.square(shifts - shared[:, None]).mean(1)], 1)  # [n 2]
        measured = np.mean([of_slide[units == unit].mean(0) for unit in numbers], axis=0)
        prior = np.array([self.common, self.own])
        # A unit shows its own shift on every gene, the common one once. Genes go together, so its own shift is known
        # as from about five: the variance of six patients has a coefficient of variation of .63 to .74.
        worth = np.array([self.worth, self.worth / 5])
        common, own = (worth * prior + len(numbers) * measured) / (worth + len(numbers))
        return replace(self, common=float(common), own=float(own), worth=self.worth + len(numbers))


def around_mean(n_units: float) -> float:
    """How much larger the variance of one unit is around a mean of `n_units` others than around what all share."""
    return 1 + 1 / max(n_units, 1)


OF_PATIENTS = LevelVariance(0.26, 0.53, "six patients of her2st (Andersson et al. 2021)", worth=0.5)
"""Patients; two of them differ by twice that. For panels of 50 genes; made by benchmarks/level_prior.py."""
OF_SLIDES = LevelVariance(0.04, 0.035, "slides of six patients of her2st (Andersson et al. 2021)", worth=0.5)
"""Slides of a patient, likewise."""


class LevelPrior(Settings):
    """A prior of one's own, of counts of several patients of the tissue at hand: `benchmarks/level_prior.py` makes it.

    Variances are in units of a gene's variance within slides, for panels of 50 genes.
    """

    source: str = Field(description="what it was measured on, in words that go beside every interval", min_length=1)
    patients_common: float = Field(ge=0, description="variance of the shift that all genes of a patient share")
    patients_own: float = Field(ge=0, description="variance of the shift of each gene of a patient")
    slides_common: float = Field(ge=0, description="likewise of slides of one patient: the shared shift")
    slides_own: float = Field(ge=0, description="and the shift of each gene")
    worth: float = Field(0.5, gt=0, description="how many patients, or slides, it counts as beside those of training")

    def of_patients(self) -> LevelVariance:
        """How levels of patients differ."""
        return LevelVariance(self.patients_common, self.patients_own, self.source, self.worth)

    def of_slides(self) -> LevelVariance:
        """How levels of slides of a patient differ."""
        return LevelVariance(self.slides_common, self.slides_own, self.source, self.worth)
