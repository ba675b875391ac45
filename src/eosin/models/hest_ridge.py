"""The two linear probes of HEST, as they are: what its tables compare encoders by (Jaume et al., NeurIPS 2024).

Standardise and reduce to 256 principal components (the public leaderboard), or take the features as they are (the
paper's table of linear probes: the scaler stands in the branch of the components), and solve a ridge with the fixed
penalty 100 / (columns x genes) by LSQR, without an intercept. The steps are scikit-learn's, called with the
benchmark's arguments, so that its randomised PCA and its early stop of LSQR are the same. They are then merged to one
linear map. The ridge is fitted to the scores that the fit of the PCA gives; a randomised PCA's second transform of
the same spots, which a test section gets, differs a little. For a probe that can be compared with a model, see `ridge`.

Without an intercept on centred features the predictions have mean 0 on the training spots. Correlations do not see
that, squared errors and R² do; `add_mean` puts the mean back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from eosin.config import Settings
from eosin.models.base import MODELS, MOST_IN_MEMORY, ModelEntry, Solved, Training
from eosin.models.parts.pieces import Hop
from eosin.types import Batch, GenePanel


class HestRidgeSettings(Settings):
    """Which of the two probes, and what may differ from it."""

    n_components: int | None = Field(256, ge=1, description="principal components of the features; none: all features")
    standardise: bool = Field(
        True,
        description="give every feature mean 0 and sd 1 first; the probe without components takes them as they are",
    )
    penalty: float | None = Field(
        None, gt=0, description="ridge penalty on the summed squared error; none: 100 / (columns x genes)"
    )
    solver: Literal["lsqr", "cholesky"] = Field("lsqr", description="'cholesky' is exact; LSQR stops early")
    add_mean: bool = Field(False, description="add each gene's training mean to its predictions")


class HestRidge(Solved):
    """Features -> expression, linear, without an intercept; one draw."""

    def __init__(self, settings: HestRidgeSettings, n_features: int, panel: GenePanel):
        self.settings = settings
        self.weight = np.zeros((n_features, len(panel)))
        self.intercept = np.zeros(len(panel))

    @property
    def reach(self) -> tuple[Hop, ...]:
        """A spot by itself."""
        return ()

    @property
    def most_spots(self) -> int:
        """Of a cohort on disk some spots are taken into memory."""
        return MOST_IN_MEMORY

    def solve(self, training: Training) -> None:
        """Fit the benchmark's steps, and merge them to one linear map."""
        from sklearn.decomposition import PCA
        from sklearn.linear_model import Ridge
        from sklearn.preprocessing import StandardScaler

        s, target = self.settings, training.target.astype(np.float64)
        z = training.batch.features.astype(np.float64)
        mean, scale = np.zeros(z.shape[1]), np.ones(z.shape[1])
        if s.standardise:
            scaler = StandardScaler().fit(z)
            mean, scale, z = scaler.mean_, scaler.scale_, scaler.transform(z)
        basis, centre = np.eye(z.shape[1]), np.zeros(z.shape[1])
        if s.n_components is not None:
            pca = PCA(min(s.n_components, *z.shape), random_state=1)
            with np.errstate(invalid="ignore"):  # shares of no variance, where all features are constant
                z = pca.fit_transform(z)
            basis, centre = pca.components_.T, pca.mean_
        penalty = s.penalty or 100 / (z.shape[1] * target.shape[1])
        probe = Ridge(alpha=penalty, fit_intercept=False, solver=s.solver, max_iter=1000)
        coefficients = probe.fit(z.astype(np.float32), target).coef_.reshape(target.shape[1], -1).T
        self.weight = basis @ coefficients.astype(np.float64) / scale[:, None]
        self.intercept = -(mean + centre * scale) @ self.weight
        if s.add_mean:
            self.intercept = self.intercept + target.mean(0)

    def draw(self, context: Batch, n_draws: int, rng: torch.Generator) -> Tensor:
        """[1 s g]."""
        predicted = context.features.astype(np.float64) @ self.weight + self.intercept
        return torch.from_numpy(predicted.astype(np.float32))[None]

    def arrays(self) -> dict[str, Tensor]:
        """The linear map."""
        return {"weight": torch.from_numpy(self.weight), "intercept": torch.from_numpy(self.intercept)}

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take what `arrays` gave."""
        self.weight, self.intercept = arrays["weight"].numpy(), arrays["intercept"].numpy()

    @property
    def n_parameters(self) -> int:
        """Weights; the intercept follows from them."""
        return self.weight.size


MODELS.add(
    "hest-ridge",
    ModelEntry(
        HestRidge,
        HestRidgeSettings,
        "linear probe of HEST with its fixed penalty, no intercept",
        "HEST-1k (Jaume et al., NeurIPS 2024)",
        presets={"paper": {"model": {"n_components": None, "standardise": False}}, "small": {}},
    ),
)
