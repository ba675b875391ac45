"""Encode a section: read its spots' windows, run the encoder, keep the result in a file."""

from __future__ import annotations

from pathlib import Path

from eosin.encoders.base import Encoder
from eosin.features.encode_job import job_of, journal_path
from eosin.features.feature_cache import feature_path, file_state, look_at
from eosin.storage.files import remove_partial_files
from eosin.storage.lock import clear_left_over, held
from eosin.types import Section


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
    job = job_of(section, encoder, batch=batch, mpp=mpp, half=half, symmetries=symmetries, device=device)
    section = job.section
    if cache is None:
        return job.run(None, None)
    path = feature_path(cache, section.name, encoder)
    state = file_state(path)
    file = job.valid_file(path)
    if file is not None and job.is_complete(file):
        clear_left_over(path, journal_path(path))
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
    job = job_of(section, encoder, mpp=mpp, symmetries=symmetries)
    file, _ = look_at(path, job.stamp(), job.section, turned=symmetries)
    if file is None or not job.is_complete(file):
        return None
    clear_left_over(path, journal_path(path))
    return job.with_file(file)
