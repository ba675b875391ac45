"""What keeps vectors: feature files, streaming, resuming, matching to spots, licences."""

from eosin.features.attach import attach
from eosin.features.encoding import encode, feature_path, find_encoded
from eosin.features.licence import need_commercial
from eosin.features.store import FeatureFile, read_features, write_features

__all__ = [
    "FeatureFile",
    "attach",
    "encode",
    "feature_path",
    "find_encoded",
    "need_commercial",
    "read_features",
    "write_features",
]
