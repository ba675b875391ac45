"""Facts about a feature file of eosin, TRIDENT, CLAM or the HEST benchmark: encoder, size, tiles, scale, licence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.features.feature_file import read_features
from eosin.features.feature_section import slide_mpp
from eosin.features.foreign_tiles import width_of_tiles
from eosin.features.licence import UNKNOWN, licence_of
from eosin.features.slide_facts import facts_in
from eosin.features.turns import TURNS
from eosin.storage.hdf5 import open_foreign

_SUFFIXES = {".h5", ".hdf5"}
_SIGNS = {
    "TRIDENT": {"patch_size_level0", "target_magnification"},
    "CLAM": {"downsample", "patch_level", "downsampled_level_dim"},
}
"""Attributes that only this tool writes: one of them identifies it."""


def holds_features(path: Path) -> bool:
    """Whether a file is HDF5 with `features` (or `embeddings`) and `coords`."""
    if not path.is_file() or path.suffix.lower() not in _SUFFIXES:
        return False
    try:
        with open_foreign(path) as file:
            return "coords" in file and ("features" in file or "embeddings" in file)
    except (OSError, RuntimeError, EosinError):
        return False


def feature_facts(path: Path, *, mpp: float | None = None) -> dict[str, Any]:
    """Encoder, size, tiles, scale and licence of a feature file, JSON-able; None for what the file does not state.

    Parameters
    ----------
    path
        The file.
    mpp
        µm per pixel of the slide; overrides that of the file.

    Raises
    ------
    EosinError
        The file is damaged, or not a feature file.
    """
    file = read_features(path)
    attrs, by_eosin = file.attrs, "encoder_key" in file.attrs
    encoder, scale, width_px = _text(attrs.get("encoder")), slide_mpp(attrs, mpp), width_of_tiles(file, path)
    licence, commercial = licence_of(attrs, encoder or "")
    tile_um = attrs.get("tile_um", None if width_px is None or scale is None else width_px * scale)
    return {
        "path": str(path),
        "written_by": "eosin" if by_eosin else _writer(attrs, named=file.ids is not None),
        "encoder": encoder or f"{UNKNOWN}: the file does not say it",
        "key": _text(attrs.get("encoder_key")),
        "spots": len(file.values),
        "features": file.values.shape[1],
        "turned": len(TURNS) if "turns" in attrs else 0,
        "unreadable": int(np.count_nonzero(~file.readable)),
        "spot_names": file.ids is not None,
        "tile_um": None if tile_um is None else round(float(tile_um), 4),
        "tile_px_level0": width_px,
        "windows": _text(attrs.get("views")),
        "mpp": scale,
        "slide": facts_in(attrs) or None,
        "licence": licence,
        "commercial": commercial,
    }


def _writer(attrs: Mapping[str, Any], *, named: bool) -> str:
    known = next((tool for tool, signs in _SIGNS.items() if signs & set(attrs)), None)
    return known or ("another tool, as the HEST benchmark" if named else "another tool")


def _text(value: Any) -> str | None:
    return None if value is None else value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
