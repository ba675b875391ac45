"""Mathematics of generation, without networks: priors, paths, samplers, diffusions, mirrored draws."""

from eosin.generative.path import LinearPath, NoPath, ProbabilityPath
from eosin.generative.prior import ZINB, EmpiricalZINB, Gaussian, Prior, Residual, SpotPlaces, Zero
from eosin.generative.sampler import Sampler, euler, even_times, heun, release_times

__all__ = [
    "ZINB",
    "EmpiricalZINB",
    "Gaussian",
    "LinearPath",
    "NoPath",
    "Prior",
    "ProbabilityPath",
    "Residual",
    "Sampler",
    "SpotPlaces",
    "Zero",
    "euler",
    "even_times",
    "heun",
    "release_times",
]
