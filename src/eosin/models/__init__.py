"""Models: one file each, networks and baselines alike. Importing this registers those that ship with eosin."""

from eosin.models import (  # noqa: F401 - they register themselves
    bleep,
    e2cnn,
    egnn,
    flag,
    forest,
    gene_mean,
    gigapath,
    hest_ridge,
    histogene,
    kernel,
    knn,
    ridge,
    stem,
    stflow,
    stnet,
    triplex,
)
from eosin.models.base import MODELS, Learned, Model, ModelEntry, Solved, Training

__all__ = ["MODELS", "Learned", "Model", "ModelEntry", "Solved", "Training"]
