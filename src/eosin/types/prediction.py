"""What a model predicts for one section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.types.display import first_of, html_table, one_line, thumbnail_of
from eosin.types.error_bars import ErrorBars
from eosin.types.finite import all_finite
from eosin.types.gene_trust import GeneTrust
from eosin.types.likeness import Likeness
from eosin.types.panel import GenePanel
from eosin.types.places import Image, Spots
from eosin.types.spread import variance_of_draws


@dataclass(frozen=True)
class Prediction:
    """What a model says of the spots of one section, in model values (see `panel.transform`).

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
    centre
        [s g] float32 mean, where the model knows it better than a few draws do; None: the mean of the draws.
    trust
        How far the model is to be trusted on each gene, as its training told; None where that is not known.
    likeness
        How like the training slides the slide is; None where that is not known.
    error_bars
        The distribution of measured values around the mean; None: the spread of the draws stands for it.

    Raises
    ------
    EosinError
        Draws, a mean or error bars of another shape, or that hold NaN or infinity.
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
    centre: np.ndarray | None = None
    error_bars: ErrorBars | None = None
    trust: GeneTrust | None = None
    likeness: Likeness | None = None

    def __post_init__(self) -> None:
        draws = np.asarray(self.draws, dtype=np.float32)
        object.__setattr__(self, "draws", draws)
        if draws.ndim != 3 or draws.shape[0] < 1 or draws.shape[1:] != (len(self.spots), len(self.panel)):
            raise EosinError(
                f"prediction of '{self.section}': draws have shape {draws.shape}, "
                f"expected (k, {len(self.spots)} spots, {len(self.panel)} genes)"
            )
        centre = draws[0] if self.centre is None else np.asarray(self.centre, dtype=np.float32)
        if self.centre is not None:
            object.__setattr__(self, "centre", centre)
        n_scales = len(self.panel) if self.error_bars is None else len(self.error_bars.scale)
        n_verdicts = len(self.panel) if self.trust is None else len(self.trust.inner_pcc)
        n_distances = len(self.spots) if self.likeness is None else len(self.likeness.distance)
        if (
            centre.shape != draws.shape[1:]
            or n_distances != len(self.spots)
            or not n_scales == n_verdicts == len(self.panel)
        ):
            raise EosinError(f"prediction of '{self.section}': mean, error bars or verdicts do not fit spots and genes")
        if not all_finite(draws) or not all_finite(centre):
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
    def has_spread(self) -> bool:
        """Whether there are an sd and quantiles: error bars, or two draws or more."""
        return self.error_bars is not None or self.n_draws > 1

    def of_spots(self, rows: slice | np.ndarray) -> Prediction:
        """Some of its spots."""
        centre = None if self.centre is None else self.centre[rows]
        likeness = None if self.likeness is None else self.likeness.of_spots(rows)
        draws = self.draws[:, rows]
        return replace(self, spots=self.spots.take(rows), draws=draws, centre=centre, likeness=likeness)

    def of_genes(self, columns: list[int], panel: GenePanel) -> Prediction:
        """Some of its genes, in the order of `columns`; `panel` holds them."""
        centre = None if self.centre is None else self.centre[:, columns]
        bars = None if self.error_bars is None else self.error_bars.of_genes(columns)
        trust = None if self.trust is None else self.trust.of_genes(columns)
        draws = self.draws[:, :, columns]
        return replace(self, panel=panel, draws=draws, centre=centre, error_bars=bars, trust=trust)

    @property
    def n_draws(self) -> int:
        """Number of draws k; 1 for a point model."""
        return self.draws.shape[0]

    @property
    def mean(self) -> np.ndarray:
        """The predicted mean [s g]."""
        return self.centre if self.centre is not None else self.draws.mean(0, dtype=np.float64).astype(np.float32)

    @property
    def sd(self) -> np.ndarray:
        """Standard deviation [s g] of a measured value around the mean.

        Of the error bars; without them over draws: root of the unbiased variance of independent or mirrored draws.

        Raises
        ------
        EosinError
            There are no error bars and only one draw.
        """
        if self.error_bars is not None:
            return np.tile(self.error_bars.scale.astype(np.float32), (len(self.spots), 1))
        if self.n_draws < 2:
            raise EosinError("one draw has no standard deviation", fix="predict with --draws 2 or more")
        return np.sqrt(variance_of_draws(self.draws, mirrored=self.mirrored)).astype(np.float32)

    def quantile(self, q: float) -> np.ndarray:
        """Quantile [s g] of a measured value, 0 <= q <= 1.

        Of the error bars; without them of the draws (how much few draws cover is `eosin.metrics.expected_coverage`).

        Raises
        ------
        EosinError
            There are no error bars and only one draw.
        """
        if self.error_bars is not None:
            return self.error_bars.quantile(self.mean, q)
        if self.n_draws < 2:
            raise EosinError("one draw has no quantiles", fix="predict with --draws 2 or more")
        return np.quantile(self.draws, q, axis=0).astype(np.float32)
