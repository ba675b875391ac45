"""A slide of a cohort as a section: read as its entry and the options that all share say, and called by its id."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from eosin.api.parts.ledger import content_of
from eosin.api.parts.sections import open_target, open_to_predict
from eosin.data.slide_entries import SlideEntry, as_id
from eosin.features import candidates
from eosin.features.image_hash import image_hash
from eosin.options import LayoutOptions, ReadOptions
from eosin.slide import layout_of
from eosin.storage.files import fingerprint
from eosin.types import Section


def section_of_entry(
    entry: SlideEntry, layout: LayoutOptions, reading: ReadOptions, *, encoder: str | None = None
) -> Section:
    """The section of a slide.

    Parameters
    ----------
    layout, reading
        What all slides are told.
    encoder
        Of feature files that stand for a slide and do not name theirs; None refuses such files.

    Raises
    ------
    EosinError
        It cannot be read, or is told what it cannot use.
    """
    told, laid = entry.reading(reading), layout_of(entry.layout(layout))
    if encoder is None:
        section = open_target(entry.path, entry.section, laid, told)
    else:
        section = open_to_predict(entry.path, entry.section, encoder, laid, told)
    if as_id(section.name) == entry.id:
        return section
    patient = entry.id if section.patient == section.name else section.patient
    return replace(section, name=entry.id, patient=patient)


def files_of_entry(entry: SlideEntry, features: str | Path | None = None) -> str:
    """Hash of the files of a slide, of its feature file, and of what its entry says of it; nothing is read whole."""
    own = [content_of(path) for path in (entry.path, entry.points, entry.tissue) if path is not None]
    names = dict.fromkeys(name for name in (entry.id, entry.section) if name is not None)
    found = [] if features is None else [file for name in names for file in candidates(name, Path(features))]
    return fingerprint(own, [str(image_hash(file)) for file in dict.fromkeys(found)], _said(entry))


def content_of_section(entry: SlideEntry, section: Section) -> str:
    """Hash of what was read of one of several sections, whatever else lies beside it."""
    image = None if section.image is None else image_hash(section.image.path)
    return fingerprint(section.fingerprint(), section.patient, str(image), _said(entry))


def _said(entry: SlideEntry) -> list[str]:
    return [str(value) for value in (entry.id, entry.section, entry.patient, entry.mpp, entry.reader)]
