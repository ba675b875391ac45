"""Training, prediction and checkpoints, for every model alike."""

from eosin.engine.adapt import adapt
from eosin.engine.checkpoint import Trained, load, versions, with_settings
from eosin.engine.predict import device_for, predict
from eosin.engine.selection import Validation
from eosin.engine.train import resolve, train
from eosin.engine.train_settings import TrainSettings

__all__ = [
    "TrainSettings",
    "Trained",
    "Validation",
    "adapt",
    "device_for",
    "load",
    "predict",
    "resolve",
    "train",
    "versions",
    "with_settings",
]
