"""`eosin.score`: a prediction against the measured section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eosin.api.calibrate import AnyPrediction, judged
from eosin.api.parts.beside import ridge_beside
from eosin.api.parts.sections import Data
from eosin.metrics.gene_lists import GeneLists
from eosin.options import FeatureOptions, ReadOptions, names_of, takes_options
from eosin.scores.origin import origin_warnings
from eosin.scores.scoring import score as score_predictions


@takes_options(hide=("sections", "tile_um", "symmetries", "device", "precision", "commercial_only"))
def score(
    prediction: AnyPrediction,
    truth: Data,
    *,
    scale: str | None = None,
    biomarkers: str | Sequence[str] | None = None,
    pathways: str | Path | Mapping[str, Sequence[str]] | None = None,
    need_domains: bool = False,
    encoding: FeatureOptions = FeatureOptions(),
    reading: ReadOptions = ReadOptions(),
) -> dict[str, Any]:
    """Compare a prediction with the measured section of the same name (or the only one there).

    Parameters
    ----------
    prediction
        A prediction, the `.h5ad` that `predict` wrote, or one of any other tool.
    truth
        The measured section: a data folder, or sections that were read. Given `features` as well, the tuned ridge is
        trained on its other sections and stands beside, under `ridge`.
    scale
        Of another tool's values: `log1p`, `log1p_cp10k`, `log2p1` or `counts`. It is never guessed.
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
        As `eosin.scores.scoring.score` says; docs/metrics.md defines every number. `warnings` says what the
        prediction's own record says against its score, as that the model has seen the section.

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
    prediction, section = judged(prediction, truth, scale, reading)
    options: dict[str, Any] = {
        "biomarkers": lists.biomarkers,
        "pathways": lists.pathways,
        "need_domains": need_domains,
    }
    scores = score_predictions(prediction, section, **options)
    scores["scale"] = prediction.panel.transform
    if warnings := origin_warnings(prediction):
        scores["warnings"] = warnings
    if encoding.features is not None:
        beside, trained_on = ridge_beside(prediction, section, truth, encoding, reading)
        scores["ridge"] = {**score_predictions(beside, section, **options), "trained_on": trained_on}
    return scores
