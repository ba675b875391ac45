"""FLAG: diffusion over genes with a graph of spots and aligned gene vectors."""

from eosin.models.flag.flag import FLAGSettings, build

__all__ = ["FLAGSettings", "build"]
