"""Feature files in a cache: where they are, and whether one still belongs to a section, its image and an encoder."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eosin.encoders.base import Encoder
from eosin.errors import EosinError
from eosin.features.feature_file import FeatureFile, read_features
from eosin.features.image_hash import has_hash, image_hash
from eosin.storage.files import fingerprint
from eosin.storage.user_cache import user_cache
from eosin.types import Section

_LOG = logging.getLogger("eosin")
_STAMP_LABELS = {"encoder_key": "encoder", "mpp": "scale", "spots": "spots"}
"""Entries of a stamp that must be the same, and what they are called in the log."""


def place_in_cache(section: Section, *, mpp: float | None = None) -> Path:
    """Folder in the user's cache for the features of one image at one scale and of its spots, by any encoder.

    It is named by a hash of what the image file holds, of the scale and of the spots: two slides of one name do not
    share it, and a slide that was moved keeps it.

    Parameters
    ----------
    section
        The section; one without an image has a place, too, but cannot be encoded.
    mpp
        µm per pixel of the image where it differs from `section.image.mpp`.
    """
    image = None if section.image is None else image_hash(section.image.path)
    scale = mpp or (None if section.image is None else section.image.mpp)
    return user_cache() / fingerprint(image, scale, _hash_of_spots(section))


def feature_path(cache: str | Path, section: str, encoder: Encoder) -> Path:
    """Path of a section's features by an encoder: `{cache}/{encoder}-{hash of key}/{section}.h5`."""
    return Path(cache) / encoder.folder / f"{file_name(section)}.h5"


def file_name(section: str) -> str:
    """A section's name as a file name; where characters were replaced, a hash keeps two sections apart."""
    plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in section)
    return plain if plain == section else f"{plain}-{hashlib.sha256(section.encode()).hexdigest()[:8]}"


def stamp_of(section: Section, encoder: Encoder, mpp: float) -> dict[str, Any]:
    """What the features of a section depend on, apart from its image: attributes of its feature file.

    `mpp` is µm per pixel of the image.
    """
    return {
        "encoder": encoder.spec,
        "encoder_key": encoder.key,
        "mpp": mpp,
        "spots": _hash_of_spots(section),
    }


def _hash_of_spots(section: Section) -> str:
    return fingerprint(section.spots.xy_um, list(section.spots.ids))


def valid_features(path: Path, stamp: Mapping[str, Any], section: Section, *, turned: bool) -> FeatureFile | None:
    """The features in a file if they belong to these spots, this image and this encoder, else None; the log says why.

    Parameters
    ----------
    path
        The file; it need not exist.
    stamp
        What its attributes must agree with (`stamp_of`).
    section
        The section, with its image.
    turned
        Whether to read the features of turned tiles too, where the file holds them.
    """
    if not path.exists():
        return None
    file, problem = look_at(path, stamp, section, turned=turned)
    if file is None:
        _LOG.warning("%s; encoding '%s' again", problem, section.name)
    return file


def look_at(path: Path, stamp: Mapping[str, Any], section: Section, *, turned: bool) -> tuple[FeatureFile | None, str]:
    """As `valid_features`, of a file that is there; without a line in the log, but with what is wrong with the file."""
    try:
        file = read_features(path, turned=turned)
    except EosinError as error:
        return None, str(error)
    differing = [label for name, label in _STAMP_LABELS.items() if file.attrs.get(name) != stamp[name]]
    if section.image is not None and not has_hash(section.image.path, file.attrs.get("image")):
        differing.append("image")
    return (None, f"{path}: made with another {differing[0]}") if differing else (file, "")


def file_state(path: Path) -> tuple[int, int, int] | None:
    """Inode, size and time of change, which differ once another file takes its place; None where there is no file."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
