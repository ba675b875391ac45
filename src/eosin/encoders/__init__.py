"""Encoders: frozen functions from a spot's windows to a vector, each with a card (licence, source) and a key."""

from eosin.encoders import pixels as _pixels  # noqa: F401  (registers itself)
from eosin.encoders import stain as _stain  # noqa: F401  (registers itself)
from eosin.encoders import timm_model as _timm_model  # noqa: F401  (registers itself)
from eosin.encoders import zoo as _zoo  # noqa: F401  (registers itself)
from eosin.encoders.base import ENCODERS, Encoder, EncoderCard, View
from eosin.encoders.check import check_encoder
from eosin.encoders.named import get_encoder, need_known
from eosin.encoders.parts.published import zoo_card

__all__ = [
    "ENCODERS",
    "Encoder",
    "EncoderCard",
    "View",
    "check_encoder",
    "get_encoder",
    "need_known",
    "zoo_card",
]
