"""Which spot of an AnnData is of which library: the column of `obs` that tells, and the refusal where none does.

A library is one section of tissue, as scanpy, squidpy and Space Ranger call it. `uns["spatial"]` names them; the column
that names the library of each spot is called as whoever joined the sections liked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eosin.data.missing import as_text, is_missing
from eosin.errors import EosinError

if TYPE_CHECKING:
    import pandas as pd

LIBRARY = "library_id"
"""The column by its usual name; it counts also where `uns["spatial"]` does not hold its values."""
BARCODE_CORE = r"(?:^|[^ACGT])([ACGT]{14,18}|s_\d+um_\d+_\d+)(?:[^ACGT\d]|$)"
"""The part of a barcode that the capture area gives; tools put samples' names before it and numbers behind it."""
_CORE = re.compile(BARCODE_CORE)
_MOST_REPEATED = 0.05
"""Share of spots that may lie where another lies before they are taken for spots of several libraries."""
_MOST_NUMBERS = 50
_LIKELY = re.compile(r"librar|sample|slide|section|batch|donor|patient|orig|capture|slice|puck|replicate|specimen|run")
"""Words by which columns of libraries are called, in lower case."""
_NO_LIBRARY = re.compile(
    r"^(?:in[_ ]?tissue|selected|outliers?|row|col|sex|age|.*array[_ ]?(?:row|col).*)$"
    r"|cluster|leiden|louvain|k-?means|domain|cell[_ ]?type|annotat|phase|doublet|qc|n_genes|n_counts|total_counts"
)
"""What else is told of spots by a few numbers or names, in lower case."""
_SAMPLES = re.compile(
    r"(?:library|sample|slide|section|slice|puck|specimen|batch|orig)s?(?:[ _.-]?(?:id|name|ident|label|no|number))?"
)
"""Columns, in lower case, that name what lies on glasses of its own."""
_MOST_SAMPLES = 50
_NEARER, _N_NEAREST, _N_ASKED = 0.9, 8, 5000
"""A neighbour of another sample is nearer by this factor than one of its own; among so many, for so many spots."""
_MIXED = 0.25
"""Of the share of such spots that samples have which lie on one another by chance."""
_FEWEST = 20
_SAME_PLACE = 1e-4
"""Of the section's extent: 0.65 µm in 6.5 mm."""


def library_of_spots(
    obs: pd.DataFrame, keys: Sequence[str], wanted: str | None, file: Path
) -> tuple[str | None, np.ndarray]:
    """The column of `obs` that names libraries, and the library of each spot.

    Parameters
    ----------
    obs
        The table of spots.
    keys
        Names of libraries in `uns["spatial"]`.
    wanted
        The column to take (`--library`); by default `library_id`, or the one whose values are among `keys`. Where these
        are numbers, as 0, 1, 2, a column must also be called as those of libraries are, since many others hold numbers.
    file
        Named in errors.

    Returns
    -------
    str or None
        The column; None where no column tells.
    np.ndarray
        [s] texts; `""` where the column is empty.

    Raises
    ------
    EosinError
        The wanted column is not there or empty, or two columns fit and tell spots apart differently.
    """
    if wanted is not None:
        return wanted, _wanted(obs, wanted, file)
    fitting = {}
    for column in map(str, obs.columns):
        if _may_be_key(obs[column]) and may_be_called(column, keys):
            values = column_texts(obs[column])
            if (named := set(values) - {""}) and named <= set(keys):
                fitting[column] = values
    if fitting:
        chosen = LIBRARY if LIBRARY in fitting else max(fitting, key=lambda column: len(set(fitting[column])))
        other = next((c for c in fitting if c != LIBRARY and np.any(_parts(fitting[c], fitting[chosen]))), None)
        if chosen != LIBRARY and other is not None:
            problem = f"obs['{chosen}'] and obs['{other}'] both name libraries of uns['spatial'], and differ"
            raise EosinError(problem, file=file, fix=f"name one by --library, as --library {chosen}")
        return chosen, fitting[chosen]
    if LIBRARY in obs:
        return LIBRARY, column_texts(obs[LIBRARY])
    return None, np.full(len(obs), "", dtype=object)


def column_texts(column: pd.Series) -> np.ndarray:
    """[s] a column as texts, without spaces around them; `""` for what is missing."""
    codes, values = column.factorize()
    texts = np.array([*("" if is_missing(value) else as_text(value).strip() for value in values), ""], dtype=object)
    return texts[codes]  # a missing value has code -1


def _wanted(obs: pd.DataFrame, wanted: str, file: Path) -> np.ndarray:
    if wanted not in obs:
        listed = ", ".join(map(str, obs.columns[:12])) or "none"
        raise EosinError(f"has no column obs['{wanted}']", file=file, fix=f"its columns are {listed}")
    values = column_texts(obs[wanted])
    if not any(values):
        raise EosinError(f"obs['{wanted}'] is empty", file=file, fix="name another column by --library")
    return values


def _may_be_key(column: pd.Series) -> bool:
    """Whether a column may hold names: texts, categories, or few numbers."""
    return not isinstance(column.dtype, np.dtype) or column.dtype.kind in "OSU" or column.nunique() <= _MOST_NUMBERS


def may_be_called(column: str, keys: Sequence[str]) -> bool:
    """Whether a column that holds names of `uns["spatial"]` may be that of libraries, by its own name."""
    name = column.strip().lower()
    if name == LIBRARY:
        return True
    if all(str(key).isdigit() for key in keys):
        return _LIKELY.search(name) is not None and _NO_LIBRARY.search(name) is None
    return _NO_LIBRARY.search(name) is None


def _parts(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which spots two columns put into libraries of different names; empty cells do not count."""
    return (values != others) & (values != "") & (others != "")


def check_apart(xy: np.ndarray, obs: pd.DataFrame, file: Path) -> None:
    """Refuse spots of several libraries that lie on one another, as if they were one section.

    Told by positions, by places on the array, and by barcodes, of which a capture area has each once.

    Parameters
    ----------
    xy
        Positions [s 2].
    obs
        The table of the same spots.

    Raises
    ------
    EosinError
        More than a twentieth of the spots share a place or a barcode with another.
    """
    n_spots = len(xy)
    for n_places, what in _distinct(xy, obs):
        if n_spots - n_places > max(_MOST_REPEATED * n_spots, 3):
            columns = _columns_that_part(obs)
            named = f", perhaps {' or '.join(columns)}" if columns else ""
            fix = f"name the column of obs that tells them apart by --library{named}; or give a file a section"
            problem = f"{n_spots} spots {what.format(n=n_places)}: spots of several libraries lie on one another"
            raise EosinError(problem, file=file, fix=fix)


def _distinct(xy: np.ndarray, obs: pd.DataFrame) -> list[tuple[int, str]]:
    """How many places, array positions and barcodes are different, and each in words."""
    found = []
    finite = xy[np.isfinite(xy).all(1)]
    extent = float(np.ptp(finite, axis=0).max()) if len(finite) else 0.0
    if extent > 0:
        places = np.round(finite / (_SAME_PLACE * extent)).astype(np.int64)
        found.append((len(np.unique(places, axis=0)) + len(xy) - len(finite), "lie at {n} places"))
    array = [column for column in ("array_row", "array_col") if column in obs and obs[column].nunique() > 2]
    if len(array) == 2:
        found.append((len(obs[array].drop_duplicates()), "have {n} places on the array"))
    cores = [match.group(1) for name in map(str, obs.index) if (match := _CORE.search(name))]
    if len(cores) == len(obs):
        found.append((len(set(cores)), "have {n} barcodes"))
    return found


def samples_in_one(xy: np.ndarray, obs: pd.DataFrame, file: Path, *, is_told: bool) -> list[str]:
    """A note where a column names several samples of what is read as one section.

    Parameters
    ----------
    xy
        Positions [s 2].
    obs
        The table of the same spots.
    is_told
        Whether the user named the column of libraries: then nothing is refused.

    Raises
    ------
    EosinError
        Spots of two samples lie among one another, as they do on no glass.
    """
    for column in map(str, obs.columns):
        if _SAMPLES.fullmatch(column.strip().lower()) is None or not 2 <= obs[column].nunique() <= _MOST_SAMPLES:
            continue
        samples = column_texts(obs[column])
        names = sorted(set(samples) - {""})
        if len(names) < 2:
            continue
        named = (
            f"obs['{column}'] names {len(names)} samples ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})"
        )
        if is_told or not _are_mixed(xy, samples):
            return [f"{named}, which are read as one section; --library {column} reads each"]
        fix = f"give --library {column} to read each as a section, or take the column away if they are one"
        raise EosinError(f"{named} whose spots lie among one another", file=file, fix=fix)
    return []


def _are_mixed(xy: np.ndarray, samples: np.ndarray) -> bool:
    """Whether spots are as often nearest to one of another sample as samples that lie on one another are."""
    from scipy.spatial import cKDTree

    known = np.isfinite(xy).all(1) & (samples != "")
    xy, (names, of_spot) = xy[known], np.unique(samples[known].astype(str), return_inverse=True)
    if len(xy) < _FEWEST or len(names) < 2:
        return False
    asked = np.arange(0, len(xy), max(1, len(xy) // _N_ASKED))
    distance, nearest = cKDTree(xy).query(xy[asked], k=_N_NEAREST + 1)  # [asked k], the spot itself first
    other = of_spot[nearest] != of_spot[asked, None]
    to_other = np.where(other, distance, np.inf).min(1)
    to_own = np.where(other, np.inf, distance)[:, 1:].min(1)
    share = float(np.mean(np.isfinite(to_other) & (to_other < _NEARER * to_own)))
    by_chance = 1 - float(np.sum((np.bincount(of_spot) / len(of_spot)) ** 2))
    return share > _MIXED * by_chance


def _columns_that_part(obs: pd.DataFrame) -> list[str]:
    """Columns of names that may tell libraries apart: each has 2 to 50 values, those that are called so come first."""
    fitting = [
        column
        for column in map(str, obs.columns)
        if _may_be_key(obs[column]) and _NO_LIBRARY.search(column.lower()) is None and 2 <= obs[column].nunique() <= 50
    ]
    called = [column for column in fitting if _LIKELY.search(column.lower())]
    return (called or fitting)[:3]
