"""`eosin list`: models, encoders, readers, protocols and studies that there are to choose from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eosin import data as door
from eosin.benchmark import STUDIES, protocol_facts
from eosin.encoders import ENCODERS, EncoderCard, get_encoder, zoo_card
from eosin.encoders.parts.published import NAMES as ZOO
from eosin.errors import EosinError
from eosin.models import MODELS


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
