"""GigaPath's frozen slide encoder with a closed-form head."""

from eosin.models.gigapath.gigapath import GigaPathSettings, build

__all__ = ["GigaPathSettings", "build"]
