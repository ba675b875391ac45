"""E2CNN in STFlow's flow: convolutions that turn and mirror with the tissue."""

from eosin.models.e2cnn.e2cnn import E2CNNSettings, build

__all__ = ["E2CNNSettings", "build"]
