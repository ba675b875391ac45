"""A frozen network with its normalisation, run on all cores or on a GPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eosin.encoders.parts.on_cpu import by_pixel, fast_on_cpu
from eosin.encoders.parts.workers import over_rows
from eosin.errors import EosinError

Precision = Literal["float32", "float16", "bfloat16"]


class Network:
    """A frozen network with the normalisation that it was trained with.

    Parameters
    ----------
    model
        Images [b 3 px px] -> [b f]; it is frozen and set to evaluation.
    mean, std
        Normalisation of red, green and blue, on a scale of 0 to 1.
    name
        What the network is called in errors.
    precision
        Precision of the products in the network; float16 and bfloat16 are faster on a GPU and change the numbers a
        little.

    Raises
    ------
    EosinError
        `mean` or `std` are not three numbers, or a standard deviation is not positive.
    """

    def __init__(
        self,
        model: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        name: str,
        precision: Precision = "float32",
    ):
        self._model = model.eval().requires_grad_(False)
        self.mean, self.std = _triple(mean, "mean", name), _triple(std, "std", name)
        self._name, self.precision = name, precision
        self._device = torch.device("cpu")
        self._on_cpu: nn.Module | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_lock": None, "_on_cpu": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_lock": threading.Lock()}

    def to(self, device: torch.device | str) -> None:
        """Move the network to `device`."""
        self._device = torch.device(device)
        self._model.to(self._device)
        self._on_cpu = None

    @torch.inference_mode()
    def features(self, tiles: Sequence[Tensor]) -> Tensor:
        """Features float32 [b f] of tiles, one uint8 tensor [b px px 3] per field of view, concatenated."""
        return over_rows(
            self._windows, [tile.to(self._device, non_blocking=self._device.type == "cuda") for tile in tiles]
        )

    def _windows(self, *tiles: Tensor) -> Tensor:
        mean, std = (torch.tensor(v, device=self._device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        images = (tile.permute(0, 3, 1, 2).float().div_(255) for tile in tiles)
        return torch.cat([self._forward((image - mean) / std).float() for image in images], 1)

    def _forward(self, images: Tensor) -> Tensor:
        if self.precision == "float32":
            if self._device.type != "cpu":
                return self._model(images)
            model = self._fast(images.shape[-1])
            return model(images if model is self._model else by_pixel(images))
        with torch.autocast(self._device.type, getattr(torch, self.precision)):
            return self._model(images)

    def _fast(self, px: int) -> nn.Module:
        """The network as it is on the CPU, made when it is first used there."""
        if self._on_cpu is None:
            with self._lock:
                self._on_cpu = self._on_cpu or fast_on_cpu(self._model, px)
        return self._on_cpu

    def width(self, px: int, n_views: int) -> int:
        """Number of features of `n_views` windows of `px` pixels, found by running the network on blank ones.

        Raises
        ------
        EosinError
            The network does not accept windows of that size, or does not return one vector for each.
        """
        try:
            shape = self.features([torch.zeros(1, px, px, 3, dtype=torch.uint8)] * n_views).shape
        except (RuntimeError, AssertionError) as error:
            raise EosinError(f"{self._name} refuses windows of {px} px ({error})") from error
        if len(shape) != 2:
            raise EosinError(f"{self._name} gives {tuple(shape)} and not one vector per window")
        return shape[1]


def _triple(values: Sequence[float] | None, name: str, encoder: str) -> tuple[float, ...]:
    numbers = tuple(map(float, values or ()))
    if len(numbers) != 3 or (name == "std" and min(numbers) <= 0):
        raise EosinError(f"{encoder}: '{name}' is {numbers}", fix="give three numbers, for red, green and blue")
    return numbers
