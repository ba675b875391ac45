"""`eosin.report`: a prediction, a grid or a study as one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eosin import benchmark
from eosin import data as door
from eosin.api.parts.outputs import need_suffix
from eosin.api.parts.sections import Data, truth_of
from eosin.api.parts.thumbnails import thumbnails
from eosin.metrics.gene_lists import GeneLists
from eosin.options import ReadOptions, names_of, takes_options
from eosin.reporting import write_bench_report, write_report
from eosin.scores.scoring import score as score_predictions
from eosin.storage.files import read_json
from eosin.types import Prediction


@takes_options(hide=("sections",))
def report(
    path: Prediction | str | Path,
    *,
    out: str | Path,
    truth: Data | None = None,
    genes: str | Sequence[str] | None = None,
    biomarkers: str | Sequence[str] | None = None,
    pathways: str | Path | Mapping[str, Sequence[str]] | None = None,
    reading: ReadOptions = ReadOptions(),
) -> Path:
    """Write one HTML page of a prediction (`.h5ad`), of a grid or of a study (`scores.json`).

    It opens without a network.

    Parameters
    ----------
    path
        A prediction, its `.h5ad`, or the `scores.json` of a grid or study.
    out
        The `.html` to write.
    truth
        The measured section: adds its maps and the scores.
    genes
        Genes to show as maps; by default the best, a middling and the worst predicted ones.
    biomarkers, pathways
        As for `score`; a grid's page shows those that it was scored with.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    EosinError
        No such file, or one that is neither; a gene that is not in the panel.

    Examples
    --------
    >>> model = eosin.train("data", features="features", model="ridge", genes="var:5", sections="A1,A2,B1")
    >>> _ = eosin.predict(model, "data", section="B2", features="features", out="B2.h5ad")
    >>> eosin.report("B2.h5ad", truth="data", out="B2.html").name
    'B2.html'
    """
    need_suffix(out, (".html", ".htm"), "a report is a page")
    if not isinstance(path, Prediction) and Path(path).suffix == ".json":
        return write_bench_report(out, _compared(read_json(Path(path))))
    lists = GeneLists.of(names_of(biomarkers), pathways)
    prediction = path if isinstance(path, Prediction) else door.read_prediction(path)
    measured = [] if truth is None else [truth_of(prediction.section, truth, reading)]
    scores = None
    if measured:
        own = score_predictions(prediction, measured[0], biomarkers=lists.biomarkers, pathways=lists.pathways)
        scores = {prediction.model: own}
    return write_report(
        out,
        predictions=[prediction],
        truth=measured,
        scores=scores,
        thumbnails=thumbnails([prediction]),
        title=f"{prediction.section} by {prediction.model}",
        settings=dict(prediction.provenance),
        genes=list(names_of(genes) or ()) or None,
    )


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
