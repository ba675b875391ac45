"""How like the training slides a slide is, spot by spot and as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from eosin.errors import EosinError

LIKE, FURTHER, UNLIKE = "like training", "further than training", "unlike training"
"""Verdicts on a slide: as unseen training slides; as slides of other patients or stainings often are; as none."""
_FURTHER, _UNLIKE = 1.0, 1.3


@dataclass(frozen=True, eq=False)
class Likeness:
    """Distances of a slide's features from those of the training slides.

    Attributes
    ----------
    distance
        [s] of each spot; 1 is the usual size for training spots.
    spot_limit
        95 % of the spots of unseen training slides are nearer.
    slide_limit
        A median distance that unseen training slides do not reach.
    """

    distance: np.ndarray
    spot_limit: float
    slide_limit: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "distance", np.asarray(self.distance, dtype=np.float32))
        if self.distance.ndim != 1 or not np.isfinite(self.distance).all():
            raise EosinError("distances from training are not finite numbers, one for each spot")
        if not min(self.spot_limit, self.slide_limit) > 0:
            raise EosinError(f"limits of distances are {self.spot_limit} and {self.slide_limit}")

    @property
    def is_far(self) -> np.ndarray:
        """Which spots lie beyond the limit, bool [s]."""
        return self.distance > self.spot_limit

    @property
    def ratio(self) -> float:
        """The slide's median distance, in units of its limit; 0 without spots."""
        return float(np.median(self.distance)) / self.slide_limit if len(self.distance) else 0.0

    @property
    def verdict(self) -> str:
        """`like training`, `further than training` from a ratio of 1 on, `unlike training` from 1.3 on."""
        return UNLIKE if self.ratio >= _UNLIKE else FURTHER if self.ratio >= _FURTHER else LIKE

    def line(self) -> str:
        """The verdict in a sentence, with its numbers."""
        meaning = {
            LIKE: "as training slides that were left out",
            FURTHER: "as slides of another patient or staining often are: intervals may be too narrow",
            UNLIKE: "check scale (µm per pixel), focus, staining and tissue; the prediction is not to be trusted",
        }[self.verdict]
        far = float(self.is_far.mean()) if len(self.distance) else 0.0
        numbers = f"median distance {self.ratio:.2f} of the limit, {far:.0%} of spots beyond theirs"
        return f"{self.verdict} ({numbers}): {meaning}"

    def of_spots(self, rows: slice | np.ndarray) -> Likeness:
        """Some of the spots."""
        return replace(self, distance=self.distance[rows])
