"""`eosin.score_cohort` and `eosin.report_cohort`: every prediction of a folder against the measured sections."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from eosin.api.parts.ledger import Ledger, content_of
from eosin.api.parts.slide_jobs import CohortResult, Work, do_cohort
from eosin.api.parts.thumbnails import thumbnail_of_file
from eosin.api.report import report
from eosin.api.score import score
from eosin.data import read_prediction
from eosin.data.slide_entries import SlideEntry, as_id
from eosin.errors import EosinError
from eosin.options import CohortOptions, FeatureOptions, ReadOptions, ScoreOptions, names_of, takes_options
from eosin.plurals import counted
from eosin.reporting import SlideCard, write_cohort_index
from eosin.reporting.gene_plot import best_genes
from eosin.reporting.small_map import small_map
from eosin.storage.files import atomic_file, fingerprint, write_json
from eosin.types.likeness import LIKE

INDEX = "index.html"
"""The page that finds the others."""
_IN_SUMMARY = ("mse", "crps", "coverage_90", "pcc_depth", "pcc_given_depth")


@lru_cache(maxsize=4)
def _content_of_data(path: Path) -> str:
    """Hash of measured data, which all predictions of a cohort share; made once in a process."""
    return content_of(path)


@dataclass(frozen=True)
class ScoreWork(Work):
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
        return fingerprint(_content_of_data(self.truth), told)

    def files(self, entry: SlideEntry) -> str:
        """Hash of the prediction."""
        return content_of(entry.path)

    def make(self, entry: SlideEntry, out: Path) -> tuple[Path, dict[str, Any]]:
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
        return path, {"n_spots": scores["n_spots"], **facts}


@dataclass(frozen=True)
class ReportWork(Work):
    """Write the page of a prediction, `{id}.html`.

    Attributes
    ----------
    truth
        The measured sections; None for pages without scores.
    told
        What else `eosin.report` takes, the same for all.
    reading
        As `eosin.report` takes it.
    """

    truth: Path | None
    told: Mapping[str, Any]
    reading: ReadOptions

    verb = "report"

    def key(self) -> str:
        """Hash of the measured data and of all options."""
        data = None if self.truth is None else _content_of_data(self.truth)
        return fingerprint(data, json.dumps(sorted(self.told.items()), default=str), asdict(self.reading))

    def files(self, entry: SlideEntry) -> str:
        """Hash of the prediction."""
        return content_of(entry.path)

    def make(self, entry: SlideEntry, out: Path) -> tuple[Path, dict[str, Any]]:
        """Write the page, and the small map of the index beside the record."""
        path = out / f"{entry.id}.html"
        report(entry.path, out=path, truth=self.truth, reading=self.reading, **self.told)
        prediction = read_prediction(entry.path)
        gene = (names_of(self.told.get("genes")) or best_genes(prediction, None, 1))[0]
        picture = small_map(prediction, gene, thumbnail_of_file(entry.path, prediction))
        with atomic_file(_picture_file(out, entry.id)) as part:
            part.write_bytes(picture)
        facts: dict[str, Any] = {"section": prediction.section, "n_spots": len(prediction.spots), "gene": gene}
        if prediction.likeness is not None:
            facts["slide"] = prediction.likeness.verdict
        return path, facts


def predictions_in(folder: str | Path) -> list[SlideEntry]:
    """The predictions of a folder, by name.

    Raises
    ------
    EosinError
        It is no folder, or holds none.
    """
    folder = Path(folder)
    files = sorted(file for file in folder.glob("*.h5ad") if not file.name.startswith("."))
    if not files:
        raise EosinError("holds no prediction (.h5ad)", file=folder, fix="give the folder that eosin predict wrote")
    return [SlideEntry(as_id(file.stem), file) for file in files]


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
    return do_cohort(work, predictions, lambda: predictions_in(predictions), Path(out), running)


@takes_options(hide=("sections",))
def report_cohort(
    predictions: str | Path,
    *,
    out: str | Path,
    truth: str | Path | None = None,
    told: Mapping[str, Any] | None = None,
    running: CohortOptions = CohortOptions(),
    reading: ReadOptions = ReadOptions(),
) -> CohortResult:
    """Write the page of every prediction of a folder: `OUT/{id}.html` each, and `OUT/index.html` that finds them.

    Parameters
    ----------
    predictions
        A folder of `.h5ad` that eosin wrote.
    out
        Folder of the pages.
    truth
        Data folder with the measured sections: adds scores.
    told
        What else `eosin.report` takes: `genes`, `biomarkers`, `pathways`, `features`, `encoder`.

    Raises
    ------
    EosinError
        No prediction is there, or an impossible option. What is wrong with one is a line of the summary.
    """
    work = ReportWork(None if truth is None else Path(truth), told or {}, replace(reading, sections=None))
    result = do_cohort(work, predictions, lambda: predictions_in(predictions), Path(out), running)
    write_index(Path(out))
    return result


def write_index(out: Path) -> Path:
    """Write `OUT/index.html` over all slides that have a record there, also those of other runs and shards."""
    ledger, cards, genes = Ledger(out, ReportWork.verb), [], set()
    for id_ in ledger.ids():
        record = ledger.record(id_)
        if record is not None:
            cards.append(_card(out, id_, record))
            genes.add(record.get("gene"))
    name = INDEX if all(card.page != INDEX for card in cards) else "cohort.html"  # a slide may be called `index`
    return write_cohort_index(out / name, cards, gene=genes.pop() if len(genes) == 1 else None)


def _card(out: Path, id_: str, record: Mapping[str, Any]) -> SlideCard:
    if record.get("status") != "done":
        return SlideCard(id_, None, (f"failed: {record.get('reason', 'no reason is known')}",), is_warning=True)
    picture = _picture_file(out, id_)
    verdict = record.get("slide")
    lines = [str(verdict)] if verdict else []
    if record.get("section") not in (None, id_):
        lines.append(f"section {record['section']}")
    lines += [counted(int(record["n_spots"]), "spot")] if "n_spots" in record else []
    return SlideCard(
        id_,
        str(record["output"]),
        tuple(lines),
        picture.read_bytes() if picture.is_file() else None,
        is_warning=verdict not in (None, LIKE),
    )


def _picture_file(out: Path, id_: str) -> Path:
    return Ledger(out, ReportWork.verb).file(id_).with_name(f"{id_}.jpg")
