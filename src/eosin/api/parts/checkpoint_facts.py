"""What a checkpoint of today's eosin says of itself, read without torch, which takes seconds to load."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from eosin.api.parts.catalogue import settings_of
from eosin.errors import EosinError
from eosin.storage.files import fingerprint, read_json

_SCHEMA = 1
_TORCH_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "I64": "int64", "I32": "int32"} | {
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
"""What torch calls the types of a file, which count in the hash of its arrays."""


def checkpoint_facts(folder: Path) -> dict[str, Any] | None:
    """What config.json and metrics.json say, once config and arrays are known to be as they were written.

    Returns
    -------
    dict or None
        As `Trained.config()`, with the versions that trained it, and `metrics`. None where only loading the model can
        tell: a file is missing, altered or of an earlier version, or the model is another package's.
    """
    try:
        config, metrics = read_json(folder / "config.json"), read_json(folder / "metrics.json")
        text = (folder / "config.json").read_text(encoding="utf-8")
        with safe_open(str(folder / "model.safetensors"), framework="numpy") as file:
            header = dict(file.metadata() or {})
            if header["config_sha256"] != hashlib.sha256(text.encode()).hexdigest() or header["arrays_hash"] != _hash(
                file
            ):
                return None
        known = settings_of(config["model"])
        of_today = known is not None and set(known) == set(config["model_settings"])
        if not of_today or config["schema"] != _SCHEMA or ";version=1;" in config["encoder_key"]:
            return None
    except (EosinError, SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None
    return {**config, "metrics": metrics}


def _hash(file: Any) -> str:
    """`engine.checkpoint.hash_arrays` of a file; an unknown type is a KeyError."""
    parts: list[Any] = []
    for name in sorted(file.keys()):
        kind = file.get_slice(name).get_dtype()
        parts += [name, f"torch.{_TORCH_NAMES[kind]}", np.ascontiguousarray(file.get_tensor(name))]
    return fingerprint(*parts)
