"""`eosin.report_cohort`: the page of every prediction of a folder, and one that finds them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from eosin.api.parts.ledger import Ledger
from eosin.api.parts.predictions import OnPrediction, content_of_data, do_predictions
from eosin.api.parts.slide_jobs import CohortResult
from eosin.api.parts.thumbnails import thumbnail_of_file
from eosin.api.report import report
from eosin.data import read_prediction
from eosin.data.slide_entries import SlideEntry
from eosin.options import CohortOptions, ReadOptions, names_of, takes_options
from eosin.plurals import counted
from eosin.reporting import SlideCard, write_cohort_index
from eosin.reporting.gene_plot import best_genes
from eosin.reporting.small_map import small_map
from eosin.storage.files import atomic_file, fingerprint
from eosin.types.likeness import LIKE

INDEX = "index.html"
"""The page that finds the others."""


@dataclass(frozen=True)
class ReportWork(OnPrediction):
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
        data = None if self.truth is None else content_of_data(self.truth)
        return fingerprint(data, json.dumps(sorted(self.told.items()), default=str), asdict(self.reading))

    def make(self, entry: SlideEntry, out: Path) -> tuple[tuple[Path, ...], dict[str, Any]]:
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
        return (path,), facts


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
    result = do_predictions(work, predictions, out, running)
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
