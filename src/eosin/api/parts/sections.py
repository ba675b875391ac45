"""Which sections a verb is given: of a path or as records, all or the named ones, one to predict, one to judge by."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eosin import data as door
from eosin.api.parts.bare_image import ON_TISSUE, is_bare_image, need_no_layout, section_of_image
from eosin.errors import EosinError
from eosin.features.feature_section import is_feature_file, section_of_features
from eosin.options import ReadOptions
from eosin.slide import Layout
from eosin.types import Section

log = logging.getLogger("eosin")

Data = str | Path | Sequence[Section]
"""A data folder or file, or sections that were read."""
AS_IT_IS = ReadOptions()


def sections_of(data: Data, reading: ReadOptions) -> list[Section]:
    """The sections of a path, or those that were given as records; all or the named ones."""
    if isinstance(data, str | Path):
        return door.read(data, reading=reading)
    return [section for section in data if reading.sections is None or section.name in reading.sections]


def folder_of(data: Data) -> Path | None:
    """Where the data lies, if it was not given as records."""
    return Path(data) if isinstance(data, str | Path) else None


def open_target(
    path: str | Path, section: str | None = None, layout: Layout = ON_TISSUE, reading: ReadOptions = AS_IT_IS
) -> Section:
    """One section to predict, from a data folder or a bare image."""
    path = Path(path)
    if not path.exists():
        raise EosinError("no such file or folder", file=path, fix="check the path")
    if not (path.is_file() or path.is_dir()):
        raise EosinError("neither a file nor a folder", file=path, fix="give an image, or a folder of sections")
    if is_bare_image(path, reading.reader):
        return section_of_image(path, layout, mpp=reading.mpp).said_to_be_of(reading.patient)
    need_no_layout(layout, path)
    names = None if section is None else [section]
    if names is None:
        names = door.reader_for(path, reading).names(path)
        if len(names) > 1:
            listed = "|".join(names[:8])
            fix = f"name one: --section {listed}; or let -o name a folder, to predict all"
            raise EosinError(f"holds {len(names)} sections", file=path, fix=fix)
    return door.read(path, reading=replace(reading, sections=names))[0]


def open_to_predict(
    path: str | Path, section: str | None, encoder: str, layout: Layout, reading: ReadOptions
) -> Section:
    """As `open_target`, or the section of a feature file, whose features come with it; `encoder` names them."""
    if reading.reader is None and is_feature_file(path):
        return section_of_features(path, encoder, mpp=reading.mpp).said_to_be_of(reading.patient)
    return open_target(path, section, layout, reading)


def truth_of(predicted: str, truth: Data, reading: ReadOptions = AS_IT_IS) -> Section:
    """The measured section that a prediction is of: the one of its name, or the only one there under its name."""
    if isinstance(truth, str | Path):
        names = door.reader_for(truth, reading).names(Path(truth))
        wanted = predicted if predicted in names else names[0]
        if len(names) > 1 and wanted != predicted:
            raise EosinError(f"has no section '{predicted}'", file=truth, fix="give the data that the prediction is of")
        (section,) = door.read(truth, reading=replace(reading, sections=(wanted,)))
        return _called(section, predicted)
    for section in truth:
        if section.name == predicted:
            return section
    if len(truth) == 1:
        return _called(truth[0], predicted)
    raise EosinError(f"no section is called '{predicted}'", fix="give the section that the prediction is of")


def _called(section: Section, name: str) -> Section:
    """The only section there under the prediction's name; said, as the names differ."""
    if section.name == name:
        return section
    log.info("the prediction of '%s' is compared with '%s', the only section there", name, section.name)
    return replace(section, name=name)
