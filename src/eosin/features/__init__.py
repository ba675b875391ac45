"""Features of sections: encode them in a stream that can resume, keep them in files, match files to spots, licences."""

from eosin.features.attach import attach, candidates, encoders_of
from eosin.features.encoding import encode, find_encoded
from eosin.features.feature_cache import feature_path, place_in_cache
from eosin.features.feature_file import FeatureFile, read_features
from eosin.features.feature_writing import write_features
from eosin.features.licence import need_commercial
from eosin.features.side_by_side import encode_all
from eosin.features.tile_matching import EXACT, TileMatch

__all__ = [
    "EXACT",
    "FeatureFile",
    "TileMatch",
    "attach",
    "candidates",
    "encode",
    "encode_all",
    "encoders_of",
    "feature_path",
    "find_encoded",
    "need_commercial",
    "place_in_cache",
    "read_features",
    "write_features",
]
