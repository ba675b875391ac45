"""`eosin list`: models, encoders, readers, protocols and studies that there are to choose from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from eosin.api.parts.catalogue import Limits, limits_of, shipped
from eosin.errors import EosinError

if TYPE_CHECKING:
    from eosin.config import Settings
    from eosin.encoders import EncoderCard


def list_things(kind: str) -> list[dict[str, Any]]:
    """Names and facts of the `models`, `encoders`, `readers`, `protocols` or `studies` that are there.

    What eosin ships is read from a file, without loading torch; a list is made anew where there may be more.
    """
    if kind not in _LISTS:
        raise EosinError(f"there is no list of '{kind}'", fix=f"known lists: {', '.join(_LISTS)}")
    known = shipped(kind)
    return _LISTS[kind]() if known is None else known


def all_lists() -> dict[str, list[dict[str, Any]]]:
    """Every list, made anew."""
    return {kind: make() for kind, make in _LISTS.items()}


def all_settings() -> dict[str, dict[str, Limits]]:
    """The settings of each model with their limits, and those of training under `train`."""
    from eosin.engine import TrainSettings
    from eosin.models import MODELS

    records = {"train": TrainSettings, **{name: MODELS[name].settings for name in MODELS}}
    return {name: _limits(record) for name, record in records.items()}


def _limits(record: type[Settings]) -> dict[str, Limits]:
    """The limits of each setting; none of one that takes more than its type says."""
    validators = record.__pydantic_decorators__.field_validators.values()
    wider = {field for each in validators if each.info.mode != "after" for field in each.info.fields}
    properties = record.model_json_schema().get("properties", {})
    return {name: {} if name in wider else limits_of(properties[name]) for name in record.model_fields}


def _models() -> list[dict[str, Any]]:
    from eosin.models import MODELS

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


def _encoders() -> list[dict[str, Any]]:
    from eosin.encoders import ENCODERS

    return [{"name": n, **_encoder_facts(n)} for n in ENCODERS]


def _readers() -> list[dict[str, Any]]:
    from eosin.data import READERS

    return [{"name": n, "platform": READERS[n].platform, "looks for": READERS[n].looks_for} for n in READERS]


def _protocols() -> list[dict[str, Any]]:
    from eosin.benchmark import protocol_facts

    return protocol_facts()


def _studies() -> list[dict[str, Any]]:
    from eosin.benchmark import STUDIES

    return [{"name": n, "shows": s.title, "rows": len(s.cells), "source": s.source} for n, s in STUDIES.items()]


_LISTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "models": _models,
    "encoders": _encoders,
    "readers": _readers,
    "protocols": _protocols,
    "studies": _studies,
}


def _encoder_facts(name: str) -> dict[str, Any]:
    """An encoder's card, without its weights; those whose card depends on what is asked for have only their title."""
    from eosin.encoders import ENCODERS, zoo_card
    from eosin.encoders.parts.published import NAMES

    card = zoo_card(name).encoder_card(name) if name in NAMES else _card_as_made(name)
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
    from eosin.encoders import get_encoder

    try:
        encoder = get_encoder(name)
    except EosinError:
        return None
    first = encoder.views[0]
    return replace(encoder.card, um_per_px=encoder.card.um_per_px or first.width_um / first.px)


def _word(held: bool) -> str:  # noqa: FBT001
    return "yes" if held else "no"
