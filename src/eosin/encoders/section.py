"""Encode a section: read its spots' windows, run the encoder, keep the result in a file."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eosin.encoders.base import Encoder
from eosin.encoders.store import FeatureFile, read_features, write_features
from eosin.errors import EosinError
from eosin.files import fingerprint
from eosin.progress import task
from eosin.slide import Slide, open_slide
from eosin.types import Features, Section

_LOG = logging.getLogger("eosin")
_READERS = min(4, os.cpu_count() or 1)
_EDGE_BYTES = 1 << 16


def encode(
    section: Section,
    encoder: Encoder,
    *,
    cache: Path | None = None,
    batch: int = 64,
    mpp: float | None = None,
    half: bool = False,
) -> Section:
    """The section with features.

    Parameters
    ----------
    section
        With an image; the file itself is needed only where the cache does not hold the features yet.
    encoder
        See `get_encoder`.
    cache
        Folder of feature files `{cache}/{encoder}-{hash of key}/{section}.h5`. A file of the same encoder key, spots,
        positions, scale and image is used as it is; a broken or outdated one is made again, and the log says so.
    batch
        Spots per call of the encoder.
    mpp
        µm per pixel of the image where it differs from `section.image.mpp`.
    half
        Store float16.

    Raises
    ------
    EosinError
        No image, unreadable image, or spots outside it.
    """
    path = None if cache is None else feature_path(cache, section.name, encoder)
    if section.image is None:
        raise EosinError(f"section '{section.name}' has no image", fix="give one, or features by --features")
    scale = mpp or section.image.mpp
    stamp = {
        "encoder": encoder.spec,
        "encoder_key": encoder.key,
        "mpp": scale,
        "spots": fingerprint(section.spots.xy_um, list(section.spots.ids)),
    }
    kept = None if path is None else _kept(path, stamp, section)
    if kept is not None:
        return section.with_features(Features(kept.values, encoder.spec, encoder.key))
    with open_slide(section.image.path, mpp=scale) as slide:
        _check_inside(section, slide)
        values = _run(section, slide, encoder, batch)
        if path is not None:
            attrs = {**stamp, **_about(section, slide, encoder)}
            write_features(path, section.spots.ids, section.spots.xy_um, values, attrs, half=half)
    if half:  # what the file gives next time
        values = values.astype(np.float16).astype(np.float32)
    return section.with_features(Features(values, encoder.spec, encoder.key))


def feature_path(cache: str | Path, section: str, encoder: Encoder) -> Path:
    """Where a section's features of an encoder are kept."""
    return Path(cache) / encoder.folder / f"{file_name(section)}.h5"


def file_name(section: str) -> str:
    """A section's name as a file name; where letters had to go, a hash keeps two sections apart."""
    plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in section)
    return plain if plain == section else f"{plain}-{hashlib.sha256(section.encode()).hexdigest()[:8]}"


def _kept(path: Path, stamp: dict[str, Any], section: Section) -> FeatureFile | None:
    """The features on disk if they are these spots' by this encoder, else None; the log says why."""
    if not path.exists():
        return None
    try:
        file = read_features(path)
    except EosinError as error:
        _LOG.warning("%s; encoding '%s' again", error, section.name)
        return None
    wanted = {**stamp, "image": _image_mark(section)}
    for name, label in (("encoder_key", "encoder"), ("mpp", "scale"), ("spots", "spots"), ("image", "image")):
        if wanted[name] is not None and file.attrs.get(name) != wanted[name]:
            _LOG.warning("%s: made with another %s; encoding '%s' again", path, label, section.name)
            return None
    return file


def _image_mark(section: Section) -> str | None:
    """Hash of an image file's size, head and tail: cheap, and the same after copying. None where the file is gone."""
    if section.image is None or not section.image.path.is_file():
        return None
    digest = hashlib.sha256()
    with open(section.image.path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        for start in (0, max(0, size - _EDGE_BYTES)):
            file.seek(start)
            digest.update(file.read(_EDGE_BYTES))
    digest.update(str(size).encode())
    return digest.hexdigest()[:16]


def _about(section: Section, slide: Slide, encoder: Encoder) -> dict[str, Any]:
    view = encoder.views[0]
    return {
        "name": section.name,
        "image": _image_mark(section) or "",
        "tile_um": view.width_um,
        "views": ",".join(map(str, encoder.views)),
        "patch_size": view.px,
        "patch_size_level0": round(view.width_um / slide.mpp),
        "level0_width": slide.size_px[0],
        "level0_height": slide.size_px[1],
        "licence": encoder.card.licence,
        "commercial": encoder.card.commercial,
    }


def _check_inside(section: Section, slide: Slide) -> None:
    """A centre off the image means a wrong scale or image; a window that merely crosses the border is padded."""
    outside = np.any((section.spots.xy_um < 0) | (section.spots.xy_um > slide.size_um), axis=1)
    if outside.any():
        width, height = slide.size_um
        first = section.spots.ids[int(np.flatnonzero(outside)[0])]
        raise EosinError(
            f"section '{section.name}': {np.count_nonzero(outside)} of {len(section)} spots lie outside the image of "
            f"{width:.0f} x {height:.0f} µm at {slide.mpp:.4g} µm per pixel, first '{first}'",
            file=slide.path,
            fix="check that the image belongs to these spots, and give its scale by --mpp",
        )


def _run(section: Section, slide: Slide, encoder: Encoder, batch: int) -> np.ndarray:
    """Features [s f]: threads read the next batches while the encoder works on this one."""
    n = len(section)
    values = np.empty((n, encoder.n_features), np.float32)
    done = 0
    with task(f"encode {section.name}", n, "tiles") as tick, torch.inference_mode():
        for tiles in _batches(section, slide, encoder, batch):
            rows = encoder.encode([torch.from_numpy(tile) for tile in tiles]).cpu().numpy()
            values[done : done + len(rows)] = rows
            done += len(rows)
            tick(len(rows))
    return values


def _batches(section: Section, slide: Slide, encoder: Encoder, batch: int) -> Iterator[list[np.ndarray]]:
    """Windows of successive batches, one array per view, at most a few batches ahead of their use."""
    xy = section.spots.xy_um

    def read(start: int) -> list[np.ndarray]:
        spots = xy[start : start + batch]
        return [np.stack([slide.read(spot, view.width_um, view.px) for spot in spots]) for view in encoder.views]

    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="tiles")
    ahead = deque()
    try:
        for start in range(0, len(xy), batch):
            ahead.append(pool.submit(read, start))
            if len(ahead) > _READERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
