"""`eosin.encode_cohort`: every slide of a folder or manifest encoded, one feature file each."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eosin.api.parts.encoded import encoders_of_options
from eosin.api.parts.entry_sections import content_of_section, files_of_entry, section_of_entry
from eosin.api.parts.slide_jobs import CohortResult, Work, do_cohort
from eosin.data.slide_entries import SlideEntry, entries_of
from eosin.encoders import Encoder
from eosin.features import encode_all, feature_path
from eosin.options import CohortOptions, FeatureOptions, LayoutOptions, ReadOptions, takes_options
from eosin.slide import layout_of
from eosin.storage.files import fingerprint
from eosin.types import Section


@dataclass(frozen=True)
class EncodeWork(Work):
    """Encode a slide; its outputs are its feature files, one for each encoder.

    Attributes
    ----------
    encoder, also
        One object each for all slides, fed with the same pixels; they are sent to other processes.
    encoding, layout, reading
        As `eosin.encode` takes them, for all slides.
    """

    encoder: Encoder
    encoding: FeatureOptions
    layout: LayoutOptions
    reading: ReadOptions
    also: tuple[Encoder, ...] = ()

    verb = "encode"

    def key(self) -> str:
        """Hash of the encoders and of all options but the device."""
        told = [asdict(record) for record in (replace(self.encoding, device="auto"), self.layout, self.reading)]
        return fingerprint(",".join(encoder.key for encoder in (self.encoder, *self.also)), told)

    def files(self, entry: SlideEntry) -> str:
        """Hash of the slide."""
        return files_of_entry(entry)

    def content(self, entry: SlideEntry) -> str | None:
        """For one of several sections: hash of the section and its image."""
        return None if entry.section is None else content_of_section(entry, self._open(entry))

    def _open(self, entry: SlideEntry) -> Section:
        return section_of_entry(entry, self.layout, self.reading)

    def make(self, entry: SlideEntry, out: Path) -> tuple[tuple[Path, ...], dict[str, Any]]:
        """Encode what the feature files lack."""
        section = self._open(entry)
        content, symmetries = content_of_section(entry, section), self.encoding.symmetries
        encoders = (self.encoder, *self.also)
        done = encode_all(section, encoders, cache=out, symmetries=symmetries, device=self.encoding.device)[0]
        facts = {"section": done.name, "patient": done.patient, "n_spots": len(done), "content": content}
        return tuple(feature_path(out, section.name, encoder) for encoder in encoders), facts


@takes_options(hide=("features", "match", "match_um", "sections"))
def encode_cohort(
    cohort: str | Path,
    *,
    out: str | Path,
    running: CohortOptions = CohortOptions(),
    encoding: FeatureOptions = FeatureOptions(),
    layout: LayoutOptions = LayoutOptions(),
    reading: ReadOptions = ReadOptions(),
) -> CohortResult:
    """Encode every slide of a cohort into the folder OUT, with `OUT/summary-encode.csv`.

    As `predict_cohort`: what is done is skipped by content, a slide that fails is a line of the summary, a killed run
    goes on, several runs on one folder do each slide once.

    Parameters
    ----------
    cohort
        A folder of slides or sections, or a manifest.
    out
        Folder of the feature files.

    Raises
    ------
    EosinError
        No slide is there, an impossible manifest or option, an unknown encoder.

    Examples
    --------
    >>> result = eosin.encode_cohort("data", out="encoded", encoder="stain?px=96")
    >>> result.records[0]["status"]
    'done'
    """
    encoder, *also = encoders_of_options(encoding)
    layout_of(layout)
    work = EncodeWork(encoder, encoding, layout, replace(reading, sections=None), tuple(also))
    return do_cohort(work, cohort, lambda: entries_of(cohort, reading), Path(out), running)
