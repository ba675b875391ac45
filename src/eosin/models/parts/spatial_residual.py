"""Where a flow on a base starts: noise that lies in space and among genes as what the base leaves over does."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from eosin.generative import Prior, SpotPlaces
from eosin.generative.mirrored import mirrored
from eosin.models.parts.spatial_noise import MOST_FACTORS, SpatialNoise
from eosin.storage.scratch import let_go

_LEAST = 1e-6  # of a gene that is constant


class SpatialResidual(Prior):
    """Normal, with the mean and sd of every gene that a base leaves over on training spots, and `SpatialNoise`.

    A flow moves its noise little, so that a draw whose noise lies in space looks like a measurement, and one of
    independent noise does not. Half of the draws are the other half mirrored at the mean. Not for flows without a base:
    smooth noise cannot be told from the patterns of the tissue, and they learn nothing from it.

    Parameters
    ----------
    n_genes
        Genes of the panel.
    """

    of_residuals = True
    mirrored = True
    centre: Tensor
    sd: Tensor
    lengths_um: Tensor
    loadings: Tensor
    alone: Tensor

    def __init__(self, n_genes: int):
        super().__init__()
        n_factors = min(n_genes, MOST_FACTORS)
        for name in ("centre", "sd", "alone"):
            self.register_buffer(name, torch.zeros(n_genes))
        self.register_buffer("lengths_um", torch.ones(2, dtype=torch.float64))
        self.register_buffer("loadings", torch.zeros(3, n_genes, n_factors))

    def observe(self, counts: np.ndarray, values: np.ndarray, places: SpotPlaces) -> None:
        """Fit mean, sd and noise to `values` [s g] at `places`; `counts` are not used."""
        centre = values.mean(0, dtype=np.float64)
        around = values - centre
        sd = np.maximum(np.sqrt(np.square(around).mean(0, dtype=np.float64)), _LEAST)
        noise = SpatialNoise.fit(around / sd, places.section, places.xy_um)
        self.centre.copy_(torch.from_numpy(centre))
        self.sd.copy_(torch.from_numpy(sd))
        self.lengths_um.copy_(torch.from_numpy(noise.lengths_um))
        self.alone.copy_(torch.from_numpy(noise.alone))
        self.loadings.zero_()  # fewer factors than there is room for are found in very few spots
        self.loadings[:, :, : noise.loadings.shape[2]] = torch.from_numpy(noise.loadings)

    def fill(self, noise: np.ndarray, places: SpotPlaces, rng: torch.Generator) -> None:
        """Noise of variance 1 for every gene, section by section."""
        fitted = SpatialNoise.of_arrays({name: array.cpu() for name, array in self.named_buffers()})
        numbers = np.random.default_rng(int(torch.randint(2**62, (1,), generator=rng)))
        for section in np.unique(places.section):
            own = np.flatnonzero(places.section == section)
            xy_um = places.xy_um[own] - places.xy_um[own].mean(0)  # a section that is moved has the same noise
            for rows, drawn in fitted.draws(xy_um, len(noise), numbers):
                noise[:, own[rows]] = drawn
                let_go(noise)

    def of_noise(self, noise: Tensor, n_draws: int) -> Tensor:
        """Mirrored draws around `centre`."""
        return self.centre.cpu() + mirrored(lambda _: noise * self.sd.cpu(), n_draws)
