"""Kernel regression on spots in their context."""

from eosin.models.kernel.kernel import Kernel, KernelSettings

__all__ = ["Kernel", "KernelSettings"]
