"""Encode a section: read its spots' windows, run the encoder, keep the result in a file."""

from __future__ import annotations

import glob
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eosin.encoders.base import Encoder
from eosin.encoders.parts.field_of_view import tell_enlarged
from eosin.errors import EosinError
from eosin.features.devices import devices_of, replicas
from eosin.features.image_hash import image_mark, is_marked
from eosin.features.journal import Journal
from eosin.features.store import FeatureFile, add_turned, read_features, write_features
from eosin.features.stream import Encoded, encode_tiles
from eosin.features.turns import AS_IT_LIES, TURNS
from eosin.features.unreadable import leave_out
from eosin.slide import Slide, open_slide
from eosin.storage.files import fingerprint
from eosin.storage.lock import held
from eosin.types import Features, Image, Section

_LOG = logging.getLogger("eosin")


def encode(
    section: Section,
    encoder: Encoder,
    *,
    cache: Path | None = None,
    batch: int = 64,
    mpp: float | None = None,
    half: bool = False,
    symmetries: bool = False,
    device: str | None = None,
) -> Section:
    """The section with features, without the spots whose tile cannot be read.

    Parameters
    ----------
    section
        With an image; the file itself is needed only where the cache does not hold the features yet.
    encoder
        See `get_encoder`.
    cache
        Folder of feature files `{cache}/{encoder}-{hash of key}/{section}.h5`. A file of the same encoder key, spots,
        positions, scale and image is used as it is; a broken or outdated one is made again, and the log says so. One
        without the turned tiles is completed where they are asked for. An encoding that was stopped goes on where it
        was, and gives the same file; while another process makes the file, this one waits for it.
    batch
        Spots per call of the encoder.
    mpp
        µm per pixel of the image where it differs from `section.image.mpp`.
    half
        Store float16.
    symmetries
        Also encode every tile under the seven flips and quarter turns (`eosin.features.turns`), all views of a spot
        together: `Features.turned`, for training with `augment`. The features themselves stay as they are.
    device
        Where to compute: `auto`, or names by commas (`eosin.features.devices`); where the encoder is by default.

    Raises
    ------
    EosinError
        No image, an image of which nothing can be read, or spots outside it.
    """
    if section.image is None:
        raise EosinError(f"section '{section.name}' has no image", fix="give one, or features by --features")
    job = _Job(section, section.image, mpp or section.image.mpp, encoder, batch, half, symmetries, device)
    if cache is None:
        return job.run(None, None)
    path = feature_path(cache, section.name, encoder)
    before = _state(path)
    kept = job.kept(path)
    if kept is not None and job.suits(kept):
        return job.done(kept.values, kept.turned, kept.readable)
    job.check()  # before a folder is made for it
    with held(path):
        if _state(path) != before:  # another process was quicker
            kept = job.kept(path)
            if kept is not None and job.suits(kept):
                return job.done(kept.values, kept.turned, kept.readable)
        _sweep(path)
        return job.run(path, kept)


def find_encoded(
    section: Section, encoder: Encoder, cache: Path, *, mpp: float | None = None, symmetries: bool = False
) -> Section | None:
    """What `encode` would return without computing anything, or None where it would have to compute.

    Parameters
    ----------
    section, encoder, cache, mpp, symmetries
        As for `encode`.
    """
    path = feature_path(cache, section.name, encoder)
    if section.image is None or not path.exists():
        return None
    job = _Job(section, section.image, mpp or section.image.mpp, encoder, 1, False, symmetries, None)
    kept, _ = _look(path, job.stamp(), section, turned=symmetries)
    return job.done(kept.values, kept.turned, kept.readable) if kept is not None and job.suits(kept) else None


def feature_path(cache: str | Path, section: str, encoder: Encoder) -> Path:
    """Where a section's features of an encoder are kept."""
    return Path(cache) / encoder.folder / f"{file_name(section)}.h5"


def file_name(section: str) -> str:
    """A section's name as a file name; where letters had to go, a hash keeps two sections apart."""
    plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in section)
    return plain if plain == section else f"{plain}-{hashlib.sha256(section.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class _Job:
    """One section by one encoder."""

    section: Section
    image: Image
    mpp: float
    encoder: Encoder
    batch: int
    half: bool
    symmetries: bool
    device: str | None

    def stamp(self) -> dict[str, Any]:
        """What the features depend on, beside the image's content."""
        spots = self.section.spots
        return {
            "encoder": self.encoder.spec,
            "encoder_key": self.encoder.key,
            "mpp": self.mpp,
            "spots": fingerprint(spots.xy_um, list(spots.ids)),
        }

    def check(self) -> None:
        """Refuse an image that is not there, is not one, or does not belong to the spots."""
        with open_slide(self.image.path, mpp=self.mpp) as slide:
            _check_inside(self.section, slide)

    def kept(self, path: Path) -> FeatureFile | None:
        return _kept(path, self.stamp(), self.section, turned=self.symmetries)

    def suits(self, kept: FeatureFile) -> bool:
        return kept.turned is not None or not self.symmetries

    def run(self, path: Path | None, kept: FeatureFile | None) -> Section:
        """Encode what is not kept, and write it."""
        ways = (() if kept is not None else (AS_IT_LIES,)) + (tuple(TURNS) if self.symmetries else ())
        devices = [self.encoder.device] if self.device is None else devices_of(self.device, self.encoder)
        journal = None if path is None else self._journal(path, ways, devices[0].type)
        with open_slide(self.image.path, mpp=self.mpp) as slide:
            _check_inside(self.section, slide)
            tell_enlarged(self.encoder, slide.mpp)
            made = encode_tiles(
                self.section.name,
                slide,
                self.section.spots,
                replicas(self.encoder, devices),
                ways=ways,
                batch=self.batch,
                journal=journal,
            )
            about = {**self.stamp(), **_about(self.section, slide, self.encoder)}
        values, turned, readable = _joined(made, kept, symmetries=self.symmetries)
        if path is not None and kept is not None and turned is not None:
            add_turned(path, turned, readable=readable, half=self.half)
        elif path is not None:
            ids, xy_um = self.section.spots.ids, self.section.spots.xy_um
            write_features(path, ids, xy_um, values, about, turned=turned, readable=readable, half=self.half)
        if journal is not None:
            journal.remove()
        if self.half:  # what the file gives next time
            values = values.astype(np.float16).astype(np.float32) if kept is None else values
            turned = None if turned is None else turned.astype(np.float16).astype(np.float32)
        return self.done(values, turned, readable, made.problem)

    def done(
        self, values: np.ndarray, turned: np.ndarray | None, readable: np.ndarray, problem: EosinError | None = None
    ) -> Section:
        card = self.encoder.card
        made = Features(values, self.encoder.spec, self.encoder.key, turned, card.licence, card.commercial)
        return leave_out(self.section.with_features(made), readable, problem)

    def _journal(self, path: Path, ways: tuple[str, ...], kind: str) -> Journal:
        """Beside the file; its rows are of the same batches on the same kind of device, hence equal to the last bit."""
        how = {"ways": ways, "batch": self.batch, "device": kind, "torch": torch.__version__}
        stamp = {**self.stamp(), "image": image_mark(self.image.path), **how}
        return Journal(path.with_name(f"{path.name}.part"), stamp)


def _joined(
    made: Encoded, kept: FeatureFile | None, *, symmetries: bool
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Features [s f], turned [s 7 f] where asked for, and marks [s], of what was made and what was there before."""
    turned = made.values[:, -len(TURNS) :] if symmetries else None
    if kept is None:
        return made.values[:, 0], turned, made.readable
    return kept.values, turned, made.readable & kept.readable


def _state(path: Path) -> tuple[int, int, int] | None:
    """What tells a file from the one that takes its place."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _sweep(path: Path) -> None:
    """Remove what processes that were killed while they wrote the file have left; who holds its lock may."""
    for left in path.parent.glob(f".{glob.escape(path.stem)}-????????{path.suffix}"):  # as `atomic_file` names them
        left.unlink(missing_ok=True)


def _kept(path: Path, stamp: Mapping[str, Any], section: Section, *, turned: bool) -> FeatureFile | None:
    """The features on disk if they are these spots' by this encoder, else None; the log says why."""
    if not path.exists():
        return None
    file, reason = _look(path, stamp, section, turned=turned)
    if file is None:
        _LOG.warning("%s; encoding '%s' again", reason, section.name)
    return file


def _look(path: Path, stamp: Mapping[str, Any], section: Section, *, turned: bool) -> tuple[FeatureFile | None, str]:
    """The features in a file if they are these spots' by this encoder; else None and what is wrong with the file."""
    try:
        file = read_features(path, turned=turned)
    except EosinError as error:
        return None, str(error)
    labels = {"encoder_key": "encoder", "mpp": "scale", "spots": "spots"}
    other = [label for name, label in labels.items() if file.attrs.get(name) != stamp[name]]
    if section.image is not None and not is_marked(section.image.path, file.attrs.get("image")):
        other.append("image")
    return (None, f"{path}: made with another {other[0]}") if other else (file, "")


def _about(section: Section, slide: Slide, encoder: Encoder) -> dict[str, Any]:
    view = encoder.views[0]
    return {
        "name": section.name,
        "image": image_mark(slide.path) or "",
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
