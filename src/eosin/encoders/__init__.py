"""Encoders: from a spot's windows to a vector. Frozen, one spot at a time, each with a card and a key."""

from eosin.encoders import pixels as _pixels  # noqa: F401  (registers itself)
from eosin.encoders import pretrained as _pretrained  # noqa: F401  (registers itself)
from eosin.encoders import stain as _stain  # noqa: F401  (registers itself)
from eosin.encoders import zoo as _zoo  # noqa: F401  (registers itself)
from eosin.encoders.attach import attach
from eosin.encoders.base import ENCODERS, Encoder, EncoderCard, View, get_encoder
from eosin.encoders.check import check_encoder
from eosin.encoders.published import zoo_card
from eosin.encoders.section import encode, feature_path
from eosin.encoders.store import FeatureFile, read_features, write_features
from eosin.encoders.terms import need_commercial

__all__ = [
    "ENCODERS",
    "Encoder",
    "EncoderCard",
    "FeatureFile",
    "View",
    "attach",
    "check_encoder",
    "encode",
    "feature_path",
    "get_encoder",
    "need_commercial",
    "read_features",
    "write_features",
    "zoo_card",
]
