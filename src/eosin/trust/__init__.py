"""How far to trust a prediction: levels and scale of errors, learned from what is left over of held-out spots."""

from eosin.trust.conformal import need_patients
from eosin.trust.distance import Distance
from eosin.trust.error_model import FEWEST_SPOTS, ErrorModel, KindOfErrors, learn_errors
from eosin.trust.left_over import LeftOver
from eosin.trust.level_prior import LevelPrior, LevelVariance
from eosin.trust.tool_calibration import Calibration

__all__ = [
    "FEWEST_SPOTS",
    "Calibration",
    "Distance",
    "ErrorModel",
    "KindOfErrors",
    "LeftOver",
    "LevelPrior",
    "LevelVariance",
    "learn_errors",
    "need_patients",
]
