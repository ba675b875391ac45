"""`eosin.score`: a prediction against the measured section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eosin import data as door
from eosin.api.parts.sections import Data, truth_of
from eosin.metrics.gene_lists import GeneLists
from eosin.options import ReadOptions, names_of, takes_options
from eosin.scores.scoring import score as score_predictions
from eosin.types import Prediction


@takes_options(hide=("sections",))
def score(
    prediction: Prediction | str | Path,
    truth: Data,
    *,
    biomarkers: str | Sequence[str] | None = None,
    pathways: str | Path | Mapping[str, Sequence[str]] | None = None,
    need_domains: bool = False,
    reading: ReadOptions = ReadOptions(),
) -> dict[str, Any]:
    """Compare a prediction with the measured section of the same name (or the only one there).

    Parameters
    ----------
    prediction
        A prediction, or the `.h5ad` that `predict` wrote.
    truth
        The measured section: a data folder, or sections that were read.
    biomarkers
        Genes to score by name; those that the panel lacks are named under `missing`. By default STFlow's four, where
        the panel holds one.
    pathways
        Gene sets by name, or a .gmt file, whose co-expression is compared.
    need_domains
        Refuse a section without domain labels.

    Returns
    -------
    dict
        As `eosin.scores.scoring.score` says; docs/metrics.md defines every number.

    Raises
    ------
    EosinError
        No such section, spots or genes that were not measured, no such list.

    Examples
    --------
    >>> model = eosin.train("data", features="features", model="ridge", genes="var:5", sections="A1,A2,B1")
    >>> prediction = eosin.predict(model, "data", section="B2", features="features")
    >>> scores = eosin.score(prediction, "data")
    >>> -1 <= scores["pcc"]["mean"] <= 1
    True
    """
    lists = GeneLists.of(names_of(biomarkers), pathways)  # a broken file is refused before anything is read
    if not isinstance(prediction, Prediction):
        prediction = door.read_prediction(prediction)
    return score_predictions(
        prediction,
        truth_of(prediction, truth, reading),
        biomarkers=lists.biomarkers,
        pathways=lists.pathways,
        need_domains=need_domains,
    )
