"""Values of spots as short vectors: 16 bits a value, with a header that says what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

MISSING = 65535
"""The code of a value that is not known (NaN)."""
_STEPS = MISSING - 1


def quantised(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Codes [s] uint16 of values, and the values of code 0 and of the largest code.

    A code is off by half of a 65,534th of the range at most; what is not finite becomes `MISSING`.
    """
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    if not known.any():
        return np.full(values.shape, MISSING, dtype="<u2"), 0.0, 0.0
    low, high = float(values[known].min()), float(values[known].max())
    step = (high - low) / _STEPS or 1.0
    codes = np.full(values.shape, MISSING, dtype="<u2")
    codes[known] = np.clip(np.rint((values[known] - low) / step), 0, _STEPS).astype("<u2")
    return codes, low, high


def restored(codes: np.ndarray, low: float, high: float) -> np.ndarray:
    """The values [s] float64 that codes stand for; NaN where they are missing."""
    values = low + codes.astype(np.float64) * ((high - low) / _STEPS)
    return np.where(codes == MISSING, np.nan, values)


def pack_vectors(vectors: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> bytes:
    """Quantised vectors and facts about them as one message (see `pack`)."""
    coded = {name: quantised(values) for name, values in vectors.items()}
    ranges = {name: {"low": low, "high": high} for name, (_, low, high) in coded.items()}
    return pack({**facts, "ranges": ranges}, {name: codes for name, (codes, _, _) in coded.items()})


def pack(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Facts and arrays as one message.

    Four bytes with the length of the header, the header as JSON (facts, and name, type and length of each array),
    then the arrays, each from a multiple of 4 bytes on; little-endian throughout.
    """
    bodies, listed = [], []
    for name, array in arrays.items():
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        listed.append({"name": name, "type": little.dtype.str[1:], "length": int(little.size)})
        bodies.append(_padded(little.tobytes()))
    text = json.dumps({**facts, "arrays": listed}, ensure_ascii=False, allow_nan=False).encode()
    header = text + b" " * (-len(text) % 4)
    return len(header).to_bytes(4, "little") + header + b"".join(bodies)


def unpack(message: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The facts and arrays of a message of `pack`."""
    start = 4 + int.from_bytes(message[:4], "little")
    facts = json.loads(message[4:start])
    arrays = {}
    for entry in facts.pop("arrays"):
        kind = np.dtype("<" + entry["type"])
        arrays[entry["name"]] = np.frombuffer(message, kind, entry["length"], start)
        start += len(_padded(b" " * (entry["length"] * kind.itemsize)))
    return facts, arrays


def _padded(body: bytes) -> bytes:
    return body + b"\0" * (-len(body) % 4)
