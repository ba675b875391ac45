"""`stain`: H&E statistics without any weights. Colour, texture and nuclei of two fields of view.

It needs no download and no GPU, gives the same numbers on every machine, and on small cohorts its features predict
better than those of a small network trained on photographs. Colour deconvolution after Ruifrok & Johnston (Anal Quant
Cytol Histol 2001); uniform local binary patterns after Ojala et al. (IEEE TPAMI 2002); pattern spectrum after Maragos
(IEEE TPAMI 1989).

Version 2 first brings the densities of the slide's stains to fixed levels (`parts/slide_densities.py`). Version 1 takes
the pixels as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from eosin.config import Settings
from eosin.encoders.base import ENCODERS, Encoder, Floats, View, spec_of
from eosin.encoders.parts import map_statistics as statistics
from eosin.encoders.parts.computed import computed_card, settings_only
from eosin.encoders.parts.slide_densities import SlideDensities, density_table, unit_rows
from eosin.encoders.parts.stain_recipe import Recipe
from eosin.encoders.parts.workers import over_rows
from eosin.errors import EosinError

_SLIDE_VIEW = View(330.0, 224)
"""Windows in which the slide's stains are measured, whatever windows are encoded: members then agree."""
_LAPLACIAN_LEVELS, _EDGE_LEVELS, _PATTERN_LEVELS = 5, 4, 3
_GRANULE_PX = (3, 5, 7, 11, 15, 21)
_NUCLEUS_SIGMAS_UM = (2.0, 3.5)
_BLOB_DENSITIES = (0.02, 0.05, 0.1)
_NUCLEUS_UM_PER_PX = 1.2
"""Nuclei are detected at this scale or coarser: finer pixels cost four times as much and show chromatin, not nuclei."""


class StainSettings(Settings):
    """Settings of the encoder `stain`."""

    tile_um: Floats = Field(
        (165.0, 330.0), min_length=1, description="fields of view, µm: a spot with its rim, and its surroundings"
    )
    px: int = Field(
        224, ge=96, le=1024, description="side of each window, pixels: 0.74 and 1.5 µm/px at the default widths"
    )
    version: int = Field(
        2,
        ge=1,
        le=2,
        description="2 first brings each slide's haematoxylin and eosin to fixed densities; 1 takes pixels as they are",
    )


class Stain(Encoder):
    """Statistics of stain, texture and nuclei of each field of view, concatenated; no weights."""

    def __init__(self, settings: StainSettings | None = None):
        settings = settings or StainSettings.of({})
        self.views = tuple(_wide_enough(View(width, settings.px)) for width in settings.tile_um)
        self.spec = spec_of("stain", settings)
        self._version = settings.version
        self.slide_views = (_SLIDE_VIEW,) if self._version > 1 else ()
        self._slide = SlideDensities()
        self._density = density_table()
        self._unmix = np.linalg.inv(unit_rows()).T.tolist()  # rows: haematoxylin, eosin, residual
        blank = [torch.zeros(1, view.px, view.px, 3, dtype=torch.uint8) for view in self.views]
        width = sum(self._plain(tile, view).shape[1] for tile, view in zip(blank, self.views))
        self.card = computed_card(
            "stain",
            source="computed; no weights",
            width=width,
            citation="Ruifrok & Johnston 2001; Ojala et al. 2002; Maragos 1989",
            about="statistics of colour, texture and nuclei; computed, no weights",
        )

    @property
    def key(self) -> str:
        """Version, windows and resize."""
        return f"stain;version={self._version};views={','.join(map(str, self.views))};resize=bicubic"

    def for_slide(self, windows: Sequence[Tensor]) -> Stain:
        """The encoder with the densities of the slide's stains, measured on a sample of its windows (version 2)."""
        if not self.slide_views:
            return self
        made = copy.copy(self)
        made._slide = SlideDensities.of(windows[0].cpu())
        made.slide_facts, made.slide_notes = made._slide.facts(), made._slide.notes
        return made

    @torch.inference_mode()
    def encode(self, tiles: Sequence[Tensor]) -> Tensor:
        """Statistics of the tiles, float32 [b f]."""
        self.check_tiles(tiles)
        return over_rows(self._windows, [tile.to(self.device) for tile in tiles])

    def _windows(self, *tiles: Tensor) -> Tensor:
        return torch.cat([self._window(tile, view) for tile, view in zip(tiles, self.views)], 1)

    def _window(self, tile: Tensor, view: View) -> Tensor:
        """Statistics [b m] of one field of view [b px px 3]: by compiled loops on the CPU, some five times as fast."""
        if tile.device.type != "cpu":
            return self._plain(tile, view)
        from eosin.encoders.parts.window_statistics import statistics_of  # numba takes half a second to load

        return torch.from_numpy(statistics_of(tile.numpy(), self._recipe(view)))

    def _recipe(self, view: View) -> Recipe:
        at_half, um_per_px = _nuclei_scale(view.width_um / view.px)
        scaled = self._slide.factors != (1.0, 1.0)
        return Recipe(
            self._density.numpy(),
            np.array(self._unmix, np.float32),
            -self._slide.matrix().astype(np.float32) if scaled else None,
            _LAPLACIAN_LEVELS,
            _EDGE_LEVELS,
            _PATTERN_LEVELS,
            _GRANULE_PX,
            at_half,
            tuple(sigma / um_per_px for sigma in _NUCLEUS_SIGMAS_UM),
            _BLOB_DENSITIES,
        )

    def _plain(self, tile: Tensor, view: View) -> Tensor:
        """The same in plain tensor operations, for other devices."""
        rgb = self._slide.applied(tile.permute(0, 3, 1, 2).contiguous())
        stains = self._stains(rgb)  # [b 4 px px]: haematoxylin, eosin, residual, total density
        parts = [
            statistics.moments(stains),
            statistics.percentiles(stains),
            statistics.correlations(stains),
            statistics.layout(stains[:, :3]),
            *_texture(stains[:, [0, 1, 3]]),
            *_patterns(rgb),
            *_nuclei(stains[:, :1], view.width_um / view.px),
        ]
        return torch.cat(parts, 1)

    def _stains(self, rgb: Tensor) -> Tensor:
        """Densities of haematoxylin, eosin, the residual, and the mean optical density [b 4 px px].

        A table replaces the logarithm, and an explicit sum the matrix product: both are faster, and equal pixels then
        have equal densities wherever they are in the batch.
        """
        density = self._density.to(rgb.device).index_select(0, rgb.flatten().int()).view(rgb.shape)
        red, green, blue = density.unbind(1)
        mixed = [red * a + green * b + blue * c for a, b, c in self._unmix]
        return torch.stack([*mixed, (red + green + blue) * (1 / 3)], 1)


def _texture(maps: Tensor) -> list[Tensor]:
    """Laplacian and gradient energy of each map [b c h w], at resolutions that halve; parts [b m]."""
    parts = []
    for level in range(_LAPLACIAN_LEVELS):
        parts.append(statistics.detail(maps))
        if level < _EDGE_LEVELS:
            parts.append(statistics.edges(maps))
        maps = statistics.halve(maps)
    return parts


def _patterns(rgb: Tensor) -> list[Tensor]:
    """Local binary patterns of red (which haematoxylin absorbs) and of total light, at resolutions that halve; [b m].

    On integers, so that equal pixels compare as equal.
    """
    red, green, blue = rgb.to(torch.int16).unbind(1)
    maps, parts = torch.stack([red, red + green + blue], 1), []
    for _ in range(_PATTERN_LEVELS):
        parts.append(statistics.binary_patterns(maps))
        maps = statistics.pair_sum(maps)
    return parts


def _nuclei(haematoxylin: Tensor, um_per_px: float) -> list[Tensor]:
    """Sizes of dark granules, and density and strength of blobs as wide as small and as large nuclei; parts [b m]."""
    half = statistics.halve(haematoxylin)
    parts = [statistics.granules(half, _GRANULE_PX)]
    at_half, um_per_px = _nuclei_scale(um_per_px)
    haematoxylin = half if at_half else haematoxylin
    parts += [statistics.blobs(haematoxylin, sigma / um_per_px, _BLOB_DENSITIES) for sigma in _NUCLEUS_SIGMAS_UM]
    return parts


def _nuclei_scale(um_per_px: float) -> tuple[bool, float]:
    """Whether nuclei are sought in the halved map, and its µm per pixel or that of the map itself."""
    at_half = um_per_px < _NUCLEUS_UM_PER_PX
    return at_half, 2 * um_per_px if at_half else um_per_px


def _wide_enough(view: View) -> View:
    """The view, if it is wider than the blur that separates large nuclei from their surroundings.

    The blur mirrors the image at its border, and can mirror no more than the image.

    Raises
    ------
    EosinError
        It is too narrow: below 14 µm, or a little more where the window has few pixels.
    """
    at_half, um_per_px = _nuclei_scale(view.width_um / view.px)
    side = view.px // 2 if at_half else view.px
    if statistics.blobs_reach(max(_NUCLEUS_SIGMAS_UM)) >= (side - 0.5) * um_per_px:
        raise EosinError(
            f"encoder 'stain': a field of view of {view.width_um:g} µm in {view.px} px is too narrow to seek nuclei in",
            fix="give 15 µm or more",
        )
    return view


@ENCODERS.register("stain")
def build(argument: str = "", **settings: Any) -> Stain:
    """The `stain` encoder; takes no argument."""
    return Stain(settings_only(StainSettings, "stain", argument, settings))
