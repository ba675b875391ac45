"""ST-Net: a linear head trained by stopped descent, on a frozen encoder or with one."""

from eosin.models.stnet.stnet import STNetSettings, build

__all__ = ["STNetSettings", "build"]
