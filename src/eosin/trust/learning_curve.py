"""How much smaller misses get with the section that was held out: folds train on one fewer than the model does."""

from __future__ import annotations

import numpy as np

FEWEST_SECTIONS, MOST_SECTIONS = 3, 8
"""Of a patient: with fewer none stays when two are held out; with more, one section makes no difference."""


def share_left(without_one: np.ndarray, without_two: np.ndarray, n_sections: np.ndarray) -> float:
    """Mean squared miss of the model over that of the folds that held out one section, (n - 1) / n to 1.

    The mean squared miss of a new section of a patient with m sections in training is taken as a + c / m: c follows
    from the misses of the same spots with one and with two of the patient's n sections held out.

    Parameters
    ----------
    without_one, without_two
        [r] squared misses of spots, mean over genes, in any unit.
    n_sections
        [r] sections n of the spot's patient in training, 3 or more.
    """
    n = np.asarray(n_sections, dtype=np.float64)
    one, gained = float(without_one.mean()), float((without_two - without_one).mean())
    if not len(n) or one <= 0:
        return 1.0
    c = gained / float((1 / (n - 2) - 1 / (n - 1)).mean())
    of_one = float((1 / (n - 1)).mean())
    c = min(max(c, 0.0), one / of_one)  # neither part is negative
    return 1 - c * float((1 / (n - 1) - 1 / n).mean()) / one
