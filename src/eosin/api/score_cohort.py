"""`eosin.score_cohort`: every prediction of a folder against the measured sections."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eosin.api.parts.predictions import OnPrediction, content_of_data, do_predictions
from eosin.api.parts.slide_jobs import CohortResult
from eosin.api.score import score
from eosin.data.slide_entries import SlideEntry
from eosin.options import CohortOptions, FeatureOptions, ReadOptions, ScoreOptions, takes_options
from eosin.storage.files import fingerprint, write_json

_IN_SUMMARY = ("mse", "crps", "coverage_90", "pcc_depth", "pcc_given_depth")


@dataclass(frozen=True)
class ScoreWork(OnPrediction):
    """Score a prediction; its output is `{id}.json`, and the summary has the main numbers.

    Attributes
    ----------
    truth
        The measured sections.
    scoring, encoding, reading
        As `eosin.score` takes them.
    """

    truth: Path
    scoring: ScoreOptions
    encoding: FeatureOptions
    reading: ReadOptions

    verb = "score"

    def key(self) -> str:
        """Hash of the measured data and of all options."""
        told = [asdict(record) for record in (self.scoring, self.encoding, self.reading)]
        return fingerprint(content_of_data(self.truth), told)

    def make(self, entry: SlideEntry, out: Path) -> tuple[tuple[Path, ...], dict[str, Any]]:
        """Score, and write every number."""
        told = {name: getattr(self.scoring, name) for name in ("scale", "biomarkers", "pathways")}
        scores = score(entry.path, self.truth, encoding=self.encoding, reading=self.reading, **told)
        path = out / f"{entry.id}.json"
        write_json(path, scores)
        facts = {"pcc_mean": scores["pcc"]["mean"], **{key: scores[key] for key in _IN_SUMMARY if key in scores}}
        if "ridge" in scores:
            facts["pcc_mean_ridge"] = scores["ridge"]["pcc"]["mean"]
        if "warnings" in scores:
            facts["warnings"] = "; ".join(scores["warnings"])
        return (path,), {"n_spots": scores["n_spots"], **facts}


@takes_options(hide=("sections", "tile_um", "symmetries", "device", "precision", "commercial_only"))
def score_cohort(
    predictions: str | Path,
    truth: str | Path,
    *,
    out: str | Path,
    scoring: ScoreOptions = ScoreOptions(),
    running: CohortOptions = CohortOptions(),
    encoding: FeatureOptions = FeatureOptions(),
    reading: ReadOptions = ReadOptions(),
) -> CohortResult:
    """Score every prediction of a folder: `OUT/{id}.json` each, and `OUT/summary-score.csv` with the main numbers.

    Parameters
    ----------
    predictions
        A folder of `.h5ad`, of eosin or of another tool.
    truth
        Data folder with the measured sections, found by name.
    out
        Folder of the scores.

    Raises
    ------
    EosinError
        No prediction is there, or an impossible option. What is wrong with one is a line of the summary.

    Examples
    --------
    >>> model = eosin.train("data", features="features", model="ridge", genes="var:5", sections="A1,A2", out="run")
    >>> _ = eosin.predict_cohort("run", "data", features="features", out="predicted")
    >>> result = eosin.score_cohort("predicted", "data", out="scores")
    >>> sorted(record["id"] for record in result.records)
    ['A1', 'A2', 'B1', 'B2']
    """
    work = ScoreWork(Path(truth), scoring, encoding, replace(reading, sections=None))
    return do_predictions(work, predictions, out, running)
