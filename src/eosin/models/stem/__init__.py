"""Stem: conditional diffusion over the genes of one spot."""

from eosin.models.stem.stem import StemSettings, build

__all__ = ["StemSettings", "build"]
