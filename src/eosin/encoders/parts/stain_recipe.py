"""What the encoder `stain` computes of a window, for its compiled loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Recipe:
    """What is computed of a window.

    Attributes
    ----------
    table
        Density of the values 0 to 255, float32.
    unmix
        From densities to stains and residual, float32 [3 3].
    scaling
        From densities to minus those that the slide's stains are brought to, float32 [3 3]; None for none.
    n_details, n_edges, n_patterns
        Resolutions, halving, at which each is measured.
    granule_px
        Sides of the squares of the pattern spectrum.
    at_half
        Whether nuclei are sought in the halved map.
    sigmas_px
        Widths of nuclei, pixels of the map in which they are sought.
    blob_densities
        Strengths above which nuclei are counted.
    """

    table: np.ndarray
    unmix: np.ndarray
    scaling: np.ndarray | None
    n_details: int
    n_edges: int
    n_patterns: int
    granule_px: tuple[int, ...]
    at_half: bool
    sigmas_px: tuple[float, ...]
    blob_densities: tuple[float, ...]
