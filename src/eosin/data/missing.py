"""Values that say nothing: an empty cell, and the texts that tools write in its place."""

from __future__ import annotations

import numpy as np

from eosin.types.places import is_finite

_TEXTS = frozenset({"", "na", "n/a", "<na>", "nan", "none", "null"})
_NO_PATIENT = _TEXTS | {"unknown", "unassigned", "not available"}


def is_missing(value: object) -> bool:
    """Whether a value is none: None, NaN, NaT, or a text such as `nan` that was made of one."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return True
    return as_text(value).strip().lower() in _TEXTS


def names_no_patient(value: object) -> bool:
    """Whether a value names no patient: it is missing, or says that the patient is not known."""
    return is_missing(value) or as_text(value).strip().lower() in _NO_PATIENT


def names_no_gene(value: object) -> bool:
    """Whether a name is none: empty, or made of a missing value. `NA` is a gene, and `None` may be one."""
    return as_text(value).strip().lower() in {"", "nan", "<na>"}


def as_text(value: object) -> str:
    """A name as text: old files hold it as bytes, and a column of numbers with gaps turns 7 into 7.0."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float | np.floating):
        number = float(str(value))
        return str(int(number)) if number.is_integer() else str(value)
    return str(value)


def positive_number(value: object) -> float | None:
    """A finite number above 0, or None; files written from R hold numbers as texts or arrays of one element.

    Raises
    ------
    ValueError
        The value is no number at all: several, or another text.
    """
    if isinstance(value, np.ndarray | list | tuple) and np.size(value) == 1:
        value = np.asarray(value).reshape(-1)[0]
    if isinstance(value, np.ndarray | list | tuple | dict):
        raise ValueError(f"{np.size(value) if not isinstance(value, dict) else len(value)} values")
    if isinstance(value, bytes | str):
        value = None if is_missing(value) else float(as_text(value))
    if isinstance(value, bool | np.bool_) or not is_finite(value):
        return None
    return float(value) if value > 0 else None
