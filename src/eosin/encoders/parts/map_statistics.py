"""Statistics of maps in plain tensor operations, of which the encoder `stain` is made.

They map [b c h w] to [b m] unless said otherwise, each window by itself. They use shifted slices and not convolution or
pooling: for one channel on a CPU this is five to fifty times faster, and sums in a fixed order give the same number in
any batch. Maps that are no longer needed are overwritten: with a new map per operation, a third of the time went into
allocating memory.
"""

from __future__ import annotations

import torch
from torch import Tensor


def halve(x: Tensor) -> Tensor:
    """Mean of every 2 x 2 pixels [b c h//2 w//2]; an odd last row or column is dropped."""
    return pair_sum(x) * 0.25


def pair_sum(x: Tensor) -> Tensor:
    """Sum of every 2 x 2 pixels [b c h//2 w//2]; exact on integers."""
    height, width = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
    rows = x[..., :height:2, :width] + x[..., 1:height:2, :width]
    return rows[..., ::2] + rows[..., 1::2]


def mean(x: Tensor) -> Tensor:
    """Mean over the pixels, [b c]."""
    return x.mean((-1, -2))


def moments(x: Tensor) -> Tensor:
    """Mean, standard deviation and cube root of the third central moment of each channel, [b 3c]."""
    centre = mean(x)
    deviation = x - centre[..., None, None]
    square = deviation * deviation
    second, third = mean(square), mean(square.mul_(deviation))
    return torch.cat([centre, second.sqrt(), third.sign() * third.abs().pow(1 / 3)], 1)


PERCENTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def percentiles(x: Tensor, levels: tuple[float, ...] = PERCENTILES) -> Tensor:
    """Percentiles of each channel, [b c * levels], from every second pixel along both axes of the halved image."""
    sample = halve(x)[..., ::2, ::2].flatten(2).sort(-1).values
    rank = [round(level * (sample.shape[-1] - 1)) for level in levels]
    return sample[..., rank].flatten(1)


def laplacian(x: Tensor) -> Tensor:
    """Four times each inner pixel minus its four neighbours, [b c h-2 w-2]: positive where optical density peaks."""
    inner = x[..., 1:-1, 1:-1]
    out = inner * 4
    for neighbour in (x[..., :-2, 1:-1], x[..., 2:, 1:-1], x[..., 1:-1, :-2], x[..., 1:-1, 2:]):
        out -= neighbour
    return out


def detail(x: Tensor) -> Tensor:
    """Laplacian energy of each channel, [b 3c]: mean of its positive part, root mean square, and that of the peaks."""
    fine = laplacian(x)
    peaks = fine.clamp_min(0)
    return torch.cat([mean(peaks), mean(fine.square_()).sqrt(), mean(peaks.square_()).sqrt()], 1)


def edges(x: Tensor) -> Tensor:
    """Root mean square gradient, mean gradient, and coherence (0 isotropic, 1 parallel fibres) per channel, [b 3c]."""
    across = x[..., 1:-1, 2:] - x[..., 1:-1, :-2]
    down = x[..., 2:, 1:-1] - x[..., :-2, 1:-1]
    mean_xy = mean(across * down)
    across, down = across.square_(), down.square_()
    mean_xx, mean_yy = mean(across), mean(down)
    size = across.add_(down).sqrt_()
    total = mean_xx + mean_yy
    coherence = ((mean_xx - mean_yy).square() + 4 * mean_xy.square()).sqrt() / (total + 1e-4)
    return torch.cat([total.sqrt(), mean(size), coherence], 1)


_RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))


def binary_patterns(x: Tensor) -> Tensor:
    """Histogram of rotation-invariant uniform local binary patterns (Ojala et al., 2002), 10 bins per channel.

    On integer maps, so that no comparison depends on a rounding error and every machine counts the same.
    """
    b, c, height, width = x.shape
    centre = x[..., 1:-1, 1:-1]
    bits = [x[..., 1 + i : height - 1 + i, 1 + j : width - 1 + j] > centre for i, j in _RING]
    above = torch.zeros_like(centre, dtype=torch.uint8)
    changes = torch.zeros_like(above)
    for k, bit in enumerate(bits):
        above += bit
        changes += bit ^ bits[k - 1]
    code = torch.where(changes <= 2, above, 9).flatten(2).int()
    window = torch.arange(b * c, dtype=torch.int32, device=x.device).view(b, c, 1) * 10
    counts = torch.bincount(code.add_(window).flatten(), minlength=b * c * 10)
    return counts.view(b, c * 10).float() / code.shape[-1]


def _running_max(x: Tensor, size: int, dim: int) -> Tensor:
    """Maximum over `size` pixels along `dim`, centred; pixels beyond the border do not count."""
    before = size // 2
    pad = [0, 0, 0, 0]
    pad[(0 if dim == -1 else 2) : (2 if dim == -1 else 4)] = [before, size - 1 - before]
    x = torch.nn.functional.pad(x, pad, value=-torch.inf)
    reach = 1
    while reach < size:  # doubling: a maximum over 2, 4, ... pixels from two of half the length
        step = min(reach, size - reach)
        n = x.shape[dim] - step
        x = torch.maximum(x.narrow(dim, 0, n), x.narrow(dim, step, n))
        reach += step
    return x


def dilate(x: Tensor, size: int) -> Tensor:
    """Maximum over a square of `size` pixels, [b c h w]."""
    return _running_max(_running_max(x, size, -1), size, -2)


def granules(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Pattern spectrum: what openings, then closings, by squares of growing size remove, per channel.

    First the density in dark granules of each size (nuclei), then that missing in the gaps between them.
    """
    spectrum = []
    for sign in (1.0, -1.0):
        signed = x * sign
        remaining = mean(signed)
        for size in sizes:
            opened = mean(dilate(-dilate(-signed, size), size))
            spectrum.append(remaining - opened)
            remaining = opened
    return torch.cat(spectrum, 1)


_REACH = 2.5
"""Radius of a blur, in its standard deviations."""
SURROUND = 1.6
"""Width of a blob's surroundings, in widths of the blob."""


def blobs_reach(sigma: float) -> float:
    """Radius around a pixel that `blobs` of width `sigma` uses, in the unit of `sigma`: a map must be wider."""
    return _REACH * SURROUND * sigma


def blur_weights(sigma_px: float) -> list[float]:
    """Half of a Gaussian filter, from its middle on."""
    reach = max(1, round(_REACH * sigma_px))
    weight = torch.exp(-(torch.arange(reach + 1, dtype=torch.float64) ** 2) / (2 * sigma_px**2))
    return (weight / (2 * weight.sum() - weight[0])).tolist()


def blur(x: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur, [b c h w]; the image is mirrored at its border."""
    weight = blur_weights(sigma_px)
    reach = len(weight) - 1
    x = torch.nn.functional.pad(x, (reach, reach, reach, reach), mode="reflect")
    for dim in (-1, -2):
        n = x.shape[dim] - 2 * reach
        out = x.narrow(dim, reach, n) * weight[0]
        for k in range(1, reach + 1):
            out.add_(x.narrow(dim, reach - k, n), alpha=weight[k]).add_(x.narrow(dim, reach + k, n), alpha=weight[k])
        x = out
    return x


def blobs(x: Tensor, sigma_px: float, thresholds: tuple[float, ...]) -> Tensor:
    """Difference-of-Gaussians blobs of one size: number per 1000 px above each threshold, strength, total energy."""
    response = blur(x, sigma_px).sub_(blur(x, SURROUND * sigma_px))
    peak = response == dilate(response, 5)
    peaks = [peak & (response > threshold) for threshold in thresholds]
    counts = [mean(above.float()) * 1e3 for above in peaks]
    strength = (response * peaks[0]).sum((-1, -2)) / (peaks[0].sum((-1, -2)) + 1)
    return torch.cat([*counts, strength, mean(response * response).sqrt()], 1)


def correlations(x: Tensor) -> Tensor:
    """Correlation over the pixels of every pair of channels, [b c(c-1)/2]."""
    deviation = x - mean(x)[..., None, None]
    sd = (mean(deviation * deviation) + 1e-6).sqrt()
    pairs = [(i, j) for i in range(x.shape[1]) for j in range(i)]
    return torch.stack([mean(deviation[:, i] * deviation[:, j]) / (sd[:, i] * sd[:, j]) for i, j in pairs], 1)


def layout(x: Tensor) -> Tensor:
    """Mean of each channel in a central disc and in two rings around it, and the sd over the cells of a 4 x 4 grid."""
    n, parts = x.shape[-1], []
    for ring in rings(n).to(x.device, x.dtype):
        parts.append((x * ring).sum((-1, -2)) / ring.sum())
    cell = n // 4
    grid = x[..., : 4 * cell, : 4 * cell].unflatten(-2, (4, cell)).unflatten(-1, (4, cell)).mean((-3, -1))
    parts.append(grid.flatten(2).std(-1))
    return torch.cat(parts, 1)


def rings(px: int) -> Tensor:
    """A central disc of a window and two rings around it, 1 inside, float32 [3 px px]."""
    axis = (torch.arange(px) - (px - 1) / 2) / px
    radius = (axis[:, None].square() + axis.square()).sqrt()
    limits = ((0.0, 0.15), (0.15, 0.3), (0.3, 0.5))
    return torch.stack([((radius >= inner) & (radius < outer)).float() for inner, outer in limits])
