"""What a model predicts for one section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.types.display import first_of, html_table, one_line, thumbnail_of
from eosin.types.panel import GenePanel
from eosin.types.places import Image, Spots
from eosin.types.spread import variance_of_draws


@dataclass(frozen=True)
class Prediction:
    """Draws from a model at the spots of one section, in model values (see `panel.transform`).

    Attributes
    ----------
    section
        Name of the section.
    spots
        Where expression is predicted.
    panel
        The genes, in the order of the columns, and the transform of the values.
    draws
        [k s g] float32; k = 1 for a point model.
    model, seed
        Name of the model, and the seed of the draws.
    image
        The H&E image that was encoded, where it is known.
    provenance
        Settings, versions, encoder, fingerprints: JSON-able.
    mirrored
        Whether draws 2i and 2i + 1 start from opposite noise, so that they are not independent.

    Raises
    ------
    EosinError
        Draws of another shape, or that hold NaN or infinity.
    """

    section: str
    spots: Spots
    panel: GenePanel
    draws: np.ndarray
    model: str
    seed: int
    image: Image | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    mirrored: bool = False

    def __post_init__(self) -> None:
        draws = np.asarray(self.draws, dtype=np.float32)
        object.__setattr__(self, "draws", draws)
        if draws.ndim != 3 or draws.shape[0] < 1 or draws.shape[1:] != (len(self.spots), len(self.panel)):
            raise EosinError(
                f"prediction of '{self.section}': draws have shape {draws.shape}, "
                f"expected (k, {len(self.spots)} spots, {len(self.panel)} genes)"
            )
        if not np.isfinite(draws).all():
            raise EosinError(
                f"model '{self.model}' predicted NaN or infinity on '{self.section}'",
                fix="train again with a smaller --train.lr",
            )

    def __repr__(self) -> str:
        facts = self._facts()
        return one_line("Prediction", repr(self.section), facts["size"], f"model {self.model!r}", facts["values"])

    def _repr_html_(self) -> str:
        scale = None if self.image is None else f"{self.image.mpp:.4g} µm/px"
        about = {"model": self.model, "seed": self.seed, "genes": first_of(self.panel.names), "scale": scale}
        return html_table(f"Prediction of {self.section}", {**self._facts(), **about}, thumbnail_of(self.image))

    def _facts(self) -> dict[str, str]:
        draws = f"{self.n_draws} draw{'' if self.n_draws == 1 else 's'}"
        size = f"{draws} of {len(self.spots):,} spots x {len(self.panel):,} genes"
        return {"size": size, "values": self.panel.transform}

    @property
    def n_draws(self) -> int:
        """Number of draws k; 1 for a point model."""
        return self.draws.shape[0]

    @property
    def mean(self) -> np.ndarray:
        """Mean over draws [s g]."""
        return self.draws.mean(0, dtype=np.float64).astype(np.float32)

    @property
    def sd(self) -> np.ndarray:
        """Standard deviation over draws [s g]: root of the unbiased variance of independent or mirrored draws.

        Raises
        ------
        EosinError
            There is only one draw.
        """
        if self.n_draws < 2:
            raise EosinError("one draw has no standard deviation", fix="predict with --draws 2 or more")
        return np.sqrt(variance_of_draws(self.draws, mirrored=self.mirrored)).astype(np.float32)

    def quantile(self, q: float) -> np.ndarray:
        """Quantile of the draws [s g], 0 <= q <= 1; how much few draws cover is `eosin.metrics.expected_coverage`.

        Raises
        ------
        EosinError
            There is only one draw.
        """
        if self.n_draws < 2:
            raise EosinError("one draw has no quantiles", fix="predict with --draws 2 or more")
        return np.quantile(self.draws, q, axis=0).astype(np.float32)
