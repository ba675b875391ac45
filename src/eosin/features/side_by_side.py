"""Several encoders over one section: pixels are read and decoded once, and each encoder has a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from eosin.encoders.base import Encoder
from eosin.encoders.composite import Composite
from eosin.features.encode_job import Job, job_of
from eosin.features.encoding import encode
from eosin.features.feature_cache import feature_path, look_at
from eosin.storage.files import remove_partial_files
from eosin.storage.lock import held
from eosin.types import Section


def encode_all(
    section: Section,
    encoders: Sequence[Encoder],
    *,
    cache: Path,
    batch: int = 64,
    half: bool = False,
    symmetries: bool = False,
    device: str | None = None,
) -> list[Section]:
    """The section with features, once for each encoder; files are those that `encode` would write for each.

    Encoders without a file are fed together. An interrupted encoding is resumed where the same ones are still missing.

    Parameters
    ----------
    section, cache, batch, half, symmetries, device
        As for `encode`.
    encoders
        See `get_encoder`.

    Raises
    ------
    EosinError
        As `encode` does.
    """
    how: dict[str, Any] = {"batch": batch, "half": half, "symmetries": symmetries, "device": device}
    jobs = [job_of(section, encoder, **how) for encoder in encoders]
    missing = {feature_path(cache, section.name, job.encoder): job for job in jobs}
    with ExitStack() as locks:
        if sum(_has_none(path, job) for path, job in missing.items()) > 1:
            jobs[0].check()  # before folders are made
            for path in sorted(missing):  # in one order, so that two processes do not wait for each other
                locks.enter_context(held(path))
            missing = {path: job for path, job in missing.items() if _has_none(path, job)}
            if len(missing) > 1:
                _encode_together(missing)
    return [encode(section, encoder, cache=cache, **how) for encoder in encoders]


def _has_none(path: Path, job: Job) -> bool:
    """Whether a job has no features at all; those that lack turned tiles are completed by themselves."""
    return not path.exists() or look_at(path, job.stamp(), job.section, turned=False)[0] is None


def _encode_together(jobs: dict[Path, Job]) -> None:
    """Encode what has no features, and write a file for each."""
    (first_path, first), *_ = jobs.items()
    for path in jobs:
        remove_partial_files(path)
    together = replace(first, encoder=Composite([job.encoder for job in jobs.values()]))
    made = together.compute(first_path, None)
    parts = made.encoder.parts if isinstance(made.encoder, Composite) else (made.encoder,)
    ends = accumulate((part.n_features for part in parts), initial=0)
    for (path, job), part, (start, stop) in zip(jobs.items(), parts, pairwise(ends)):
        job.write(path, None, made.of(part, slice(start, stop)))
    made.done()
