"""Features from files of eosin, TRIDENT or HEST, matched to the spots of a section."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eosin.encoders.base import ENCODERS, hash_of_key, readable_name
from eosin.encoders.parts.spec_text import split_spec, without_weights
from eosin.encoders.parts.versions import is_earlier, with_version, without_version
from eosin.errors import EosinError
from eosin.features.feature_cache import file_name
from eosin.features.feature_file import FeatureFile, read_attributes, read_features, stay_on_disk
from eosin.features.feature_section import features_of, key_of
from eosin.features.foreign_tiles import width_of_tiles
from eosin.features.same_slide import check_same_slide
from eosin.features.tile_matching import EXACT, TileMatch, weights_of_tiles
from eosin.features.unreadable import without_unreadable
from eosin.slide import without_spots_off_image
from eosin.types import Section

_LOG = logging.getLogger("eosin")
_TOLERANCE_PX = 1.5
"""Corners of tiles are whole pixels, and half a tile may be rounded once more."""
_TOLERANCE_DIAMETERS = 0.25
"""How far a spot may lie from where it was encoded, in diameters: scales may differ by rounding."""


def attach(
    section: Section,
    folder: str | Path,
    encoder: str,
    *,
    turned: bool = False,
    match: TileMatch = EXACT,
    n_spots: int = 0,
) -> Section | None:
    """The section with its features from a folder, or None where the folder holds none.

    Parameters
    ----------
    section
        Its name is that of the file. Its spots are matched by name, or by position where the file has no names. Spots
        off the image and those whose tile could not be read when they were encoded are left out.
    folder
        Holds `{section}.h5`, or `{encoder}-{hash}/{section}.h5` as `encode` writes.
    encoder
        Name, spec or key of the encoder. Files of another encoder are ignored, damaged ones with a note; a file without
        a key, which another tool wrote, is taken to be of this one. A name or spec without a version takes files of the
        newest version, and where there are none those of an earlier one, with a note.
    turned
        Also read the features of turned tiles, where the file holds them.
    match
        How tiles are put onto spots. By another way than `exact`, spots without a tile near enough are left out with a
        note.
    n_spots
        Spots of all sections that are read together. Where their features would take more than 1 GiB, they stay in
        their files, and rows are read as they are asked for.

    Raises
    ------
    EosinError
        Damaged file of the encoder, spots without features or encoded at another position, or files by several
        settings of the encoder.
    """
    fitting, notes = _fitting(section, Path(folder), encoder)
    if not fitting:
        return None
    section = without_spots_off_image(section, tell=True)
    if len(set(fitting.values())) > 1:
        raise EosinError(
            f"holds features of section '{section.name}' by several settings of '{encoder}'",
            file=folder,
            fix="give the folder of one of them",
        )
    path = next(iter(fitting))
    _, width = read_attributes(path)
    large = match.how == "exact" and stay_on_disk(max(n_spots, len(section)), width)
    file = read_features(path, turned=turned, on_disk=large)
    section = replace(section, notes=(*section.notes, *notes))
    if match.how != "exact":
        return _put_onto_spots(section, file, path, encoder, match)
    rows = _rows(section, file, path)
    features = features_of(file, encoder)
    in_file_order = len(rows) == len(features.values) and bool((rows == np.arange(len(rows))).all())
    features = features if in_file_order else features.take(rows)  # a copy is avoided where possible
    attached = replace(section, features=features)
    return without_unreadable(attached, file.readable[rows])


def _put_onto_spots(section: Section, file: FeatureFile, path: Path, encoder: str, match: TileMatch) -> Section:
    """The section with features of tiles on a grid of their own; without the spots that have no tile."""
    weights = weights_of_tiles(section, file, path, match)
    tiles = features_of(file, encoder)
    turned = tiles.turned
    if turned is not None:
        turned = (weights @ turned.reshape(len(turned), -1)).reshape(-1, *turned.shape[1:]).astype(np.float32)
    values = (weights @ np.asarray(tiles.values)).astype(np.float32)
    covered = np.diff(weights.indptr) > 0
    note = f"features of {match.how} tiles ({len(file.values)} of {path.name})"
    if not covered.all():
        note += f"; {np.count_nonzero(~covered)} of {len(section)} spots have no tile near enough and were left out"
    _LOG.info("section '%s': %s", section.name, note)
    attached = replace(section, features=replace(tiles, values=values, turned=turned), notes=(*section.notes, note))
    return attached if covered.all() else attached.take(np.flatnonzero(covered))


def _fitting(section: Section, folder: Path, encoder: str) -> tuple[dict[Path, str], list[str]]:
    """Files of the encoder with their keys, and a note for each damaged file that is not, or need not be, its own.

    Only attributes are read: tables of other encoders take time and may be damaged.
    """
    fitting: dict[Path, str] = {}
    damaged: list[EosinError] = []
    notes = []
    for path in candidates(section.name, folder):
        try:
            attrs, width = read_attributes(path)
        except EosinError as error:
            whose = _owner(path, encoder)
            if whose is True:
                raise
            notes.append(f"{error}; left out")
            damaged += [error] if whose is None else []
            continue
        if _fits(attrs, encoder):
            fitting[path] = key_of(attrs, encoder, width)
    if damaged and not fitting:
        raise damaged[0]
    newest = {path: key for path, key in fitting.items() if not is_earlier(key)}
    if newest and without_version(encoder) == encoder:
        fitting = newest
    elif fitting and with_version(encoder, next(iter(fitting.values()))) != encoder:
        notes.append(f"features of an earlier version of encoder '{encoder}'; encode again for the newest")
    for note in notes:
        _LOG.warning("section '%s': %s", section.name, note)
    return fitting, notes


def candidates(section: str, folder: Path) -> list[Path]:
    """Feature files that are of a section by their names, in a folder and in those within it.

    Raises
    ------
    EosinError
        There is no such folder.
    """
    if not folder.is_dir():
        raise EosinError("no such folder of features", file=folder)
    name = f"{file_name(section)}.h5"
    return [path for path in (folder / name, *sorted(folder.glob(f"*/{name}"))) if path.is_file()]


def _owner(path: Path, encoder: str) -> bool | None:
    """Whether a file that cannot be read is of the encoder, as its folder `{encoder}-{hash of key}` says; or None."""
    folder = re.fullmatch(r"(?P<name>.+)-(?P<hash>[0-9a-f]{12})", path.parent.name)
    if folder is None:
        return None
    names = [without_weights(part) for part in split_spec(encoder, ENCODERS.__contains__)]
    return folder["name"] == readable_name("+".join(names)) or folder["hash"] == hash_of_key(encoder)


def _fits(attrs: Mapping[str, Any], encoder: str) -> bool:
    key, spec = attrs.get("encoder_key"), attrs.get("encoder")
    if key is None:
        return True
    spec = with_version(str(spec), str(key))
    return encoder in (key, spec, without_version(spec)) or without_weights(spec) == encoder


def encoders_of(section: Section, folder: str | Path) -> list[str]:
    """Specs of the encoders of which a folder holds features of a section; those of other tools do not say it."""
    found: dict[str, None] = {}
    for path in candidates(section.name, Path(folder)):
        try:
            attrs, _ = read_attributes(path)
        except EosinError:
            continue
        if "encoder" in attrs and "encoder_key" in attrs:
            found[with_version(str(attrs["encoder"]), str(attrs["encoder_key"]))] = None
    return list(found)


def _rows(section: Section, file: FeatureFile, path: Path) -> np.ndarray:
    """Row in the file of each spot, int64 [s]."""
    if file.ids is not None:
        row_of = {name: row for row, name in enumerate(file.ids)}
        rows = np.array([row_of.get(name, -1) for name in section.spots.ids])
    else:
        rows = _rows_by_position(section, file, path)
    if (rows < 0).any():
        first = section.spots.ids[int(np.flatnonzero(rows < 0)[0])]
        raise EosinError(
            f"no features for {int((rows < 0).sum())} of the {len(rows)} spots of section '{section.name}', "
            f"first '{first}'",
            file=path,
            fix="encode the section again",
        )
    _check_positions(section, file, rows, path)
    return rows


def _check_positions(section: Section, file: FeatureFile, rows: np.ndarray, path: Path) -> None:
    """Refuse features of spots with the same names at other positions: other points, or another scale."""
    if file.ids is None or file.centres_um is None:
        return
    distance_um = np.linalg.norm(file.centres_um[rows] - section.spots.xy_um, axis=1)
    far = np.flatnonzero(~(distance_um <= section.spots.diameter_um * _TOLERANCE_DIAMETERS))
    if len(far):
        raise EosinError(
            f"{len(far)} of the {len(rows)} spots of section '{section.name}' were encoded at another place, first "
            f"'{section.spots.ids[far[0]]}', {distance_um[far[0]]:.0f} µm away",
            file=path,
            fix="give the points and the --mpp that were encoded, or encode the section again",
        )


def _rows_by_position(section: Section, file: FeatureFile, path: Path) -> np.ndarray:
    """Row in the file of the tile centred at each spot, int64 [s]; -1 where there is none."""
    from scipy.spatial import cKDTree

    width = width_of_tiles(file, path)
    if section.image is None or width is None:
        fix = "encode the section again, or add 'barcodes' to the file"
        raise EosinError("has neither spot names nor a tile width to match positions by", file=path, fix=fix)
    check_same_slide(section, file, path)
    centres = file.origins_px + width / 2
    distance_px, rows = cKDTree(centres).query(section.spots.xy_um / section.image.mpp)
    return np.where(distance_px <= _TOLERANCE_PX, rows, -1)
