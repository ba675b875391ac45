"""Encode a section: read its spots' windows, run the encoder, keep the result in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eosin.encoders.base import Encoder
from eosin.encoders.parts.field_of_view import log_if_enlarged
from eosin.errors import EosinError
from eosin.features.devices import devices_of, replicas
from eosin.features.feature_cache import (
    feature_path,
    file_state,
    look_at,
    stamp_of,
    valid_features,
)
from eosin.features.feature_file import FeatureFile
from eosin.features.feature_writing import add_turned, write_features
from eosin.features.image_hash import image_hash
from eosin.features.journal import Journal
from eosin.features.on_tissue import warn_of_spots_off_tissue
from eosin.features.slide_facts import fact_attributes, facts_in
from eosin.features.slide_sample import adapted
from eosin.features.stream import Encoded, encode_tiles
from eosin.features.turns import TURNS, UNTURNED
from eosin.features.unreadable import without_unreadable
from eosin.slide import (
    BY_DATA,
    Slide,
    check_same_picture,
    describe_outside,
    open_slide,
    spots_off_image,
    without_spots_off_image,
)
from eosin.storage.files import remove_partial_files
from eosin.storage.lock import clear_left_over, held
from eosin.types import Features, Image, Section


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
    """The section with features, without the spots off the image and those whose tile cannot be read.

    Parameters
    ----------
    section
        With an image; the image file is read only where the cache does not hold the features.
    encoder
        See `get_encoder`.
    cache
        Folder of feature files `{cache}/{encoder}-{hash of key}/{section}.h5`. A file of the same encoder key, spots,
        positions, scale and image is used as it is; a damaged or outdated one is replaced, and the log says so. Turned
        tiles that are wanted and missing are added to a file. An interrupted encoding is resumed and gives the same
        file; while another process writes the file, this one waits for it.
    batch
        Spots per call of the encoder.
    mpp
        µm per pixel of the image where it differs from `section.image.mpp`.
    half
        Store float16.
    symmetries
        Also encode every tile under the seven flips and quarter turns (`eosin.features.turns`), all views of a spot
        together: `Features.turned`, for training with `augment`. `Features.values` stays the same.
    device
        Where to compute: `auto`, or names separated by commas (`eosin.features.devices`); None leaves the encoder where
        it is.

    Raises
    ------
    EosinError
        No image, an image that cannot be read, most spots outside the image, or a file that cannot be written.
    """
    if section.image is None:
        raise EosinError(f"section '{section.name}' has no image", fix="give one, or features by --features")
    image, section = section.image, without_spots_off_image(section, mpp, tell=True)
    job = _Job(section, image, mpp or image.mpp, encoder, batch, half, symmetries, device)
    if cache is None:
        return job.run(None, None)
    path = feature_path(cache, section.name, encoder)
    state = file_state(path)
    file = job.valid_file(path)
    if file is not None and job.is_complete(file):
        clear_left_over(path, _journal_path(path))
        return job.with_file(file)
    job.check()  # before a folder is made for it
    with held(path):
        if file_state(path) != state:  # another process wrote the file in the meantime
            file = job.valid_file(path)
            if file is not None and job.is_complete(file):
                return job.with_file(file)
        remove_partial_files(path)
        return job.run(path, file)


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
    image, section = section.image, without_spots_off_image(section, mpp, tell=True)
    job = _Job(section, image, mpp or image.mpp, encoder, 1, False, symmetries, None)
    file, _ = look_at(path, job.stamp(), section, turned=symmetries)
    if file is None or not job.is_complete(file):
        return None
    clear_left_over(path, _journal_path(path))
    return job.with_file(file)


@dataclass(frozen=True)
class _Job:
    """One section to encode, and how; attributes as the arguments of `encode`, `image` with the section's own scale."""

    section: Section
    image: Image
    mpp: float
    encoder: Encoder
    batch: int
    half: bool
    symmetries: bool
    device: str | None

    def stamp(self) -> dict[str, Any]:
        """What the features depend on, apart from the image."""
        return stamp_of(self.section, self.encoder, self.mpp)

    def told_by(self) -> str:
        """Where the scale of the image comes from, in words."""
        bare = self.section.platform == "image"
        return "as given" if bare or self.mpp != self.image.mpp else BY_DATA

    def check(self) -> None:
        """Refuse an image that is missing, is not one, or does not contain the spots."""
        with open_slide(self.image.path, mpp=self.mpp, told_by=self.told_by()) as slide:
            _check_inside(self.section, slide)

    def valid_file(self, path: Path) -> FeatureFile | None:
        """The features in a file, if they belong to this job; see `valid_features`."""
        return valid_features(path, self.stamp(), self.section, turned=self.symmetries)

    def is_complete(self, file: FeatureFile) -> bool:
        """Whether a file holds all that is wanted: turned tiles too, where they are."""
        return file.turned is not None or not self.symmetries

    def run(self, path: Path | None, file: FeatureFile | None) -> Section:
        """Encode what `file`, the valid features at `path`, does not hold, and write it to `path` if there is one."""
        ways = (() if file is not None else (UNTURNED,)) + (tuple(TURNS) if self.symmetries else ())
        devices = [self.encoder.device] if self.device is None else devices_of(self.device, self.encoder)
        with open_slide(self.image.path, mpp=self.mpp, told_by=self.told_by()) as slide:
            _check_inside(self.section, slide)
            if self.image.reduced is not None:
                check_same_picture(slide, self.image.reduced)
            warn_of_spots_off_tissue(self.section, slide)
            log_if_enlarged(self.encoder, slide.mpp)
            encoder = adapted(self.encoder.to(devices[0]), slide, self.section.spots.xy_um, self.section.name)
            facts = dict(encoder.slide_facts)
            journal = None if path is None else self._journal(path, ways, devices[0].type, facts)
            encoded = encode_tiles(
                self.section.name,
                slide,
                self.section.spots,
                replicas(encoder, devices),
                ways=ways,
                batch=self.batch,
                journal=journal,
            )
            attrs = {**self.stamp(), **_file_attributes(self.section, slide, self.encoder), **fact_attributes(facts)}
        values, turned, readable = _combined(encoded, file, symmetries=self.symmetries)
        if path is not None and file is not None and turned is not None:
            add_turned(path, turned, readable=readable, half=self.half)
        elif path is not None:
            ids, xy_um = self.section.spots.ids, self.section.spots.xy_um
            write_features(path, ids, xy_um, values, attrs, turned=turned, readable=readable, half=self.half)
        if journal is not None:
            journal.remove()
        if self.half:  # return the rounded numbers that the file will give next time
            values = _rounded(values) if file is None else values
            turned = None if turned is None else _rounded(turned)
        return self.with_features(values, turned, readable, facts, encoded.problem)

    def with_file(self, file: FeatureFile) -> Section:
        """The section with the features of a file, without unreadable spots."""
        return self.with_features(np.asarray(file.values), file.turned, file.readable, facts_in(file.attrs))

    def with_features(
        self,
        values: np.ndarray,
        turned: np.ndarray | None,
        readable: np.ndarray,
        facts: Mapping[str, float],
        problem: EosinError | None = None,
    ) -> Section:
        """The section with features [s f], those of turned tiles [s 7 f] and facts, without unreadable spots."""
        card = self.encoder.card
        spec, key, blocks = self.encoder.spec, self.encoder.key, self.encoder.blocks
        features = Features(values, spec, key, turned, card.licence, card.commercial, blocks, facts)
        return without_unreadable(self.section.with_features(features), readable, problem)

    def _journal(self, path: Path, ways: tuple[str, ...], kind: str, facts: Mapping[str, float]) -> Journal:
        """The journal next to the file; it is valid only for the same batches, kind of device and facts of the slide.

        Its rows then equal, to the last bit, those that would be computed again.
        """
        how = {"ways": ways, "batch": self.batch, "device": kind, "torch": torch.__version__}
        stamp = {**self.stamp(), "image": image_hash(self.image.path), **how, **fact_attributes(facts)}
        return Journal(_journal_path(path), stamp)


def _journal_path(path: Path) -> Path:
    """Where the rows of an unfinished feature file are."""
    return path.with_name(f"{path.name}.part")


def _combined(
    encoded: Encoded, file: FeatureFile | None, *, symmetries: bool
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Features [s f], turned [s 7 f] where wanted, and readable [s], from what was encoded and what the file held."""
    turned = encoded.values[:, -len(TURNS) :] if symmetries else None
    if file is None:
        return encoded.values[:, 0], turned, encoded.readable
    return np.asarray(file.values), turned, encoded.readable & file.readable


def _rounded(values: np.ndarray) -> np.ndarray:
    """Values rounded to float16, as float32."""
    return values.astype(np.float16).astype(np.float32)


def _file_attributes(section: Section, slide: Slide, encoder: Encoder) -> dict[str, Any]:
    """Attributes of the feature file, apart from the stamp."""
    view = encoder.views[0]
    return {
        "name": section.name,
        "image": image_hash(slide.path) or "",
        "tile_um": view.width_um,
        "views": ",".join(map(str, encoder.views)),
        "patch_size": view.px,
        "patch_size_level0": round(view.width_um / slide.mpp),
        "level0_width": slide.size_px[0],
        "level0_height": slide.size_px[1],
        "licence": encoder.card.licence,
        "commercial": encoder.card.commercial,
        "blocks": ",".join(map(str, encoder.blocks)),
    }


def _check_inside(section: Section, slide: Slide) -> None:
    """Refuse spots whose centre is off the image: few were left out before, so scale or image are wrong."""
    outside = spots_off_image(section, slide.mpp)
    if outside.any():
        width, height = slide.size_um
        raise EosinError(
            f"section '{section.name}': {describe_outside(section, outside)}, which is {width:.0f} x {height:.0f} µm "
            f"at {slide.mpp:.4g} µm per pixel",
            file=slide.path,
            fix="check that the image belongs to these spots, and give its scale by --mpp",
        )
