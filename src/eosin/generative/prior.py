"""Priors over expression: where a flow starts. Each samples [k s g] in the model's values.

Count priors draw counts and put them on the model's scale with `to_values` (log1p for the paper). Where values are of
counts scaled to one total per spot (`log1p_cp10k`), drawn counts are scaled as those of the median training spot.

Sampling has two steps, so that a section can be predicted in pieces: `fill` puts the noise of all spots into a table,
always in the same order and some at a time, and `of_noise` makes draws of the noise of some spots.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from eosin.generative.mirrored import mirrored
from eosin.generative.noise_table import in_place, put_normal

ToValues = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class SpotPlaces:
    """Where spots lie that noise is drawn for.

    Attributes
    ----------
    xy_um
        Positions [s 2], µm.
    section
        [s] number of the section of each; noise of different sections is independent.
    """

    xy_um: np.ndarray
    section: np.ndarray

    def __len__(self) -> int:
        return len(self.section)

    def take(self, rows: np.ndarray) -> SpotPlaces:
        """Of some of the spots."""
        return SpotPlaces(self.xy_um[rows], self.section[rows])


class Prior(nn.Module, ABC):
    """What a flow starts from. Its parameters, where it has any, are buffers and travel with the checkpoint.

    `of_residuals` says that the draws are of what a baseline leaves over, not of expression itself; `mirrored` that
    draws 2i and 2i + 1 lie opposite each other (`mirrored.py`); `generates` that draws differ at all.
    """

    of_residuals: bool = False
    mirrored: bool = False
    generates: bool = True

    def sample(self, n_draws: int, places: SpotPlaces, n_genes: int, rng: torch.Generator) -> Tensor:
        """Draws [k s g] float32 on the CPU: independent, or with `mirrored` in opposite pairs."""
        noise = np.empty((self.n_noise(n_draws), len(places), n_genes), dtype=np.float32)
        self.fill(noise, places, rng)
        return self.of_noise(torch.from_numpy(noise), n_draws)

    def n_noise(self, n_draws: int) -> int:
        """How many numbers of noise a gene of a spot needs for so many draws: mirrored ones share them by two."""
        return (n_draws + 1) // 2 if self.mirrored else n_draws

    @abstractmethod
    def fill(self, noise: np.ndarray, places: SpotPlaces, rng: torch.Generator) -> None:
        """Put the noise of all spots into a table [n s g] float32, n = `n_noise` of the draws, in little memory."""

    @abstractmethod
    def of_noise(self, noise: Tensor, n_draws: int) -> Tensor:
        """Draws [k r g] of the noise [n r g] of some spots."""

    def observe(self, counts: np.ndarray, values: np.ndarray, places: SpotPlaces) -> None:
        """Learn, once, before training, from raw counts [s g] and values [s g] of the same spots, and where these lie.

        `values` are what a baseline leaves over where `of_residuals`, else the panel's values.
        """


class Zero(Prior):
    """No expression anywhere."""

    generates = False

    def n_noise(self, n_draws: int) -> int:
        """None."""
        return 0

    def fill(self, noise: np.ndarray, places: SpotPlaces, rng: torch.Generator) -> None:
        """Nothing."""

    def of_noise(self, noise: Tensor, n_draws: int) -> Tensor:
        """[k r g] of zeros."""
        return torch.zeros(n_draws, *noise.shape[1:])


class Gaussian(Prior):
    """Standard normal in the model's values (not counts), as in STFlow's appendix C; `sd` widens it."""

    def __init__(self, sd: float = 1.0):
        super().__init__()
        self.sd = sd

    def fill(self, noise: np.ndarray, places: SpotPlaces, rng: torch.Generator) -> None:
        """Standard normal numbers."""
        put_normal(noise, rng)

    def of_noise(self, noise: Tensor, n_draws: int) -> Tensor:
        """Independent draws."""
        return self.sd * noise


class Residual(Prior):
    """Normal with the mean and covariance across genes of what a baseline leaves over on training spots.

    Half of the draws are the other half mirrored at the mean (`mirrored.py`): a flow is nearly linear in its noise.
    """

    of_residuals = True
    mirrored = True
    centre: Tensor
    root: Tensor

    def __init__(self, n_genes: int):
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_genes))
        self.register_buffer("root", torch.eye(n_genes))

    def observe(self, counts: np.ndarray, values: np.ndarray, places: SpotPlaces) -> None:
        """Fit mean and covariance to `values` [s g]; `counts` are not used."""
        self.centre.copy_(torch.from_numpy(values.mean(0, dtype=np.float64)))
        covariance = np.cov(values.T.astype(np.float64)).reshape(len(self.centre), -1) if len(values) > 1 else 0.0
        eigenvalues, axes = np.linalg.eigh(covariance + 1e-6 * np.eye(len(self.centre)))
        self.root.copy_(torch.from_numpy((axes * np.sqrt(np.maximum(eigenvalues, 0))).T))

    def fill(self, noise: np.ndarray, places: SpotPlaces, rng: torch.Generator) -> None:
        """Standard normal numbers."""
        put_normal(noise, rng)

    def of_noise(self, noise: Tensor, n_draws: int) -> Tensor:
        """Mirrored draws around `centre`."""
        return self.centre.cpu() + mirrored(lambda _: noise @ self.root.cpu(), n_draws)


class ZINB(Prior):
    """Zero-inflated negative binomial, one set of parameters for all genes or one per gene.

    y ~ Poisson(lambda), lambda ~ Gamma(shape=dispersion, mean=mean), set to 0 with probability `zeros`.
    STFlow's paper writes mean mu; its released code hands the same numbers to a library as *logits*, whose mean
    is dispersion * exp(logit). `ZINB.from_logits` does that: at (0.1, 1) P(0) is 0.738, against 0.955 as written.

    Parameters
    ----------
    mean, dispersion, zeros
        Of the counts: one number, or one per gene [g].
    to_values
        Counts, scaled ones where `from_values` is given -> model values.
    from_values
        Its inverse, where the counts of a spot are scaled before; `observe` then learns the median scale.
    """

    mean: Tensor
    dispersion: Tensor
    zeros: Tensor
    per_count: Tensor

    def __init__(
        self,
        mean: float | np.ndarray,
        dispersion: float | np.ndarray,
        zeros: float | np.ndarray,
        to_values: ToValues,
        from_values: ToValues | None = None,
    ):
        super().__init__()
        self.to_values, self.from_values = to_values, from_values
        if from_values is not None:
            self.register_buffer("per_count", torch.ones(()))
            self.register_load_state_dict_pre_hook(_without_scale)
        for name, value in (("mean", mean), ("dispersion", dispersion), ("zeros", zeros)):
            self.register_buffer(name, torch.as_tensor(np.asarray(value), dtype=torch.float32))

    @classmethod
    def from_logits(
        cls,
        logit: float,
        dispersion: float,
        zeros: float,
        to_values: ToValues,
        from_values: ToValues | None = None,
    ) -> ZINB:
        """The distribution of a library that takes the mean as a logit: its mean is dispersion * exp(logit)."""
        return cls(dispersion * float(np.exp(logit)), dispersion, zeros, to_values, from_values)

    def observe(self, counts: np.ndarray, values: np.ndarray, places: SpotPlaces) -> None:
        """Learn how much a count of the median spot is after scaling; nothing where counts are not scaled."""
        if self.from_values is not None:
            self.per_count.fill_(float(np.median(scales_of(counts, values, self.from_values))))

    def fill(self, noise: np.ndarray, places: SpotPlaces, rng: torch.Generator) -> None:
        """Counts: the rates of all, then numbers of these rates, then which are dropped."""
        mean, dispersion, zeros = self.mean.cpu(), self.dispersion.cpu(), self.zeros.cpu()

        def rates(block: Tensor) -> Tensor:
            # the only gamma sampler of torch that takes a generator; the public one draws from global state
            shape = dispersion.expand(block.shape).contiguous()
            return torch._standard_gamma(shape, generator=rng) * (mean / dispersion)

        in_place(noise, rates)
        in_place(noise, lambda block: torch.poisson(block, generator=rng))
        in_place(noise, lambda block: block.masked_fill(torch.rand(block.shape, generator=rng) < zeros, 0.0))

    def of_noise(self, noise: Tensor, n_draws: int) -> Tensor:
        """Independent counts, as model values."""
        return self.to_values(noise if self.from_values is None else noise * self.per_count.cpu())


def scales_of(counts: np.ndarray, values: np.ndarray, from_values: ToValues) -> np.ndarray:
    """What each spot's counts were multiplied by before `values` were made of them [n]; spots without counts left out.

    Without any count at all, one scale of 1.
    """
    totals = counts.sum(1, dtype=np.float64)
    scaled = from_values(torch.from_numpy(np.asarray(values, dtype=np.float64))).numpy().sum(1)
    return scaled[totals > 0] / totals[totals > 0] if (totals > 0).any() else np.ones(1)


def _without_scale(prior: nn.Module, arrays: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Checkpoints of before `per_count` was kept did not scale: they go on as they were trained."""
    del prior
    arrays.setdefault(f"{prefix}per_count", torch.ones(()))


class EmpiricalZINB(Prior):
    """A zero-inflated negative binomial per gene, fitted to the training counts: no grid search.

    The paper names this as future work. Fit by moments: with mean m, variance v and share of zeros z of a gene,
    the dispersion comes from v = m + m^2 / dispersion, and the extra zeros are those that this distribution
    does not explain. Where counts are scaled to one total per spot, all spots are first brought to the median scale, so
    that a spot's depth is not taken for variance of its genes.
    """

    def __init__(self, n_genes: int, to_values: ToValues, from_values: ToValues | None = None):
        super().__init__()
        self.fitted = ZINB(np.ones(n_genes), np.ones(n_genes), np.zeros(n_genes), to_values, from_values)

    def observe(self, counts: np.ndarray, values: np.ndarray, places: SpotPlaces) -> None:
        """Fit every gene to `counts` [s g]; `values` [s g] only say how the counts were scaled, where they were."""
        self.fitted.observe(counts, values, places)
        if self.fitted.from_values is not None:
            scaled = self.fitted.from_values(torch.from_numpy(np.asarray(values, dtype=np.float64))).numpy()
            counts = scaled / float(self.fitted.per_count)
        mean, dispersion, zeros = fit_zinb(counts)
        into = (self.fitted.mean, self.fitted.dispersion, self.fitted.zeros)
        for buffer, value in zip(into, (mean, dispersion, zeros)):
            buffer.copy_(torch.as_tensor(value, dtype=torch.float32))

    def fill(self, noise: np.ndarray, places: SpotPlaces, rng: torch.Generator) -> None:
        """Counts of the fitted distributions."""
        self.fitted.fill(noise, places, rng)

    def of_noise(self, noise: Tensor, n_draws: int) -> Tensor:
        """Independent counts of the fitted distributions, as model values."""
        return self.fitted.of_noise(noise, n_draws)


def fit_zinb(counts: np.ndarray, n_rounds: int = 25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, dispersion and extra-zero probability [g] of each gene's counts [s g], by matching three moments.

    The moments are the mean, the variance and the share of zeros. Given the share `pi` of extra zeros, mean and
    dispersion of the negative binomial follow in closed form; `pi` follows from the zeros it leaves over.
    """
    counts = np.asarray(counts, dtype=np.float64)
    mean, variance, empty = counts.mean(0), counts.var(0), (counts == 0).mean(0)
    pi = np.zeros_like(mean)
    mu, phi = np.maximum(mean, 1e-4), np.ones_like(mean)
    for _ in range(n_rounds):
        mu = np.maximum(mean / (1 - pi), 1e-4)
        within = (variance + mean**2) / (1 - pi) - mu**2  # variance of the counts that are not extra zeros
        phi = np.clip(mu**2 / np.maximum(within - mu, 1e-6), 0.05, 100.0)
        expected = (phi / (phi + mu)) ** phi
        pi = np.clip((empty - expected) / np.maximum(1 - expected, 1e-6), 0.0, 0.95)
    return mu, phi, pi
