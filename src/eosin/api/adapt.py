"""`eosin.adapt`: a few measured spots of a new patient update a trained model."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eosin import engine
from eosin.api.parts.encoded import with_features
from eosin.api.parts.outputs import need_folder, need_no_checkpoint
from eosin.api.parts.sections import open_target
from eosin.engine import Trained
from eosin.errors import EosinError
from eosin.options import FeatureOptions, ReadOptions, takes_options
from eosin.plurals import counted
from eosin.types import Section

log = logging.getLogger("eosin")

SpotChoice = int | str | Path | Sequence[str] | None
"""A number of spots, names, a file of names, or None for all."""


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
        Measured spots that may be looked at: a number of them (drawn at random), their names, a table with one name a
        row, or all where nothing is given.
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
    need_no_checkpoint(out)
    trained = model if isinstance(model, Trained) else engine.load(model)
    measured = target if isinstance(target, Section) else open_target(target, section, reading=reading)
    rows = rows_of(spots, measured, seed)
    (ready,) = with_features([measured], trained.encoder, encoding.features, commercial_only=encoding.commercial_only)
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
    if isinstance(spots, int) or (isinstance(spots, str) and spots.isdigit()):
        if not 0 < int(spots) <= n:
            raise EosinError(f"section '{section.name}' has {n} spots, not {spots}", fix=f"take 1 to {n}")
        return np.sort(np.random.default_rng(seed).choice(n, int(spots), replace=False))
    names = _names_in(Path(spots), section.spots.ids) if isinstance(spots, str | Path) else list(spots)
    rows = section.spots.rows_of(names)
    unknown = np.flatnonzero(rows < 0)
    if len(unknown):
        first = names[unknown[0]]
        raise EosinError(
            f"{counted(len(unknown), 'spot')} of {len(names)} not in section '{section.name}', first '{first}'",
            fix=f"give names as '{section.spots.ids[0]}'",
        )
    return np.unique(rows)


def _names_in(file: Path, known: Sequence[str]) -> list[str]:
    """Names in the first column of a table; its first row may be a heading."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            names = [row[0].strip() for row in csv.reader(lines) if row and row[0].strip()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EosinError(
            f"is no table of names of spots ({error})", file=file, fix="give a number, or a table with one name a row"
        ) from error
    names = names[1:] if names and names[0] not in known else names
    if not names:
        raise EosinError("names no spot", file=file, fix="write one name a row")
    return names
