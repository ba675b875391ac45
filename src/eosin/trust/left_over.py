"""What predictions leave over at spots that they did not learn from: the material that error bars are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eosin.models.parts.patients import within_sections


@dataclass(frozen=True, eq=False)
class LeftOver:
    """Measured less predicted values of spots whose section, patient or region was held out.

    Attributes
    ----------
    residual
        [r g] in the panel's values.
    slide
        [r] number of the slide of each spot.
    patient
        [r] number of its patient.
    measured
        [r g] the measured values; None where only misses are known.
    depth
        [r] logarithm of the library size of each spot; None where it is not known.
    xy_um
        [r 2] where the spots lie; None where that is not known.
    """

    residual: np.ndarray
    slide: np.ndarray
    patient: np.ndarray
    measured: np.ndarray | None = None
    depth: np.ndarray | None = None
    xy_um: np.ndarray | None = None

    def within(self) -> np.ndarray:
        """Residuals [r g] less their mean over the slide, float64."""
        return within_sections(self.residual, self.slide)

    def scale(self) -> np.ndarray:
        """[g] their standard deviation within slides, unbiased for the means of the slides."""
        n_free = max(len(self.residual) - len(np.unique(self.slide)), 1)
        return np.sqrt(np.square(self.within()).sum(0) / n_free)

    def shifts(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean residual [n g] of each slide, and the patient [n] that it is of."""
        slides, first = np.unique(self.slide, return_index=True)
        means = np.stack([self.residual[self.slide == slide].mean(0, dtype=np.float64) for slide in slides])
        return means, self.patient[first]
