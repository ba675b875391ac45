"""Arrays by name, as checkpoints hold them: groups behind a prefix, and lists of names among the numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Each array as a tensor on the CPU."""
    return {name: torch.from_numpy(np.require(value, requirements=["C", "W"])) for name, value in arrays.items()}


def under(prefix: str, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The arrays, each named `{prefix}NAME`."""
    return {f"{prefix}{name}": value for name, value in arrays.items()}


def below(prefix: str, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of the arrays that are called `{prefix}NAME`, by NAME; the way back of `under`."""
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def json_array(value: Any) -> Tensor:
    """What JSON can hold (names, states of random numbers) as uint8 [bytes]; `json_of` takes it back."""
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def json_of(array: Tensor) -> Any:
    """The value of which `json_array` made uint8 [bytes]."""
    return json.loads(array.numpy().tobytes())
