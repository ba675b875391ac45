"""The records that travel between the packages of eosin. Each checks itself when made and is never changed.

Geometry is in µm everywhere: (x, y), origin at the image's top left, x to the right, y down.
Letters of the shapes: s spots, k draws, g genes, f features, b parts of a batch.
"""

from __future__ import annotations

from eosin.types.batch import Batch
from eosin.types.error_bars import ErrorBars
from eosin.types.features import Features
from eosin.types.footprints import Footprints, Outlines
from eosin.types.gene_trust import GeneTrust
from eosin.types.identifiers import first_repeat
from eosin.types.likeness import Likeness
from eosin.types.panel import GenePanel
from eosin.types.places import Image, Spots, check_mpp
from eosin.types.prediction import Prediction
from eosin.types.section import Section
from eosin.types.spread import variance_of_draws

__all__ = [
    "Batch",
    "ErrorBars",
    "Features",
    "Footprints",
    "GenePanel",
    "GeneTrust",
    "Image",
    "Likeness",
    "Outlines",
    "Prediction",
    "Section",
    "Spots",
    "check_mpp",
    "first_repeat",
    "variance_of_draws",
]
