"""What `uns["spatial"]` of an AnnData says of its libraries: scale factors and reduced pictures, as scanpy has them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.data.missing import positive_number
from eosin.errors import EosinError

if TYPE_CHECKING:
    from anndata import AnnData


_ONLY = ""


def stated_number(facts: Mapping[str, Any], key: str, path: Path, of: str = " of uns") -> float | None:
    """A finite positive number that a file states under a key, also as a text or an array of one; None without one.

    `of` says in the error where in the file the key is.

    Raises
    ------
    EosinError
        Something is there that is no number: a scale that is passed over is a wrong scale.
    """
    try:
        return positive_number(facts.get(key))
    except ValueError:
        found = " ".join(str(facts[key]).split())[:40]
        problem = f"{key}{of} is '{found}', which is no number"
        raise EosinError(problem, file=path, fix="write it as one number, or leave it out") from None


def stated_scale(facts: Mapping[str, Any], path: Path, of: str) -> Any:
    """The key `mpp`: a text as the number that it is; a number as it is, since one that is impossible is to be refused.

    Raises
    ------
    EosinError
        As `stated_number`.
    """
    value = facts.get("mpp")
    return value if isinstance(value, int | float) else stated_number(facts, "mpp", path, of)


PARTS = frozenset({"images", "scalefactors"})
"""What a library holds; where `uns["spatial"]` holds it itself, as of the first tools, it is the only one."""


def normalise(adata: AnnData) -> tuple[list[str], Mapping[str, Any]]:
    """The libraries of `uns["spatial"]`, and the facts beside them, which are taken out of it.

    A library whose parts stand in `uns["spatial"]` itself is put one level down, under a name that says nothing.
    """
    uns = adata.uns.get("spatial")
    if not isinstance(uns, dict):
        return [], {}
    if set(uns) & PARTS:
        uns = {_ONLY: uns}
    facts = {key: value for key, value in uns.items() if not isinstance(value, dict)}
    adata.uns["spatial"] = {key: value for key, value in uns.items() if key not in facts}
    return [key for key in adata.uns["spatial"] if key != _ONLY], facts


def factors_of(adata: AnnData, library: str | None = None) -> Mapping[str, Any]:
    """`scalefactors` of a library in `uns["spatial"]`; of the first that has any where it is not named."""
    return next((factors for entry in _entries(adata, library) if (factors := _part(entry, "scalefactors"))), {})


def reduced_picture(adata: AnnData, path: Path, library: str | None = None) -> tuple[tuple[int, int], float] | None:
    """Height and width of a reduced picture in `uns["spatial"]`, and its pixels per pixel of the full one.

    None where there is none, or a blank one that stands in for it.
    """
    for entry in _entries(adata, library):
        images, factors = _part(entry, "images"), _part(entry, "scalefactors")
        for name in ("hires", "lowres"):
            pixels, factor = np.asarray(images.get(name, ())), stated_number(factors, f"tissue_{name}_scalef", path)
            if factor is not None and pixels.ndim >= 2 and pixels.size and np.ptp(pixels[::7, ::7]) > 0:
                return (pixels.shape[0], pixels.shape[1]), factor
    return None


def foreign_diameter_px(adata: AnnData, library: str | None = None) -> float:
    """`spot_diameter_fullres` of a library in `uns["spatial"]` (the first by default), in pixels; 0 without one."""
    for entry in _entries(adata, library):
        with contextlib.suppress(ValueError):  # no number: readers say that the width is assumed
            if (width := positive_number(_part(entry, "scalefactors").get("spot_diameter_fullres"))) is not None:
                return width
    return 0.0


def _entries(adata: AnnData, library: str | None) -> list[Any]:
    libraries = adata.uns.get("spatial")
    if not isinstance(libraries, dict):
        return []
    return [libraries[library]] if library in libraries else list(libraries.values())


def _part(entry: Any, name: str) -> Mapping[str, Any]:
    part = entry.get(name) if isinstance(entry, dict) else None
    return part if isinstance(part, dict) else {}
