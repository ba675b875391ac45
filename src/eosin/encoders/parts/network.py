"""What is common to all encoders with weights: pixels normalised, run through a network, on all cores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from eosin.encoders.parts.workers import over_rows
from eosin.errors import EosinError

Precision = Literal["float32", "float16", "bfloat16"]


class Network:
    """A frozen network with the normalisation that it was trained with.

    Parameters
    ----------
    model
        Images [b 3 px px] -> [b f]; frozen here.
    mean, std
        Of red, green and blue on 0-1.
    precision
        Of the products inside; anything but float32 is faster on a GPU and changes the numbers a little.
    name
        Of the encoder, for errors.
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
        self._name, self._precision = name, precision
        self._device = torch.device("cpu")

    def to(self, device: torch.device | str) -> None:
        self._device = torch.device(device)
        self._model.to(self._device)

    @torch.inference_mode()
    def features(self, tiles: Sequence[Tensor]) -> Tensor:
        """float32 [b f] of uint8 tiles [b px px 3], one per field of view; their features stand side by side."""
        return over_rows(
            self._windows, [tile.to(self._device, non_blocking=self._device.type == "cuda") for tile in tiles]
        )

    def _windows(self, *tiles: Tensor) -> Tensor:
        mean, std = (torch.tensor(v, device=self._device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        images = (tile.permute(0, 3, 1, 2).float().div_(255) for tile in tiles)
        return torch.cat([self._one((image - mean) / std).float() for image in images], 1)

    def _one(self, image: Tensor) -> Tensor:
        if self._precision == "float32":
            return self._model(image)
        with torch.autocast(self._device.type, getattr(torch, self._precision)):
            return self._model(image)

    def width(self, px: int, n_views: int) -> int:
        """Number of features, found by running a blank window.

        Raises
        ------
        EosinError
            The network refuses windows of that size, or does not give one vector for each.
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
