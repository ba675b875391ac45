"""Encode many sections, each as a job: in this process, or several at a time in processes of their own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from eosin.encoders import Encoder
from eosin.errors import EosinError
from eosin.execution import Done, Execution, Here, Job
from eosin.features import encode_all, find_encoded, place_in_cache
from eosin.types import Section


@dataclass(frozen=True)
class EncodeJob(Job[Section]):
    """One section by one encoder; its feature file is the result, and says whether it is there.

    Attributes
    ----------
    section, encoder, folder, symmetries, device
        As `features.encode` takes them.
    keep
        Return the section with its features; without, memory holds those of one section at a time.
    half
        Store float16.
    also
        Further encoders, fed with the same pixels; a file each.
    """

    section: Section
    encoder: Encoder
    folder: Path
    symmetries: bool = False
    device: str | None = None
    keep: bool = True
    half: bool = False
    also: tuple[Encoder, ...] = ()

    @property
    def name(self) -> str:
        """The section's name."""
        return self.section.name

    def kept(self) -> Section | None:
        """The section with the features of its file, if the file is this encoder's, of these spots and this image."""
        for encoder in (*self.also, self.encoder):
            section = find_encoded(self.section, encoder, self.folder, symmetries=self.symmetries)
            if section is None:
                return None
        return self._returned(section)

    def run(self) -> Section:
        """Encode what the file lacks, and write it."""
        how = {"symmetries": self.symmetries, "device": self.device, "half": self.half}
        encoders = (self.encoder, *self.also)
        return self._returned(encode_all(self.section, encoders, cache=self.folder, **how)[0])

    def _returned(self, section: Section) -> Section:
        return section if self.keep else replace(section, features=None)


def encode_sections(
    sections: Sequence[Section],
    encoder: Encoder,
    *,
    folder: Path | None,
    symmetries: bool = False,
    device: str | None = None,
    keep: bool = True,
    half: bool = False,
    execution: Execution | None = None,
    also: Sequence[Encoder] = (),
) -> list[Section]:
    """Encode every section's spots into one feature file each; what is done is skipped.

    Parameters
    ----------
    sections
        With images.
    encoder, symmetries, device
        As for `features.encode`. Processes that run at the same time each hold a copy of the encoder, and each uses
        the devices that are named.
    folder
        The folder of feature files; None for the user's cache.
    keep
        Return the sections with their features. Without, memory holds those of one section at a time.
    half
        Store float16.
    also
        Further encoders, fed with the same pixels; a file each, which is not returned.
    execution
        Where sections are encoded; one after another in this process by default.

    Returns
    -------
    list of Section
        In the order given, without the spots whose tile cannot be read.

    Raises
    ------
    EosinError
        A section cannot be encoded. In this process the first ends the work; elsewhere the others go on, and the error
        names all that failed.
    """
    folders = [place_in_cache(section) if folder is None else folder for section in sections]
    jobs = [
        EncodeJob(s, encoder, place, symmetries, device, keep, half, tuple(also)) for s, place in zip(sections, folders)
    ]
    encoded: dict[int, Section] = {}
    failed: dict[int, str] = {}
    label = "encode" if len(jobs) > 1 else ""  # a single section has its own bar, of tiles
    with closing((execution or Here()).map(jobs, label=label, unit="sections")) as outcomes:
        for place, outcome in outcomes:
            if isinstance(outcome, Done):
                encoded[place] = outcome.result
            elif outcome.error is not None:
                raise outcome.error
            else:
                failed[place] = outcome.reason
    if failed:
        reasons = "; ".join(f"'{sections[place].name}': {failed[place]}" for place in sorted(failed))
        raise EosinError(f"{len(failed)} of {len(jobs)} sections could not be encoded: {reasons}")
    return [encoded[place] for place in range(len(jobs))]
