"""Intervals that hold for a new patient whatever the distribution, as long as patients are exchangeable.

Standardised misses of every calibration patient weigh 1 / (K + 1) together, and the new patient, of whom nothing is
known, weighs as much at infinity: the quantile of their absolute values at level L bounds the miss at a spot of the new
patient with probability L or more (hierarchical conformal prediction: Dunn, Wasserman and Ramdas 2018; Lee, Barber and
Willett 2023). It is finite for L up to K / (K + 1) only, so that 90 % need 9 patients.
"""

from __future__ import annotations

import numpy as np

from eosin.errors import EosinError

FEWEST_PATIENTS = 9
"""Without so many a distribution-free 90 % interval for a new patient is infinite."""


def need_patients(n_patients: int) -> None:
    """Refuse fewer patients than a distribution-free 90 % interval needs.

    Raises
    ------
    EosinError
        There are fewer.
    """
    if n_patients < FEWEST_PATIENTS:
        raise EosinError(
            f"conformal 90 % intervals for a new patient need at least {FEWEST_PATIENTS} patients, here are "
            f"{n_patients}: the miss of the next patient may be the largest of {n_patients + 1}",
            fix="give more patients, or leave --calibrate at 'levels'",
        )


def conformal_shape(misses: np.ndarray, patient: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Symmetric quantiles [q] of a miss, by growing probability, of misses [n g] divided by their gene's scale.

    Beyond the level that the number of patients allows, quantiles stay where they are at that level.

    Parameters
    ----------
    patient
        [n] whose spot each is; every patient weighs the same.
    probabilities
        [q] in (0, 1), symmetric around .5.
    """
    numbers = np.unique(patient)
    sizes = np.abs(misses)
    values = np.concatenate([sizes[patient == number].ravel() for number in numbers])
    weights = np.concatenate(
        [np.full(n, 1 / (n * (len(numbers) + 1))) for n in (sizes[patient == number].size for number in numbers)]
    )
    order = np.argsort(values)
    reached = np.cumsum(weights[order])  # up to K / (K + 1)
    levels = np.minimum(np.abs(2 * probabilities - 1), len(numbers) / (len(numbers) + 1))
    place = np.minimum(np.searchsorted(reached, levels - 1e-12), len(values) - 1)
    return np.sign(probabilities - 0.5) * values[order][place]
