"""What verbs on a folder of predictions share: its files, what a record is kept for, the run over all of them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from eosin.api.parts.ledger import content_of
from eosin.api.parts.slide_jobs import CohortResult, Work, do_cohort
from eosin.data.slide_entries import SlideEntry, as_id
from eosin.errors import EosinError
from eosin.options import CohortOptions


class OnPrediction(Work):
    """A work whose slides are predictions: a record holds as long as the prediction is the same."""

    def files(self, entry: SlideEntry) -> str:
        """Hash of the prediction."""
        return content_of(entry.path)


def do_predictions(
    work: OnPrediction, predictions: str | Path, out: str | Path, running: CohortOptions
) -> CohortResult:
    """Do one work for every prediction of a folder, as `do_cohort` does it."""
    return do_cohort(work, predictions, lambda: predictions_in(predictions), Path(out), running)


@lru_cache(maxsize=4)
def content_of_data(path: Path) -> str:
    """Hash of measured data, which all predictions of a cohort share; made once in a process."""
    return content_of(path)


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
