"""The scales inside a network: features as it takes them, and values as it must produce them. Fitted, not trained."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from eosin.models.parts.mean_and_sd import mean_and_sd
from eosin.models.parts.principal import Fit, mean_and_scale
from eosin.row_blocks import even_rows

_MOST_SPOTS = 50_000
"""That scales and components are fitted to; more spots hardly move them."""


class InputMap(nn.Module):
    """Features as a network takes them: standardised on training spots, and optionally reduced by PCA.

    Encoders differ by orders of magnitude in the scale of single features; a linear map of raw ones trains badly.
    Principal components are divided by the fourth root of their variance, half way to whitening.

    Attributes
    ----------
    n_out
        Numbers per spot that come out.
    """

    shift: Tensor
    scale: Tensor
    basis: Tensor | None

    def __init__(self, n_features: int, n_components: int | None):
        super().__init__()
        self.n_out = min(n_components or n_features, n_features)
        self.register_buffer("shift", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.register_buffer("basis", None if n_components is None else torch.zeros(n_features, self.n_out))

    def observe(self, features: np.ndarray) -> None:
        """Fit to the features [s f] of training spots, or of some of very many; they may lie on disk."""
        features = np.asarray(features[even_rows(len(features), _MOST_SPOTS)])
        mean, scale = mean_and_scale(features)
        self.shift.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))  # infinite for a constant feature, which thus becomes 0
        if self.basis is not None:
            fit = Fit.of(features, np.zeros((len(features), 1)), self.n_out)
            basis = fit.basis / np.maximum(fit.eigenvalues, 1e-6) ** 0.25
            self.basis.zero_()
            self.basis[:, : basis.shape[1]] = torch.from_numpy(basis)

    def forward(self, features: Tensor) -> Tensor:
        """Features [s f] -> inputs [s n_out]."""
        scaled = (features - self.shift) / self.scale
        return scaled if self.basis is None else scaled @ self.basis


class ValueScale(nn.Module):
    """Mean and sd [g] of what a network must produce; 0 and 1 unless genes are standardised."""

    mean: Tensor
    sd: Tensor

    def __init__(self, n_genes: int, *, standardise: bool):
        super().__init__()
        self.standardise = standardise
        self.register_buffer("mean", torch.zeros(n_genes))
        self.register_buffer("sd", torch.ones(n_genes))

    def observe(self, values: np.ndarray) -> None:
        """Fit to the values [s g] that must be produced at training spots; no sd is below 0.05."""
        if self.standardise:
            mean, sd = mean_and_sd(values)
            self.mean.copy_(torch.from_numpy(mean))
            self.sd.copy_(torch.from_numpy(np.maximum(sd, 0.05)))
