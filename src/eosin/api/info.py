"""`eosin.info`: what a slide, a data folder, a table of slides, a feature file, a prediction or a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eosin import data as door
from eosin.api.parts.checkpoint_facts import checkpoint_facts
from eosin.data.contents import other_file
from eosin.data.h5ad import kind_of
from eosin.data.slide_entries import entries_of, is_manifest
from eosin.errors import EosinError
from eosin.options import ReadOptions, takes_options
from eosin.slide import is_slide_folder, open_slide, warn_of_little
from eosin.storage.files import read_json


@takes_options()
def info(path: str | Path, *, reading: ReadOptions = ReadOptions()) -> dict[str, Any]:
    """What a slide, a data folder, a table of slides, a feature file, a prediction or a checkpoint holds: plain values.

    Parameters
    ----------
    path
        Any of these.

    Raises
    ------
    EosinError
        Nothing is there, or nothing that eosin knows.

    Examples
    --------
    >>> facts = eosin.info("data")
    >>> facts["kind"], facts["reader"], len(facts["sections"])
    ('data', 'eosin', 4)
    """
    path = Path(path)
    if not path.exists():
        raise EosinError("no such file or folder", file=path, fix="check the path")
    if (path / "config.json").is_file() or (path / "model.safetensors").is_file():
        facts = checkpoint_facts(path) or _loaded_facts(path)
        return {"kind": "checkpoint", **facts, "metrics": _short(facts["metrics"])}
    if path.is_file() and path.suffix.lower() == ".h5ad" and kind_of(path) == "prediction":
        return _prediction_facts(path)
    if reading.reader is None and path.suffix.lower() in {".h5", ".hdf5"}:
        from eosin.features.feature_facts import feature_facts, holds_features

        if holds_features(path):
            return {"kind": "features", **feature_facts(path, mpp=reading.mpp)}
    is_image = reading.reader is None and is_slide_folder(path)
    if (path.is_dir() and not is_image) or path.suffix.lower() in {".h5ad", ".h5"}:
        return {"kind": "data", **door.describe(path, reading=reading)}
    if is_manifest(path) and reading.reader is None:
        return _cohort_facts(path, reading)
    if (error := other_file(path)) is not None:
        raise error
    with open_slide(path, mpp=reading.mpp) as slide:
        warn_of_little(Path(path).name, slide.mpp, float(slide.size_um[0] * slide.size_um[1]), of="image")
        return {
            "kind": "slide",
            "path": str(path),
            "size_px": list(slide.size_px),
            "mpp": slide.mpp,
            "size_um": [round(float(x), 1) for x in slide.size_um],
            "read_by": slide.library,
        }


def _cohort_facts(path: Path, reading: ReadOptions) -> dict[str, Any]:
    """The slides that a table lists, and whether their files are there."""
    entries = entries_of(path, reading)
    missing = sum(not entry.path.exists() for entry in entries)
    slides = [
        {
            "id": entry.id,
            "section": entry.section,
            "patient": entry.patient,
            "mpp": entry.mpp,
            "file": "" if entry.path.exists() else "missing",
            "path": str(entry.path),
        }
        for entry in entries
    ]
    taken_by = "eosin encode, eosin predict"
    return {"kind": "cohort", "path": str(path), "taken_by": taken_by, "missing": missing, "slides": slides}


def _loaded_facts(path: Path) -> dict[str, Any]:
    """Of any checkpoint that can be loaded; the errors of one that cannot."""
    from eosin import engine

    trained = engine.load(path)
    versions = read_json(path / "config.json").get("versions", {})
    return {**trained.config(), "versions": versions, "metrics": trained.metrics}


def _prediction_facts(path: Path) -> dict[str, Any]:
    prediction = door.read_prediction(path)
    image = prediction.image
    return {
        "kind": "prediction",
        "path": str(path),
        "section": prediction.section,
        "spots": len(prediction.spots),
        "panel": asdict(prediction.panel),
        "draws": prediction.n_draws,
        "model": prediction.model,
        "seed": prediction.seed,
        "image": None if image is None else str(image.path),
        "mpp": None if image is None else image.mpp,
        "provenance": _short(prediction.provenance),
    }


def _short(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metrics.items() if key != "history"}
