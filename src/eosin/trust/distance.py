"""How far the features of a slide lie from those of the training slides: is it like what the model has seen?

Features are standardised by the training spots. A spot's distance has two parts of equal weight: within the first
principal components of training (Mahalanobis distance, each component in units of its sd), and across them (length of
what the components do not hold, in units of its usual length). 1 is the usual size. What is usual for a slide that was
not seen is known from training slides that were left out in turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor

from eosin.models.parts.patients import MOST_FOLDS
from eosin.models.parts.principal import mean_and_scale
from eosin.row_blocks import even_rows, row_blocks
from eosin.types import Likeness

N_COMPONENTS = 20
_SPOT_SHARE = 0.95
"""Share of the spots of unseen training slides that lie within the limit of spots."""
_MARGIN = 1.25
"""By which factor a slide's median may exceed the largest median of unseen training slides."""
_MARGIN_ALONE = 1.5
"""Likewise of one training slide and its own median: on her2st other slides of the patient lie 1.1 to 1.8 away."""
_ROWS_AT_ONCE = 8192
_MOST_SPOTS = 20_000
_LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """Where the features of some spots lie.

    Attributes
    ----------
    mean, scale
        [f] of the features; the scale of a constant feature is infinite.
    basis, sd
        [f c] principal axes of the standardised features, and [c] the sd along each.
    across
        Root mean squared length of what the axes do not hold.
    """

    mean: np.ndarray
    scale: np.ndarray
    basis: np.ndarray
    sd: np.ndarray
    across: float

    @classmethod
    def of(cls, features: np.ndarray, n_components: int = N_COMPONENTS) -> FeatureSpace:
        """Of the features [s f] of training spots."""
        mean, scale = mean_and_scale(features)
        z = (features - mean) / scale
        n_kept = max(1, min(n_components, len(z) - 1, z.shape[1] - 1))
        variances, axes = _principal(z, n_kept)
        left = max(float(np.square(z).sum() / len(z) - variances.sum()), _LEAST)
        return cls(mean, scale, axes, np.sqrt(np.maximum(variances, _LEAST)), np.sqrt(left))

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Distance [s] of each spot's features [s f]; 1 is the usual size for training spots."""
        result = np.zeros(len(features))
        for rows in row_blocks(len(features), budget=_ROWS_AT_ONCE):
            z = (features[rows] - self.mean) / self.scale
            along = z @ self.basis
            across = np.maximum(np.square(z).sum(1) - np.square(along).sum(1), 0)
            within = np.square(along / self.sd).mean(1)
            result[rows] = np.sqrt((within + across / self.across**2) / 2)
        return result

    def alike(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """[s t] Gaussian kernel between features [s f] and [t f], as wide as training spots lie apart."""
        from scipy.spatial.distance import cdist

        places = [((features - self.mean) / self.scale) @ self.basis / self.sd for features in (one, other)]
        return np.exp(cdist(places[0], places[1], "sqeuclidean") / (-4 * len(self.sd)))


def _principal(z: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Variances [c] along the first principal axes of standardised features [s f], and these [f c]."""
    n, f = z.shape
    if n > 2 * f:  # one product instead of a dozen passes
        values, vectors = eigh(z.T @ z / n, subset_by_index=(f - n_components, f - 1), overwrite_a=True)
        return np.maximum(values[::-1], 0), vectors[:, ::-1]
    from sklearn.utils.extmath import randomized_svd

    _, singular, axes = randomized_svd(z, n_components, random_state=0)
    return np.square(singular) / n, axes.T


@dataclass(frozen=True, eq=False)
class Distance:
    """Distances from training, and how large they were for training slides that were left out.

    Attributes
    ----------
    space
        Of all training spots.
    spot_limit
        95 % of the spots of unseen training slides are nearer.
    slide_limit
        A slide whose median distance is larger is not like the training slides.
    """

    space: FeatureSpace
    spot_limit: float
    slide_limit: float

    @classmethod
    def of(cls, features: np.ndarray, slide: np.ndarray, patient: np.ndarray) -> Distance:
        """Of the features [s f] of training spots, and the slide and the patient [s] that each is of.

        Patients are left out in turn, where there is one slides. One slide can leave out nothing but itself: then its
        own spots are what is usual, with a larger margin. Of very many spots some are taken.
        """
        if len(features) > _MOST_SPOTS:
            rows = even_rows(len(features), _MOST_SPOTS)
            features, slide, patient = features[rows], slide[rows], patient[rows]
        features = np.asarray(features, dtype=np.float64)
        labels = np.unique(slide, return_inverse=True)[1].reshape(-1)
        units = patient if len(np.unique(patient)) > 1 else slide
        fold = np.unique(units, return_inverse=True)[1].reshape(-1) % MOST_FOLDS
        unseen = np.zeros(len(features))
        for number in np.unique(fold):
            outside = fold == number
            inside = ~outside if not outside.all() else outside
            unseen[outside] = FeatureSpace.of(features[inside]).distances(features[outside])
        medians = [float(np.median(unseen[labels == label])) for label in np.unique(labels)]
        margin = _MARGIN if len(medians) > 1 else _MARGIN_ALONE
        limits = (float(np.quantile(unseen, _SPOT_SHARE)), margin * max(medians))
        return cls(FeatureSpace.of(features), *(max(limit, _LEAST) for limit in limits))

    def likeness(self, features: np.ndarray) -> Likeness:
        """Of a slide's features [s f]."""
        return Likeness(self.space.distances(features), self.spot_limit, self.slide_limit)

    def arrays(self) -> dict[str, Tensor]:
        """All numbers as tensors; `of_arrays` takes them back."""
        space = self.space
        limits = np.array([self.spot_limit, self.slide_limit, space.across])
        parts = {"mean": space.mean, "scale": space.scale, "basis": space.basis, "sd": space.sd, "limits": limits}
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in parts.items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor]) -> Distance:
        """What `arrays` gave."""
        mean, scale, basis, sd, limits = (arrays[n].numpy() for n in ("mean", "scale", "basis", "sd", "limits"))
        return cls(FeatureSpace(mean, scale, basis, sd, float(limits[2])), float(limits[0]), float(limits[1]))
