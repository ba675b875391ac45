"""A calibration on disk: one safetensors file, with what is no array in its header."""

from __future__ import annotations

import json
from pathlib import Path

from eosin.engine.checkpoint import read_arrays, versions, write_arrays
from eosin.errors import EosinError
from eosin.trust import Calibration

SCHEMA = 1
_KEY = "eosin_calibration"


def write_calibration(calibration: Calibration, path: str | Path) -> None:
    """Write a calibration, whole or not at all."""
    facts = {"schema": SCHEMA, "versions": versions(), **calibration.facts()}
    write_arrays(Path(path), calibration.arrays(), {_KEY: json.dumps(facts)})


def read_calibration(path: str | Path) -> Calibration:
    """What `write_calibration` wrote.

    Raises
    ------
    EosinError
        No such file, no calibration, altered, or of a later version.
    """
    path = Path(path)
    if path.is_dir():
        raise EosinError("is a folder, no calibration", file=path, fix="give the file of: eosin calibrate -o")
    arrays, header = read_arrays(path)
    try:
        facts = json.loads(header[_KEY])
        if facts["schema"] > SCHEMA:
            raise EosinError(f"has schema {facts['schema']}, this eosin reads {SCHEMA}", file=path, fix="update eosin")
        return Calibration.of(arrays, facts)
    except (KeyError, TypeError, ValueError) as error:
        raise EosinError("is no calibration of eosin's", file=path, fix="make one: eosin calibrate") from error
