"""One section to encode by one encoder: what its features depend on, computing them, and writing them to a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eosin.encoders.base import Encoder
from eosin.encoders.parts.field_of_view import log_if_enlarged
from eosin.errors import EosinError
from eosin.features.devices import devices_of, replicas
from eosin.features.feature_cache import stamp_of, valid_features
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
from eosin.types import Features, Image, Section


def job_of(
    section: Section,
    encoder: Encoder,
    *,
    batch: int = 1,
    mpp: float | None = None,
    half: bool = False,
    symmetries: bool = False,
    device: str | None = None,
) -> Job:
    """What `encode` has to do; an `EosinError` where the section has no image."""
    if section.image is None:
        raise EosinError(f"section '{section.name}' has no image", fix="give one, or features by --features")
    image, section = section.image, without_spots_off_image(section, mpp, tell=True)
    return Job(section, image, mpp or image.mpp, encoder, batch, half, symmetries, device)


@dataclass(frozen=True)
class Computed:
    """Features as they were computed, before they are in a file.

    Attributes
    ----------
    encoder
        As it is for this slide.
    encoded
        The features.
    facts
        What the encoder took of the slide.
    slide
        Attributes of the feature file that say which image it was.
    journal
        Holds the rows until they are in a file.
    """

    encoder: Encoder
    encoded: Encoded
    facts: Mapping[str, float]
    slide: Mapping[str, Any]
    journal: Journal | None

    def of(self, encoder: Encoder, columns: slice) -> Computed:
        """Those of one encoder of several side by side."""
        part = replace(self.encoded, values=np.ascontiguousarray(self.encoded.values[..., columns]))
        return Computed(encoder, part, dict(encoder.slide_facts), self.slide, None)

    def done(self) -> None:
        """Forget the journal."""
        if self.journal is not None:
            self.journal.remove()


@dataclass(frozen=True)
class Job:
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
        made = self.compute(path, file)
        section = self.write(path, file, made)
        made.done()
        return section

    def compute(self, path: Path | None, file: FeatureFile | None) -> Computed:
        """Encode what `file` does not hold; `path`, if there is one, is where the journal lies."""
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
            return Computed(encoder, encoded, facts, _slide_attributes(slide), journal)

    def write(self, path: Path | None, file: FeatureFile | None, made: Computed) -> Section:
        """Write what was computed, and what `file` holds, to `path` if there is one; the section with its features."""
        values, turned, readable = _combined(made.encoded, file, symmetries=self.symmetries)
        if path is not None and file is not None and turned is not None:
            add_turned(path, turned, readable=readable, half=self.half)
        elif path is not None:
            ids, xy_um = self.section.spots.ids, self.section.spots.xy_um
            attrs = {**self.stamp(), **self._attributes(made.slide), **fact_attributes(made.facts)}
            write_features(path, ids, xy_um, values, attrs, turned=turned, readable=readable, half=self.half)
        if self.half:  # return the rounded numbers that the file will give next time
            values = _rounded(values) if file is None else values
            turned = None if turned is None else _rounded(turned)
        return self.with_features(values, turned, readable, made.facts, made.encoded.problem)

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

    def _attributes(self, slide: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes of the feature file, apart from the stamp; `slide` has those of the image."""
        encoder, view = self.encoder, self.encoder.views[0]
        return {
            "name": self.section.name,
            **slide,
            "tile_um": view.width_um,
            "views": ",".join(map(str, encoder.views)),
            "patch_size": view.px,
            "patch_size_level0": round(view.width_um / self.mpp),
            "licence": encoder.card.licence,
            "commercial": encoder.card.commercial,
            "blocks": ",".join(map(str, encoder.blocks)),
        }

    def _journal(self, path: Path, ways: tuple[str, ...], kind: str, facts: Mapping[str, float]) -> Journal:
        """The journal next to the file; it is valid only for the same batches, kind of device and facts of the slide.

        Its rows then equal, to the last bit, those that would be computed again.
        """
        how = {"ways": ways, "batch": self.batch, "device": kind, "torch": torch.__version__}
        stamp = {**self.stamp(), "image": image_hash(self.image.path), **how, **fact_attributes(facts)}
        return Journal(journal_path(path), stamp)


def journal_path(path: Path) -> Path:
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


def _slide_attributes(slide: Slide) -> dict[str, Any]:
    """Attributes of the feature file that say which image it was."""
    width, height = slide.size_px
    return {
        "image": image_hash(slide.path) or "",
        "level0_width": width,
        "level0_height": height,
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
