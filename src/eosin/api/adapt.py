"""`eosin.adapt`: a few measured spots of a new patient update a trained model."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from eosin import engine
from eosin.api.parts.encoded import with_features
from eosin.api.parts.outputs import need_folder, need_no_checkpoint, need_other_file
from eosin.api.parts.sections import open_target
from eosin.config import need_seed
from eosin.engine import Trained
from eosin.errors import EosinError
from eosin.features import TileMatch, need_commercial
from eosin.options import FeatureOptions, ReadOptions, takes_options
from eosin.plurals import counted
from eosin.storage.delimited import delimiter_of
from eosin.types import Section

log = logging.getLogger("eosin")

SpotChoice = int | str | Path | Sequence[str] | None
"""A number of spots, names, a file of names, or None for all."""
_HEADING = re.compile(
    r"|unnamed.*|(spot|barcode|cell|bin|obs|index|ids?|names?)s?([ _.-]?(ids?|names?|barcodes?))?", re.I
)


@takes_options(hide=("sections", "encoder", "tile_um", "symmetries", "device", "precision"))
def adapt(
    model: Trained | str | Path,
    target: Section | str | Path,
    *,
    section: str | None = None,
    spots: SpotChoice = None,
    seed: int = 0,
    out: str | Path | None = None,
    encoding: FeatureOptions = FeatureOptions(),
    reading: ReadOptions = ReadOptions(),
) -> Trained:
    """Update a trained model by measured spots of a patient: level, mean and error bars; in seconds, without training.

    Later predictions of this patient, of this section and of others, start from these spots.

    Parameters
    ----------
    model
        A trained model, or its checkpoint folder; it stays as it is.
    target
        A section with counts of the panel's genes, or a data folder.
    section
        Which one of a data folder.
    spots
        Measured spots that may be looked at: a number of them (drawn at random), their names, a table with their names
        in one column, or all where nothing is given.
    seed
        Of the random spots.
    out
        Checkpoint folder to write.

    Raises
    ------
    EosinError
        A section that was trained on or has no counts, unknown spots, more spots than there are; a model lies in `out`.

    Examples
    --------
    >>> model = eosin.train("data", features="features", model="ridge", genes="var:5", sections="A1,A2")
    >>> adapted = eosin.adapt(model, "data", section="B1", spots=10, features="features")
    >>> eosin.predict(adapted, "data", section="B2", features="features").error_bars.kind
    'known patient'
    """
    need_folder(out)
    need_other_file(out, target)
    need_no_checkpoint(out, fix="choose another --out")
    need_seed(seed)
    trained = model if isinstance(model, Trained) else engine.load(model)
    match, strict = TileMatch(encoding.match, encoding.match_um), encoding.commercial_only
    if strict:
        need_commercial(f"model '{trained.name}'", trained.licence, commercial=trained.commercial)
    measured = target if isinstance(target, Section) else open_target(target, section, reading=reading)
    rows = rows_of(spots, measured, seed)
    (ready,) = with_features([measured], trained.encoder, encoding.features, commercial_only=strict, match=match)
    adapted = engine.adapt(trained, ready, rows)
    log.info("patient %s: %s of section %s", ready.patient, counted(len(rows), "measured spot"), ready.name)
    if out is not None:
        adapted.save(out)
    return adapted


def rows_of(spots: SpotChoice, section: Section, seed: int) -> np.ndarray:
    """Rows [m] of the chosen spots of a section, in growing order.

    Raises
    ------
    EosinError
        More spots than there are, a name that is not there, a table without names.
    """
    n = len(section.spots)
    if spots is None:
        return np.arange(n)
    number = _number_in(spots)
    if number is not None:
        if not 0 < number <= n or number != int(number):
            raise EosinError(f"section '{section.name}' has {n} spots, not {spots}", fix=f"take 1 to {n}")
        return np.sort(np.random.default_rng(seed).choice(n, int(number), replace=False))
    names = _names_in(Path(spots), section.spots.ids) if isinstance(spots, str | Path) else _as_texts(spots)
    if not names:
        raise EosinError("no spot is named", fix="name at least one, or give a number of spots")
    rows = section.spots.rows_of(names)
    unknown = np.flatnonzero(rows < 0)
    if len(unknown):
        first = names[unknown[0]]
        raise EosinError(
            f"{counted(len(unknown), 'spot')} of {len(names)} not in section '{section.name}', first '{first}'",
            fix=f"give names as '{section.spots.ids[0]}'",
        )
    return np.unique(rows)


def _as_texts(names: Any) -> list[str]:
    return [str(name) for name in names]


def _number_in(spots: Any) -> float | None:
    """What is given as a number of spots, or as text of one; None where it is something else."""
    if isinstance(spots, Real) and not isinstance(spots, bool):
        return float(spots)
    if isinstance(spots, str) and re.fullmatch(r"\s*[-+]?[0-9]+(\.[0-9]*)?\s*", spots):
        return float(spots)
    if isinstance(spots, str | Path | Sequence | np.ndarray):
        return None
    raise EosinError(f"--spots is {spots!r}", fix="give a number of spots, their names, or a table of names")


def _names_in(file: Path, known: Sequence[str]) -> list[str]:
    """Names in a table, of the column in which most are known; a first row that looks like one is a heading."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter_of(text)) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EosinError(
            f"is no table of names of spots ({error})", file=file, fix="give a number, or a table with one name a row"
        ) from error
    columns = [[row[j].strip() if j < len(row) else "" for row in rows] for j in range(max(map(len, rows), default=0))]
    there = set(known)
    names = max(columns, key=lambda column: sum(name in there for name in column), default=[])
    if names and names[0] not in there and _HEADING.fullmatch(names[0]):
        names = names[1:]
    names = [name for name in names if name]
    if not names:
        raise EosinError("names no spot", file=file, fix="write one name a row")
    return names
