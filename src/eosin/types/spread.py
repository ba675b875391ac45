"""The variance of a distribution, estimated from a few draws of it, independent or mirrored."""

from __future__ import annotations

import numpy as np


def variance_of_draws(draws: np.ndarray, *, mirrored: bool) -> np.ndarray:
    """Unbiased variance [...] over the first axis of draws [k ...], k >= 2; float64.

    Independent draws: squared distances to their mean, divided by k - 1.

    Mirrored draws: draws 2i and 2i + 1 start from opposite noise, so that their mean is nearly without error, and
    k - 1 gives too much (k / (k - 1) times the variance where the model is linear in its noise). Half the difference
    of a pair, d, and its mean, e, satisfy E[d^2] + Var(e) = the variance, whatever the model does with the noise
    (law of total variance). With m pairs,

        even k:  sum(d^2) / m                                + sum((e - mean e)^2) / (m - 1)
        odd k:  (sum(d^2) + (last - mean e)^2) / (m + 1)     + sum((e - mean e)^2) / m

    where `last` is the draw without a partner: E[(last - mean e)^2] = E[d^2] + (1 + 1 / m) Var(e). For a linear model
    and even k this is the mean squared distance to the mean: k instead of k - 1 in the denominator. Two draws are one
    pair, of which Var(e) cannot be known: it is taken as 0, as for a linear model.
    """
    draws = np.asarray(draws)
    if len(draws) < 2:
        raise ValueError(f"{len(draws)} draw has no variance")
    if not mirrored:
        return np.var(draws, axis=0, ddof=1, dtype=np.float64)
    m = len(draws) // 2
    first, second = draws[0 : 2 * m : 2].astype(np.float64), draws[1 : 2 * m : 2].astype(np.float64)  # [m ...]
    within, centre = (((first - second) / 2) ** 2).sum(0), (first + second) / 2
    between = ((centre - centre.mean(0)) ** 2).sum(0)
    if len(draws) % 2:
        return (within + (draws[-1] - centre.mean(0)) ** 2) / (m + 1) + between / m
    return within / m + between / max(1, m - 1)
