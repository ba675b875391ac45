"""Densities of stains, brought to one level on every slide: a slide that was stained darker, or with more eosin.

The optical density of a pixel, -ln((v + 1) / 256) in red, green and blue, is unmixed into haematoxylin, eosin and a
residual. On a sample of the slide's windows the 99th percentile of the first two over tissue is measured; each is then
scaled to a fixed level. The fixed levels also balance the two: by the vectors of Ruifrok & Johnston (Anal Quant Cytol
Histol 2001) the density of haematoxylin in usual H&E is several times that of eosin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

STAIN_VECTORS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
"""Optical density of haematoxylin and of eosin in red, green, blue (Ruifrok & Johnston, table of vectors)."""
STAINS = ("haematoxylin", "eosin")
_LEVELS = (1.6, 0.55)
"""Density that the 99th percentile of haematoxylin and of eosin becomes."""
_LEAST, _MOST = 0.33, 2.0
"""Limits of the factors: a slide further off is not of usual H&E, and its noise would be amplified."""
_PERCENTILE = 0.99
_TISSUE_DENSITY = 0.12
"""Mean optical density over red, green and blue above which a pixel counts as tissue."""
_EVERY_PX = 5
_FEWEST_PIXELS = 1000
"""Below so many pixels of tissue a 99th percentile says little: half a window, as one in 25 pixels is looked at."""


def unit_rows() -> np.ndarray:
    """Unit vectors of haematoxylin, eosin and a residual that is perpendicular to both, float64 [3 3]."""
    rows = np.stack([*STAIN_VECTORS, np.cross(*STAIN_VECTORS)])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def density_table() -> Tensor:
    """Optical density of the values 0 to 255, float32 [256]."""
    return -torch.log((torch.arange(256, dtype=torch.float64) + 1) / 256).float()


@dataclass(frozen=True)
class SlideDensities:
    """How dense a slide's stains are, and the factors that bring them to one level.

    Attributes
    ----------
    percentiles
        99th percentile of haematoxylin and of eosin over tissue; empty where there is too little tissue.
    factors
        Their factors, within 0.33 and 2; 1 where nothing was measured.
    notes
        Where a limit or a default acts, in words.
    """

    percentiles: tuple[float, ...] = ()
    factors: tuple[float, float] = (1.0, 1.0)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, windows: Tensor) -> SlideDensities:
        """Measure a sample of a slide's windows, uint8 [n px px 3]."""
        rgb = windows[:, ::_EVERY_PX, ::_EVERY_PX].reshape(-1, 3)
        density = density_table()[rgb.long()].numpy().astype(np.float64)
        density = density[density.mean(1) > _TISSUE_DENSITY]
        if len(density) < _FEWEST_PIXELS:
            return cls(notes=("too little tissue to measure the slide's stains: their densities are left as they are",))
        amounts = (density @ np.linalg.inv(unit_rows()))[:, : len(STAINS)]
        percentiles = tuple(map(float, np.quantile(amounts, _PERCENTILE, axis=0)))
        wanted = [level / p if p > 0 else np.inf for level, p in zip(_LEVELS, percentiles)]
        haematoxylin, eosin = np.clip(wanted, _LEAST, _MOST).tolist()
        notes = map(_note, STAINS, percentiles, wanted, (haematoxylin, eosin))
        return cls(percentiles, (haematoxylin, eosin), tuple(note for note in notes if note))

    def facts(self) -> Mapping[str, float]:
        """Percentiles and factors by name, as they are kept with the features."""
        named = {f"{stain}_p99": value for stain, value in zip(STAINS, self.percentiles)}
        return named | {f"{stain}_factor": value for stain, value in zip(STAINS, self.factors)}

    def matrix(self) -> np.ndarray:
        """From the densities of red, green and blue to scaled ones, float64 [3 3], to multiply from the right."""
        rows = unit_rows()
        return np.linalg.inv(rows) @ np.diag([*self.factors, 1.0]) @ rows

    def applied(self, rgb: Tensor) -> Tensor:
        """Pixels uint8 [b 3 h w] with the densities of their stains multiplied by the factors.

        One 3 x 3 matrix takes densities to scaled ones, and each value of the result is a sum of three products: equal
        pixels stay equal wherever they are in the batch.
        """
        if self.factors == (1.0, 1.0):
            return rgb
        table = density_table().to(rgb.device)
        red, green, blue = table.index_select(0, rgb.flatten().int()).view(rgb.shape).unbind(1)
        made = torch.empty_like(rgb)
        for channel, (a, b, c) in enumerate(self.matrix().T.tolist()):
            scaled = (red * -a).add_(green, alpha=-b).add_(blue, alpha=-c)
            made[:, channel] = scaled.exp_().mul_(256).sub_(1).round_().clamp_(0, 255)
        return made


def _note(stain: str, percentile: float, wanted: float, factor: float) -> str:
    """A sentence on a factor that is at its limit; empty for any other."""
    if factor == wanted:
        return ""
    return (
        f"the slide's {stain} is unusual (99th percentile of its density {percentile:.3g}): scaled by {factor:g}, "
        f"not by {wanted:.3g}"
    )
