"""What a verb is given, opened: paths or records become sections, with their features and small images."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from eosin import data as door
from eosin import engine
from eosin.data.reader import Reading, blame
from eosin.encoders import Encoder, get_encoder
from eosin.errors import EosinError
from eosin.features import attach, need_commercial
from eosin.features import encode as encode_section
from eosin.slide import Layout, OnTissue, open_slide
from eosin.types import Image, Prediction, Section

log = logging.getLogger("eosin")

CACHE = Path("eosin-cache")
"""Where features go that nobody gave a place, below the current folder."""

Settings = Mapping[str, Mapping[str, Any]]
Data = str | Path | Sequence[Section]
ON_TISSUE = OnTissue()
"""A square lattice, 100 µm apart, on the tissue that is found."""


def sections_of(
    data: Data,
    sections: Sequence[str] | None,
    reader: str | None,
    mpp: float | None,
    **how: Unpack[Reading],
) -> list[Section]:
    """The sections of a path, or those that were given as records; all or the named ones."""
    need_reading(how)
    if isinstance(data, str | Path):
        return door.read(data, reader=reader, sections=sections, mpp=mpp, **how)
    return [one for one in data if sections is None or one.name in sections]


def need_reading(how: Mapping[str, Any]) -> None:
    """Refuse what no reader can be told: a verb takes it in by name, and a typing error must not pass unnoticed."""
    if unknown := sorted(set(how) - set(Reading.__annotations__)):
        raise TypeError(f"unexpected keyword argument '{unknown[0]}'")


def folder_of(data: Data) -> Path | None:
    """Where the data lies, if it was not given as records."""
    return Path(data) if isinstance(data, str | Path) else None


def shows_turned(model: str, tables: Settings | None) -> bool:
    """Whether a model's training shows turned tiles; refuses an unknown model or setting."""
    _, resolved = engine.resolve(model, tables)
    return engine.TrainSettings.of(resolved["train"]).augment > 0


def with_features(
    sections: Sequence[Section],
    encoder: str | Encoder,
    features: str | Path | None,
    *,
    symmetries: bool = False,
    commercial_only: bool = False,
) -> list[Section]:
    """The sections with features: those they have, else those of the folder, else freshly made ones.

    Parameters
    ----------
    symmetries
        With those of the turned tiles: of the folder where they are there, and freshly made.
    commercial_only
        Refuse features whose licence does not allow commercial use, or is not known; an encoder, before it is used.
    """
    if all(section.features is not None for section in sections):
        ready = list(sections)
    elif features is not None:
        ready = _from_folder(sections, encoder, Path(features), symmetries=symmetries)
    else:
        machine = get_encoder(encoder)
        if commercial_only:
            need_commercial_encoder(machine)
        log.info("features are kept in %s", CACHE.resolve())
        ready = [encode_section(section, machine, cache=CACHE, symmetries=symmetries) for section in sections]
    if commercial_only:
        _need_commercial_features(ready)
    return ready


def _from_folder(
    sections: Sequence[Section], encoder: str | Encoder, folder: Path, *, symmetries: bool
) -> list[Section]:
    name = encoder if isinstance(encoder, str) else encoder.spec
    named = [attach(section, folder, name, turned=symmetries) for section in sections]
    missing = next((section for section, found in zip(sections, named) if found is None), None)
    if missing is not None:  # else the encoder itself, maybe gated, is not needed
        machine = get_encoder(encoder)  # its settings may be written otherwise: its key tells
        named = [
            found or attach(section, folder, machine.key, turned=symmetries) for section, found in zip(sections, named)
        ]
        missing = next((section for section, found in zip(sections, named) if found is None), None)
        if missing is not None:
            raise EosinError(
                f"has no features of encoder '{machine.card.name}' for section '{missing.name}'",
                file=folder,
                fix=f"run eosin encode DATA -o {folder} --encoder {shlex.quote(name)}",
            )
    return [found for found in named if found is not None]


def need_commercial_encoder(encoder: Encoder) -> None:
    """Refuse an encoder whose licence does not allow commercial use, or is not known."""
    card = encoder.card
    need_commercial(f"encoder '{card.name}'", card.licence, commercial=card.commercial)


def _need_commercial_features(sections: Sequence[Section]) -> None:
    for section in sections:
        features = section.need_features()
        what = f"section '{section.name}': encoder '{features.encoder}'"
        need_commercial(what, features.licence, commercial=features.commercial)


def open_target(
    path: str | Path,
    section: str | None = None,
    layout: Layout = ON_TISSUE,
    reader: str | None = None,
    mpp: float | None = None,
    **how: Unpack[Reading],
) -> Section:
    """One section to predict, from a data folder or a bare image."""
    path = Path(path)
    if not path.exists():
        raise EosinError("no such file or folder", file=path, fix="check the path")
    if not (path.is_file() or path.is_dir()):
        raise EosinError("neither a file nor a folder", file=path, fix="give an image, or a folder of sections")
    if is_bare_image(path, reader):
        return section_of_image(path, layout, mpp=mpp)
    need_no_layout(layout, path)
    names = None if section is None else [section]
    if names is None:
        chosen, _ = door.recognise(path, reader)
        names = chosen.names(path)
        if len(names) > 1:
            raise EosinError(
                f"holds {len(names)} sections", file=path, fix="name one: --section " + "|".join(names[:8])
            )
    return door.read(path, reader=reader, sections=names, mpp=mpp, **how)[0]


def is_bare_image(data: Data, reader: str | None = None) -> bool:
    """Whether what is given is an image file, not measured sections."""
    if not isinstance(data, str | Path) or reader is not None:
        return False
    return Path(data).is_file() and Path(data).suffix.lower() not in {".h5ad", ".h5"}


def need_no_layout(layout: Layout, path: Path) -> None:
    """Refuse a wish where spots should lie if they have been measured."""
    if layout != ON_TISSUE:
        fix = "leave out --lattice, --pitch-um, --spot-um, --points and --tissue, or give the image alone"
        raise EosinError("holds measured sections, whose spots are where they were measured", file=path, fix=fix)


def name_of_image(path: Path) -> str:
    """What the section of a bare image is called: its file name without the format."""
    stem = path.stem.removesuffix(".ome") if path.stem.strip(".") else path.name
    return stem or path.name


def section_of_image(path: str | Path, layout: Layout = ON_TISSUE, *, mpp: float | None = None) -> Section:
    """A section without counts: spots laid on a bare image."""
    with blame(path), open_slide(path, mpp=mpp) as slide:
        spots = layout.lay(slide)
        image = Image(Path(path), slide.mpp)
    name = name_of_image(Path(path))
    log.info("%s: %d spots, %g µm wide", name, len(spots), spots.diameter_um)
    return Section(name, name, spots, image=image, platform="image")


def truth_of(
    prediction: Prediction,
    truth: Data,
    reader: str | None = None,
    mpp: float | None = None,
    **how: Unpack[Reading],
) -> Section:
    """The measured section that a prediction is of."""
    need_reading(how)
    if isinstance(truth, str | Path):
        chosen, _ = door.recognise(truth, reader)
        names = chosen.names(Path(truth))
        wanted = prediction.section if prediction.section in names else names[0]
        if len(names) > 1 and wanted != prediction.section:
            raise EosinError(
                f"has no section '{prediction.section}'", file=truth, fix="give the data that the prediction is of"
            )
        return door.read(truth, reader=reader, sections=[wanted], mpp=mpp, **how)[0]
    for section in truth:
        if section.name == prediction.section:
            return section
    raise EosinError(f"no section is called '{prediction.section}'", fix="give the section that the prediction is of")


def thumbnails(predictions: Sequence[Prediction], max_px: int = 700) -> dict[str, tuple[Any, float]]:
    """A small image of each prediction's slide, and its scale in µm per pixel."""
    found = {}
    for prediction in predictions:
        if prediction.image is not None and prediction.image.path.is_file():
            with open_slide(prediction.image.path, mpp=prediction.image.mpp) as slide:
                found[prediction.section] = slide.thumbnail(max_px)
    return found
