"""`eosin.report`: a prediction, several of one section side by side, a grid or a study as one page."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eosin import benchmark
from eosin import data as door
from eosin.api.parts.beside import ridge_beside
from eosin.api.parts.outputs import need_suffix
from eosin.api.parts.sections import Data, truth_of
from eosin.api.parts.side_by_side import side_by_side
from eosin.api.parts.thumbnails import stored_thumbnail, thumbnails
from eosin.errors import EosinError
from eosin.metrics.gene_lists import GeneLists
from eosin.options import FeatureOptions, ReadOptions, names_of, takes_options
from eosin.reporting import write_bench_report, write_report
from eosin.reporting.tables import is_baseline
from eosin.scores.scoring import score as score_predictions
from eosin.storage.files import read_json
from eosin.types import Prediction, Section

log = logging.getLogger("eosin")


@takes_options(hide=("sections", "tile_um", "symmetries", "device", "precision", "commercial_only"))
def report(
    path: Prediction | str | Path,
    *others: Prediction | str | Path,
    out: str | Path,
    truth: Data | None = None,
    genes: str | Sequence[str] | None = None,
    biomarkers: str | Sequence[str] | None = None,
    pathways: str | Path | Mapping[str, Sequence[str]] | None = None,
    encoding: FeatureOptions = FeatureOptions(),
    reading: ReadOptions = ReadOptions(),
) -> Path:
    """Write one HTML page of a prediction (`.h5ad`), of a grid or of a study (`scores.json`).

    The slide with the maps of all genes stands first, beside three answers: does it beat the ridge, which genes are
    more than depth, is the slide like the training slides. It opens without a network.

    Parameters
    ----------
    path
        A prediction, its `.h5ad`, or the `scores.json` of a grid or study.
    others
        Other predictions of the same section, to stand beside it, as the tuned ridge's.
    out
        The `.html` to write.
    truth
        The measured section: adds its maps and the scores. Given `features` as well, the tuned ridge is trained on its
        other sections and stands beside.
    genes
        Genes to show first; by default the best predicted ones.
    biomarkers, pathways
        As for `score`; a grid's page shows those that it was scored with.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    EosinError
        No such file, or one that is neither; a gene that is not in the panel; predictions that cannot stand side by
        side.

    Examples
    --------
    >>> model = eosin.train("data", features="features", model="ridge", genes="var:5", sections="A1,A2,B1")
    >>> _ = eosin.predict(model, "data", section="B2", features="features", out="B2.h5ad")
    >>> eosin.report("B2.h5ad", truth="data", out="B2.html").name
    'B2.html'
    """
    need_suffix(out, (".html", ".htm"), "a report is a page")
    if not isinstance(path, Prediction) and Path(path).suffix == ".json":
        if others:
            raise EosinError("scores stand alone on a page", file=path, fix="give one scores.json")
        return write_bench_report(out, _compared(read_json(Path(path))))
    lists = GeneLists.of(names_of(biomarkers), pathways)
    if encoding.features is not None and truth is None:
        raise EosinError("--features trains the ridge on measured sections", fix="give them by --truth DATA")
    given = [path, *others]
    predictions, notes = side_by_side(
        [p if isinstance(p, Prediction) else door.read_prediction(p) for p in given],
        ["" if isinstance(p, Prediction) else Path(p).stem for p in given],
    )
    images: dict[str, Any] = {}
    for source, prediction in zip(given, predictions):
        if not isinstance(source, Prediction) and (stored := stored_thumbnail(source)) is not None:
            images.setdefault(prediction.section, stored)
    images = thumbnails([p for p in predictions if p.section not in images]) | images
    names = dict.fromkeys(prediction.section for prediction in predictions)
    measured = [] if truth is None else [truth_of(name, truth, reading) for name in names]
    if truth is not None and encoding.features is not None and not any(is_baseline(p.model) for p in predictions):
        beside, trained_on = ridge_beside(predictions[0], measured[0], truth, encoding, reading)
        predictions.append(beside)
        notes.append(f"The ridge beside it was trained on {', '.join(trained_on)}.")
    return write_report(
        out,
        predictions=predictions,
        truth=measured,
        scores=_scores(predictions, measured, lists) if measured else None,
        thumbnails=images,
        title=" and ".join(names) + f" by {predictions[0].model}",
        settings=dict(predictions[0].provenance),
        genes=list(names_of(genes) or ()) or None,
        notes=notes,
    )


def _scores(predictions: Sequence[Prediction], measured: Sequence[Section], lists: GeneLists) -> dict[str, Any]:
    """The scores of each model."""
    models: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        models.setdefault(prediction.model, []).append(prediction)
    return {
        model: score_predictions(own, measured, biomarkers=lists.biomarkers, pathways=lists.pathways)
        for model, own in models.items()
    }


def _compared(scores: Any) -> Any:
    """Scores with their differences to the tuned ridge: a study has none, nor a grid that is not finished."""
    if not isinstance(scores, dict) or scores.get("comparisons") or not isinstance(scores.get("cells"), list):
        return scores
    needed = {"model", "encoder", "split", "seed", "status"}
    if not all(isinstance(cell, dict) and needed <= set(cell) for cell in scores["cells"]):
        return scores
    of_panel: dict[Any, list[dict[str, Any]]] = {}  # a study may vary the panel: each has a ridge of its own
    for cell in scores["cells"]:
        model = benchmark.REFERENCE if cell.get("asked") == benchmark.REFERENCE else cell["model"]
        of_panel.setdefault((cell.get("settings") or {}).get("genes"), []).append({**cell, "model": model})
    comparisons = [row for cells in of_panel.values() for row in benchmark.compare(cells, benchmark.REFERENCE)]
    return {**scores, "comparisons": comparisons}
