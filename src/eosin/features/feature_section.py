"""A section from a feature file alone, whose tiles are the spots: for slides that TRIDENT or CLAM has encoded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eosin.encoders.parts.versions import with_version
from eosin.errors import EosinError
from eosin.features.feature_file import FeatureFile, read_features, stay_on_disk, table_size
from eosin.features.foreign_tiles import number, tile_width_px, width_of_tiles
from eosin.features.licence import licence_of
from eosin.features.slide_facts import facts_in
from eosin.features.unreadable import without_unreadable
from eosin.types import Features, Section, Spots, check_mpp

_MAGNIFICATIONS = 5, 10, 20, 40


def is_feature_file(path: str | Path) -> bool:
    """Whether a path is a file with the suffix of feature files; `.pt` counts, so that it is refused with a reason."""
    return Path(path).suffix.lower() in {".h5", ".hdf5", ".pt"} and Path(path).is_file()


def section_of_features(path: str | Path, encoder: str, *, mpp: float | None = None) -> Section:
    """A section without counts and image: one spot at the centre of every tile of a feature file.

    Parameters
    ----------
    path
        A file of eosin, of TRIDENT or of CLAM (`h5_files/{slide}.h5`): `features` [s f], `coords` [s 2], the top left
        of the tiles in full-resolution pixels.
    encoder
        Name of the encoder, used where the file does not state it.
    mpp
        µm per pixel of the slide at full resolution; needed where the file does not state it.

    Raises
    ------
    EosinError
        A damaged file, a pickle, or an unknown scale or width of a tile.
    """
    path = Path(path)
    if path.suffix.lower() == ".pt":
        fix = "give the .h5 file of the same slide (in CLAM's h5_files/)"
        raise EosinError("is a pickle, which runs code when it is opened", file=path, fix=fix)
    n_spots, width = table_size(path)
    file = read_features(path, on_disk=stay_on_disk(n_spots, width))
    scale, width_px = _need_mpp(file.attrs, mpp, path), _need_width_px(file, path)
    centres_um = file.centres_um if file.centres_um is not None else (file.origins_px + width_px / 2) * scale
    ids = file.ids or tuple(f"{x:.0f}x{y:.0f}" for x, y in file.origins_px)
    section = Section(
        name=path.stem,
        patient=path.stem,
        spots=Spots(centres_um, width_px * scale, ids),
        features=features_of(file, encoder),
        platform="feature file",
        notes=(f"{len(ids)} tiles of {width_px * scale:.0f} µm from {path.name}, without an image",),
    )
    return without_unreadable(section, file.readable)


def features_of(file: FeatureFile, encoder: str) -> Features:
    """The features in a file.

    The key is that of the file; features of another tool get a key from the encoder's name, their number, and the
    file's tile and scale, so that a model trained on such features accepts them and no others.

    Parameters
    ----------
    file
        What the file holds.
    encoder
        Name of the encoder, used where the file does not state it.
    """
    key = key_of(file.attrs, encoder, file.values.shape[1])
    name = with_version(str(file.attrs.get("encoder", encoder)), key)
    blocks, facts = _blocks(file), facts_in(file.attrs)
    return Features(file.values, name, key, file.turned, *licence_of(file.attrs, encoder), blocks, facts)


def _blocks(file: FeatureFile) -> tuple[int, ...]:
    """Numbers of features of encoders side by side; empty where the file does not say, as older ones do not."""
    numbers = [part for part in str(file.attrs.get("blocks", "")).split(",") if part.isdecimal()]
    blocks = tuple(int(part) for part in numbers)
    return blocks if sum(blocks) == file.values.shape[1] and all(blocks) else ()


def key_of(attrs: Mapping[str, Any], encoder: str, width: int) -> str:
    """Key of the features in a file: its own, or one made of what another tool's file tells.

    Parameters
    ----------
    attrs
        Attributes of the file.
    encoder
        Name of the encoder, used where the file does not state it.
    width
        Number of features.
    """
    if "encoder_key" in attrs:
        return str(attrs["encoder_key"])
    tile_px, scale = number(attrs.get("patch_size")), _magnification(attrs)
    facts = ["file", f"encoder={encoder}", f"width={width}"]
    facts += [] if tile_px is None else [f"tile={tile_px:.0f}px"]
    facts += [] if scale is None else [f"scale={scale}x"]
    return ";".join(facts)


def _magnification(attrs: Mapping[str, Any]) -> int | None:
    """Magnification at which another tool encoded its tiles: the nearest usual one; None where the file tells none."""
    scale = number(attrs.get("target_magnification"))
    if scale is None:
        full, mpp = number(attrs.get("level0_magnification")), slide_mpp(attrs)
        if full is None and mpp is not None:
            full = 10 / mpp  # 40x is about 0.25 µm per pixel
        width_px, patch_px = tile_width_px(attrs), number(attrs.get("patch_size"))
        if full is None or width_px is None or patch_px is None:
            return None
        scale = full * patch_px / width_px
    exact = scale
    return min(_MAGNIFICATIONS, key=lambda usual: abs(math.log(usual / exact)))


def slide_mpp(attrs: Mapping[str, Any], mpp: float | None = None) -> float | None:
    """µm per pixel of the full-resolution slide: `mpp` if given, else from the attributes; None where unknown."""
    candidates = (mpp, *(number(attrs.get(key)) for key in ("mpp", "mpp_level0", "level0_mpp")))
    return next((value for value in candidates if value is not None), None)


def _need_width_px(file: FeatureFile, path: Path) -> float:
    width = width_of_tiles(file, path)
    if width is None:
        fix = (
            "put CLAM's patches/ beside its folder of features, "
            "or add the attribute patch_size_level0 (pixels of the full-resolution slide) to 'coords'"
        )
        raise EosinError("does not say how wide its tiles are", file=path, fix=fix)
    return width


def _need_mpp(attrs: Mapping[str, Any], mpp: float | None, path: Path) -> float:
    """µm per pixel; not derived from a magnification, since 40x can be anything from 0.22 to 0.27 µm per pixel."""
    known = slide_mpp(attrs, mpp)
    if known is None:
        raise EosinError("does not say the slide's µm per pixel", file=path, fix="give --mpp")
    return check_mpp(known, path)
