"""eosin: from an H&E slide to a spatial transcriptome, with error bars.

import eosin
sections = eosin.read("data")
model = eosin.train(sections[:-1], model="stflow", genes="var:50")
prediction = eosin.predict(model, sections[-1], draws=16)
adata = eosin.to_anndata(prediction)
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "adapt": "eosin.api.adapt",
    "apply_calibration": "eosin.api.calibrate",
    "bench": "eosin.api.bench",
    "calibrate": "eosin.api.calibrate",
    "encode": "eosin.api.encode",
    "encode_cohort": "eosin.api.encode_cohort",
    "export": "eosin.exporting",
    "export_cohort": "eosin.api.export_cohort",
    "fetch": "eosin.fetching",
    "info": "eosin.api.info",
    "plot": "eosin.api.plot",
    "predict": "eosin.api.predict",
    "predict_cohort": "eosin.api.predict_cohort",
    "read": "eosin.api.read",
    "report": "eosin.api.report",
    "report_cohort": "eosin.api.report_cohort",
    "score": "eosin.api.score",
    "score_cohort": "eosin.api.score_cohort",
    "study": "eosin.api.study",
    "tissue": "eosin.api.tissue",
    "train": "eosin.api.train",
    "view": "eosin.api.view",
    "demo": "eosin.apps.demo",
    "load": "eosin.engine",
    "simulate": "eosin.simulation.cohort",
    "to_anndata": "eosin.data",
    "EosinError": "eosin.errors",
}
__all__ = [*_HOME, "__version__"]  # noqa: PLE0604 - the names are strings


def __getattr__(name: str) -> Any:
    """Load a public function when it is first asked for, so that `import eosin` stays light."""
    if name not in _HOME:
        raise AttributeError(f"module 'eosin' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
