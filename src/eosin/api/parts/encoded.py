"""Sections with their features: those they have, those of a folder, or freshly made ones."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from eosin import engine
from eosin.encoders import Encoder, get_encoder
from eosin.encoders.base import ENCODERS
from eosin.encoders.parts.field_of_view import with_tile
from eosin.encoders.parts.spec_text import split_list
from eosin.errors import EosinError
from eosin.features import EXACT, TileMatch, attach, encoders_of, need_commercial, place_in_cache
from eosin.features import encode as encode_section
from eosin.features.feature_file import stay_on_disk
from eosin.options import FeatureOptions
from eosin.storage.lazy_rows import LazyRows
from eosin.storage.user_cache import user_cache
from eosin.types import Section

log = logging.getLogger("eosin")

Settings = Mapping[str, Mapping[str, Any]]
"""Tables `model` and `train`."""


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
    match: TileMatch = EXACT,
) -> list[Section]:
    """The sections with features: those they have, else those of the folder, else freshly made ones.

    Parameters
    ----------
    symmetries
        With those of the turned tiles: of the folder where they are there, and freshly made.
    commercial_only
        Refuse features whose licence does not allow commercial use, or is not known; an encoder, before it is used.
    match
        How tiles of the folder are put onto spots.
    """
    if match != EXACT and features is None:
        raise EosinError("--match has no use without --features", fix="give the folder of feature files as well")
    n_spots = sum(len(section) for section in sections)
    if all(section.features is not None for section in sections):
        ready = list(sections)
    elif features is not None:
        ready = _from_folder(sections, encoder, Path(features), symmetries=symmetries, match=match)
    else:
        built = get_encoder(encoder)
        if commercial_only:
            need_commercial_encoder(built)
        say_once_where(user_cache())
        ready = [_encoded(s, built, symmetries=symmetries, n_spots=n_spots) for s in sections]
    if commercial_only:
        _need_commercial_features(ready)
    if any(isinstance(section.need_features().values, LazyRows) for section in ready):
        log.info("features stay on disk: in memory they would take more than 1 GiB")
    return ready


def _encoded(section: Section, encoder: Encoder, *, symmetries: bool, n_spots: int) -> Section:
    """A section with features of the cache, which stay there where those of all sections are large."""
    place = place_in_cache(section)
    encoded = encode_section(section, encoder, cache=place, symmetries=symmetries)
    if symmetries or not stay_on_disk(n_spots, encoded.need_features().values.shape[1]):
        return encoded
    return attach(section, place, encoder.key, n_spots=n_spots) or encoded


@cache
def say_once_where(place: Path) -> None:
    """A line in the log with the place of features that nobody gave a place; once for each."""
    log.info("features are kept in %s (another place: EOSIN_CACHE)", place)


def _from_folder(
    sections: Sequence[Section], encoder: str | Encoder, folder: Path, *, symmetries: bool, match: TileMatch
) -> list[Section]:
    """The sections with the folder's features; the encoder, maybe gated, is only built where its name finds none."""
    name = encoder if isinstance(encoder, str) else encoder.spec
    how: Any = {"turned": symmetries, "match": match, "n_spots": sum(map(len, sections))}
    attached = [attach(section, folder, name, **how) for section in sections]
    if None not in attached:
        return [section for section in attached if section is not None]
    built = get_encoder(encoder)  # its settings may be written otherwise: its key tells
    ready = []
    for section, known in zip(sections, attached):
        with_key = known or attach(section, folder, built.key, **how)
        if with_key is None:
            there = "".join(f", or give --encoder {shlex.quote(other)}" for other in encoders_of(section, folder)[:3])
            raise EosinError(
                f"has no features of encoder '{built.card.name}' for section '{section.name}'",
                file=folder,
                fix=f"run eosin encode DATA -o {folder} --encoder {shlex.quote(name)}{there}",
            )
        ready.append(with_key)
    return ready


def encoders_of_options(encoding: FeatureOptions) -> list[Encoder]:
    """The encoders that options name, one or several by commas, each once.

    Raises
    ------
    EosinError
        An unknown encoder or setting, or one whose licence is not commercial where that is asked for.
    """
    given = {} if encoding.precision is None else {"precision": encoding.precision}
    named = encoding.encoder
    specs = split_list(named, ENCODERS.__contains__) if isinstance(named, str) else [named]
    made = [get_encoder(with_tile(spec, encoding.tile_um), **given) for spec in specs]
    for encoder in made if encoding.commercial_only else ():
        need_commercial_encoder(encoder)
    return list({encoder.key: encoder for encoder in made}.values())


def need_commercial_encoder(encoder: Encoder) -> None:
    """Refuse an encoder whose licence does not allow commercial use, or is not known."""
    card = encoder.card
    need_commercial(f"encoder '{card.name}'", card.licence, commercial=card.commercial)


def _need_commercial_features(sections: Sequence[Section]) -> None:
    for section in sections:
        features = section.need_features()
        what = f"section '{section.name}': encoder '{features.encoder}'"
        need_commercial(what, features.licence, commercial=features.commercial)
