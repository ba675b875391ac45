"""TRIPLEX: target, neighbour and global views fused by cross-attention."""

from eosin.models.triplex.triplex import TriplexSettings, build

__all__ = ["TriplexSettings", "build"]
