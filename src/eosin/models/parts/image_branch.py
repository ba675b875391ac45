"""What a model needs to see pixels: the columns that hold them, their symmetries, and a trainable image network.

`--encoder stain+pixels?px=64` puts the 3 · 64² numbers of each spot's tile behind its other features. A model with the
setting `image_px` takes them off again. They stay bytes until the moment that a network sees them, a few at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eosin.config import did_you_mean, near_names
from eosin.encoders.parts.weights import load_local
from eosin.errors import EosinError
from eosin.models.parts.chunks import by_rows
from eosin.storage.lazy_rows import LazyRows
from eosin.types import Batch

_SMALLEST_PX = 8
_CHUNK_PIXELS = 2**19  # 128 tiles of 64 pixels, 10 of 224: what a network keeps of them is below 1.5 GB
_CALIBRATION_TILES, _CALIBRATION_BATCH = 256, 64


@dataclass(frozen=True)
class PixelColumns:
    """The last 3 px² features of every spot are its tile [px px 3], 0 to 255, row by row."""

    px: int
    n_rest: int

    @classmethod
    def of(cls, n_features: int, px: int) -> PixelColumns:
        """Those of a model that is given `n_features`; too few are an `EosinError`."""
        n_rest = n_features - 3 * px**2
        if n_rest < 0:
            raise EosinError(
                f"image_px = {px} needs {3 * px**2} features of pixels, but the sections have {n_features} features",
                fix=_encode(px),
            )
        return cls(px, n_rest)

    def rest(self, batch: Batch) -> Batch:
        """The batch without pixels; features on disk stay there."""
        blocks = batch.blocks[:-1] if batch.blocks[-1:] == (3 * self.px**2,) else ()
        features, columns = batch.features, slice(self.n_rest)
        lazy = isinstance(features, LazyRows)
        rest: Any = features.chosen(columns=columns) if lazy else np.ascontiguousarray(features[:, columns])
        return replace(batch, features=rest, blocks=blocks)

    def tiles(self, batch: Batch) -> Tensor:
        """uint8 [s px px 3]."""
        return self._tiles(batch.features)

    def some_tiles(self, batch: Batch) -> Tensor:
        """uint8 [n px px 3] of as many spots as a backbone looks at before training; features may lie on disk."""
        return self._tiles(batch.features[_evenly(len(batch))])

    def _tiles(self, features: np.ndarray) -> Tensor:
        return torch.from_numpy(features[:, self.n_rest :].astype(np.uint8)).view(-1, self.px, self.px, 3)

    def check(self, features: np.ndarray) -> None:
        """Refuse features [s f] that do not end in pixels, or in pixels of larger tiles than `image_px` says."""
        some = features[:: max(1, len(features) // 64)]
        bytelike = (some >= 0) & (some <= 255) & (some == np.floor(some))
        fractions = np.flatnonzero(~bytelike.all(0))
        n_whole = some.shape[1] - (int(fractions[-1]) + 1 if len(fractions) else 0)
        px_found = isqrt(n_whole // 3)  # a few constant features before them do not count as a row of pixels
        if px_found == self.px:
            return
        if px_found < _SMALLEST_PX:
            raise EosinError(f"image_px is {self.px}, but the features do not end in pixels", fix=_encode(self.px))
        raise EosinError(
            f"image_px is {self.px}, but the features end in pixels of tiles of {px_found} px",
            fix=f"use --model.image-px {px_found}",
        )


def _encode(px: int) -> str:
    return f'encode with --encoder "stain+pixels?px={px}"'


def symmetry(tiles: Tensor, number: int) -> Tensor:
    """One of the eight symmetries of a square, for all tiles [s px px c]: quarter turns, from 4 on of mirror images."""
    return torch.rot90(tiles.flip(1) if number >= 4 else tiles, number % 4, (1, 2))


def turn_at_random(tiles: Tensor, rng: torch.Generator) -> Tensor:
    """Each tile [s px px c] by a symmetry of its own."""
    numbers = torch.randint(8, (len(tiles),), generator=rng).to(tiles.device)
    turned = torch.empty_like(tiles)
    for number in range(8):
        rows = numbers == number
        turned[rows] = symmetry(tiles[rows], number)
    return turned


class Backbone(nn.Module):
    """A convolutional network of timm without its classifier: tiles [s px px 3] of bytes -> tokens [s t c].

    Batch normalisation never looks at the batch: a spot's tokens depend on its tile only, in training as in prediction,
    and chunks do not show. Its statistics are the file's, or those of training tiles under the first weights.

    Parameters
    ----------
    arch
        Name of the architecture in timm.
    px
        Side of the tiles, pixels.
    weights
        Local `.safetensors` file to start from, read by `observe`; none starts at random. What was learned is in the
        checkpoint, which needs no file.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, arch: str, px: int, weights: str | None = None):
        super().__init__()
        self.body, self.weights, self.arch = _architecture(arch), weights, arch
        self.chunk = max(1, _CHUNK_PIXELS // px**2)
        own = self.body.pretrained_cfg
        self.register_buffer("mean", 255 * torch.tensor(own["mean"]))
        self.register_buffer("std", 255 * torch.tensor(own["std"]))
        self.train()
        self.width = self._width(px)

    def train(self, mode: bool = True) -> Backbone:  # noqa: FBT001, FBT002 - torch's signature
        """Training mode for all but batch normalisation, which keeps its statistics."""
        super().train(mode)
        for norm in self._norms():
            norm.eval()
        return self

    def observe(self, tiles: Tensor) -> None:
        """Begin from the file; without one, take the statistics of normalisation from some of the training tiles."""
        if self.weights is not None:
            load_local(
                self.body,
                self.weights,
                f"'{self.arch}'",
                absent_fix="check --model.image-weights",
                unfit_fix="name by --model.image-backbone the architecture that they were made for",
            )
        else:
            self._calibrate(tiles[_evenly(len(tiles))])

    def forward(self, tiles: Tensor) -> Tensor:
        """Tokens [s t c] of tiles [s px px 3], some tiles at a time."""
        return by_rows(lambda rows: self._tokens(tiles[rows])[None], len(tiles), self.chunk)[0]

    def _tokens(self, tiles: Tensor) -> Tensor:
        images = (tiles.to(self.mean.device).float() - self.mean) / self.std
        maps = self.body.forward_features(images.permute(0, 3, 1, 2))  # [s c h w]
        return maps.flatten(2).transpose(1, 2)

    @torch.no_grad()
    def _calibrate(self, tiles: Tensor) -> None:
        """The mean of each layer's statistics over a few batches; every layer sees the one before it normalised."""
        batches = [part for part in tiles.split(_CALIBRATION_BATCH) if len(part) > 1]
        momenta = [norm.momentum for norm in self._norms()]
        for norm in self._norms():
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean
            norm.train()
        for part in batches:
            self._tokens(part)
        for norm, momentum in zip(self._norms(), momenta):
            norm.momentum = momentum
            norm.eval()

    def _norms(self) -> list[nn.modules.batchnorm._BatchNorm]:
        return [part for part in self.body.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]

    @torch.no_grad()
    def _width(self, px: int) -> int:
        try:
            maps = self.body.forward_features(torch.zeros(1, 3, px, px))
        except (RuntimeError, AssertionError, ValueError) as error:
            raise EosinError(f"'{self.arch}' refuses tiles of {px} px ({str(error).splitlines()[0]})") from error
        if maps.ndim != 4 or maps.shape[1] != self.body.num_features:
            raise EosinError(f"'{self.arch}' is no convolutional network", fix="use resnet18 or densenet121")
        return maps.shape[1]


class BackboneTokens(nn.Module):
    """A backbone's tokens, mapped to another width: tiles [s px px 3] -> [s t w]."""

    def __init__(self, backbone: Backbone, width: int):
        super().__init__()
        self.backbone, self.out = backbone, nn.Linear(backbone.width, width)

    def observe(self, tiles: Tensor) -> None:
        """Let the backbone see the training tiles [s px px 3]."""
        self.backbone.observe(tiles)

    def forward(self, tiles: Tensor) -> Tensor:
        """Tokens [s t w] of tiles [s px px 3] of bytes."""
        return self.out(self.backbone(tiles))


def _evenly(n_tiles: int) -> np.ndarray:
    """Numbers of the tiles that statistics are taken from; of these tiles alone, all."""
    return np.arange(n_tiles)[:: max(1, n_tiles // _CALIBRATION_TILES)][:_CALIBRATION_TILES]


def _architecture(arch: str) -> nn.Module:
    import timm

    try:
        return timm.create_model(arch, pretrained=False, num_classes=0)
    except (RuntimeError, TypeError, ValueError) as error:
        raise EosinError(
            f"timm {timm.__version__} cannot make '{arch}'",
            fix=did_you_mean(near_names(arch, timm.list_models(), cutoff=0.6), "see timm.list_models()"),
        ) from error
