"""Models: one file each, networks and baselines alike. Importing this registers those that ship with eosin."""

from eosin.models import gene_mean, ridge, stflow  # noqa: F401 - they register themselves
from eosin.models.base import MODELS, Learned, Model, ModelEntry, Solved, Training

__all__ = ["MODELS", "Learned", "Model", "ModelEntry", "Solved", "Training"]
