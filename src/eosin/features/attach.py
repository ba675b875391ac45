"""Features that are on disk already: ours, TRIDENT's or HEST's, matched to a section's spots."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.features.encoding import file_name
from eosin.features.foreign_tiles import width_of_tiles
from eosin.features.licence import terms_of
from eosin.features.store import FeatureFile, read_features
from eosin.features.unreadable import leave_out
from eosin.types import Features, Section

_TOLERANCE_PX = 1.5
"""Tile corners are whole pixels, and half a tile may be rounded once more."""
_TOLERANCE_DIAMETERS = 0.25
"""How far a spot may lie from where it was encoded, in its diameters: scales that differ by a rounding are let by."""


def attach(section: Section, folder: str | Path, encoder: str, *, turned: bool = False) -> Section | None:
    """The section with the features that a folder holds for it, or None where it holds none.

    Parameters
    ----------
    section
        Its name is the file's; its spots are matched by name, or by position where the file has no names. A spot whose
        tile could not be read when it was encoded is left out.
    folder
        Holds `{section}.h5`, or `{encoder}-{hash}/{section}.h5` as `encode` writes.
    encoder
        Name or key of the encoder. A file that says another key is passed over; one that says none (another tool's)
        is believed to be of this encoder.
    turned
        Also take the features of turned tiles, where they are there.

    Raises
    ------
    EosinError
        Damaged file, spots without features or encoded at another place, or two files that fit.
    """
    found = [(path, read_features(path, turned=turned)) for path in _candidates(section, Path(folder))]
    fitting = [(path, file) for path, file in found if _fits(file, encoder)]
    if not fitting:
        return None
    if len({file.attrs.get("encoder_key") for _, file in fitting}) > 1:
        raise EosinError(
            f"holds features of section '{section.name}' by several settings of '{encoder}'",
            file=folder,
            fix="give the folder of one of them",
        )
    path, file = fitting[0]
    rows = _rows(section, file, path)
    name = str(file.attrs.get("encoder", encoder))
    key = str(file.attrs.get("encoder_key", f"file;encoder={encoder};width={file.values.shape[1]}"))
    made = Features(file.values, name, key, file.turned, *terms_of(file.attrs, encoder))
    whole = len(rows) == len(made.values) and bool((rows == np.arange(len(rows))).all())  # then a copy is spared
    return leave_out(section.with_features(made if whole else made.take(rows)), file.readable[rows])


def _candidates(section: Section, folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise EosinError("no such folder of features", file=folder)
    name = f"{file_name(section.name)}.h5"
    return [path for path in (folder / name, *sorted(folder.glob(f"*/{name}"))) if path.is_file()]


def _fits(file: FeatureFile, encoder: str) -> bool:
    key, spec = file.attrs.get("encoder_key"), file.attrs.get("encoder")
    if key is None:
        return True
    return encoder in (key, spec) or str(spec).partition("?")[0].partition("@")[0] == encoder


def _rows(section: Section, file: FeatureFile, path: Path) -> np.ndarray:
    """For each spot, its row in the file."""
    if file.ids is not None:
        row_of = {name: row for row, name in enumerate(file.ids)}
        rows = np.array([row_of.get(name, -1) for name in section.spots.ids])
    else:
        rows = _by_place(section, file, path)
    if (rows < 0).any():
        first = section.spots.ids[int(np.flatnonzero(rows < 0)[0])]
        raise EosinError(
            f"no features for {int((rows < 0).sum())} of the {len(rows)} spots of section '{section.name}', "
            f"first '{first}'",
            file=path,
            fix="encode the section again",
        )
    _check_places(section, file, rows, path)
    return rows


def _check_places(section: Section, file: FeatureFile, rows: np.ndarray, path: Path) -> None:
    """Refuse features of spots that have the same names but lay elsewhere: other points, or another scale."""
    if file.ids is None or file.centres_um is None:
        return
    apart = np.linalg.norm(file.centres_um[rows] - section.spots.xy_um, axis=1)
    far = np.flatnonzero(~(apart <= section.spots.diameter_um * _TOLERANCE_DIAMETERS))
    if len(far):
        raise EosinError(
            f"{len(far)} of the {len(rows)} spots of section '{section.name}' were encoded at another place, first "
            f"'{section.spots.ids[far[0]]}', {apart[far[0]]:.0f} µm away",
            file=path,
            fix="give the points and the --mpp that were encoded, or encode the section again",
        )


def _by_place(section: Section, file: FeatureFile, path: Path) -> np.ndarray:
    from scipy.spatial import cKDTree

    width = width_of_tiles(file, path)
    if section.image is None or width is None:
        fix = "encode the section again, or add 'barcodes' to the file"
        raise EosinError("has neither spot names nor a tile width to match positions by", file=path, fix=fix)
    centres = file.origins_px + width / 2
    apart, rows = cKDTree(centres).query(section.spots.xy_um / section.image.mpp)
    return np.where(apart <= _TOLERANCE_PX, rows, -1)
