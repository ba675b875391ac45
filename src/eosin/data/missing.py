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
    """A finite number above 0; also one that a tool wrote as a text or as an array of one element."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes | str | np.bytes_ | np.str_):
        text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        try:
            value = float(text)
        except ValueError:
            return None
    return float(value) if is_finite(value) and not isinstance(value, bool) and value > 0 else None
