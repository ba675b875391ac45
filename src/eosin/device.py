"""Devices by name: which this machine has, and an error that names them for one that it has not."""

from __future__ import annotations

import torch

from eosin.errors import EosinError


def device_names() -> list[str]:
    """Names of the devices that are there: `cpu`, `cuda:0`, ..., `mps`."""
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]


def device_of(name: str) -> torch.device:
    """A device by its name; `cuda` is the first GPU that torch would take.

    Raises
    ------
    EosinError
        No device has that name, or the machine does not have it.
    """
    there = device_names()
    fix = "give one that is there: auto, " + ", ".join(there)
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise EosinError(f"no device is called '{name}'", fix=fix) from error
    n_devices = sum(known.partition(":")[0] == device.type for known in there)
    if (device.index or 0) >= n_devices:
        raise EosinError(f"device '{name}' is not there ({n_devices} of its kind)", fix=fix)
    return device
