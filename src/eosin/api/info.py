"""What things are: a slide, a data folder, a prediction, a checkpoint; and what there is to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Unpack

from eosin import data as door
from eosin import engine
from eosin.benchmark import STUDIES, protocol_facts
from eosin.data import Reading
from eosin.data.h5ad import our_record, read_h5ad
from eosin.encoders import ENCODERS, EncoderCard, get_encoder, zoo_card
from eosin.encoders.parts.published import NAMES as ZOO
from eosin.errors import EosinError
from eosin.features.feature_facts import feature_facts, holds_features
from eosin.models import MODELS
from eosin.slide import open_slide


def info(
    path: str | Path, *, reader: str | None = None, mpp: float | None = None, **how: Unpack[Reading]
) -> dict[str, Any]:
    """What a slide, a data folder, a feature file, a prediction or a checkpoint holds, as plain values."""
    path = Path(path)
    if not path.exists():
        raise EosinError("no such file or folder", file=path, fix="check the path")
    if (path / "config.json").is_file() or (path / "model.safetensors").is_file():
        trained = engine.load(path)
        return {"kind": "checkpoint", **trained.config(), "metrics": _short(trained.metrics)}
    if (
        path.is_file()
        and path.suffix.lower() == ".h5ad"
        and our_record(read_h5ad(path), path).get("kind") == "prediction"
    ):
        return _prediction_facts(path)
    if reader is None and holds_features(path):
        return {"kind": "features", **feature_facts(path, mpp=mpp)}
    if path.is_dir() or path.suffix.lower() in {".h5ad", ".h5"}:
        return {"kind": "data", **door.describe(path, reader, mpp, **how)}
    with open_slide(path, mpp=mpp) as slide:
        return {
            "kind": "slide",
            "path": str(path),
            "size_px": list(slide.size_px),
            "mpp": slide.mpp,
            "size_um": [round(float(x), 1) for x in slide.size_um],
        }


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


def list_things(kind: str) -> list[dict[str, Any]]:
    """Names and facts of the `models`, `encoders`, `readers`, `protocols` or `studies` that are there."""
    if kind == "models":
        return [
            {
                "name": n,
                "title": MODELS[n].title,
                "paper": MODELS[n].paper,
                "presets": ", ".join(MODELS[n].presets),
                "train": ", ".join(f"{key} = {value}" for key, value in MODELS[n].train.items()),
            }
            for n in MODELS
        ]
    if kind == "encoders":
        return [{"name": n, **_encoder_facts(n)} for n in ENCODERS]
    if kind == "readers":
        return [
            {"name": n, "platform": door.READERS[n].platform, "looks for": door.READERS[n].looks_for}
            for n in door.READERS
        ]
    if kind == "protocols":
        return protocol_facts()
    if kind == "studies":
        return [{"name": n, "shows": s.title, "rows": len(s.cells), "source": s.source} for n, s in STUDIES.items()]
    raise EosinError(f"there is no list of '{kind}'", fix="known lists: models, encoders, readers, protocols, studies")


def _short(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metrics.items() if key != "history"}


def _encoder_facts(name: str) -> dict[str, Any]:
    """An encoder's card, without its weights; those whose card depends on what is asked for have only their title."""
    card = zoo_card(name).encoder_card(name) if name in ZOO else _card_as_made(name)
    return {
        "features": card and card.width,
        "um/px": card and card.um_per_px,
        "commercial": card and _word(card.commercial),
        "gated": card and _word(card.gated),
        "licence": card.licence if card else "of the weights",
        "parameters": card and (card.parameters or 0),
        "about": (card and card.about) or (ENCODERS[name].__doc__ or "").strip().split("\n")[0].rstrip("."),
    }


def _card_as_made(name: str) -> EncoderCard | None:
    """The card of an encoder without weights, with the scale of its first window; None where weights are needed."""
    try:
        encoder = get_encoder(name)
    except EosinError:
        return None
    first = encoder.views[0]
    return replace(encoder.card, um_per_px=encoder.card.um_per_px or first.width_um / first.px)


def _word(held: bool) -> str:  # noqa: FBT001
    return "yes" if held else "no"
