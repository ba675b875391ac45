"""`eosin.export_cohort`: every prediction of a folder, written for another program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eosin.api.parts.predictions import OnPrediction, do_predictions
from eosin.api.parts.slide_jobs import CohortResult
from eosin.data.slide_entries import SlideEntry
from eosin.exporting import export
from eosin.exporting.formats import ExportOptions, format_of
from eosin.options import CohortOptions, names_of, takes_options
from eosin.storage.files import fingerprint


@dataclass(frozen=True)
class ExportWork(OnPrediction):
    """Write a prediction as `{id}.SUFFIX`.

    Attributes
    ----------
    suffix
        Of the format, with its dot.
    genes, missing_genes, options
        As `eosin.exporting.export` takes them.
    """

    suffix: str
    genes: tuple[str, ...] | None
    missing_genes: str
    options: ExportOptions

    verb = "export"

    def key(self) -> str:
        """Hash of all options."""
        return fingerprint(self.suffix, str(self.genes), self.missing_genes, asdict(self.options))

    def make(self, entry: SlideEntry, out: Path) -> tuple[tuple[Path, ...], dict[str, Any]]:
        """Write the file."""
        told = {"genes": self.genes, "missing_genes": self.missing_genes, **asdict(self.options)}
        return (export(entry.path, out / f"{entry.id}{self.suffix}", **told),), {}


@takes_options()
def export_cohort(
    predictions: str | Path,
    *,
    out: str | Path,
    to: str,
    genes: str | Sequence[str] | None = None,
    missing_genes: str = "refuse",
    layers: str | Sequence[str] | None = None,
    outline: str | None = None,
    mpp: float | None = None,
    running: CohortOptions = CohortOptions(),
) -> CohortResult:
    """Write every prediction of a folder for another program: `OUT/{id}.SUFFIX` each, and `OUT/summary-export.csv`.

    Parameters
    ----------
    predictions
        A folder of `.h5ad` that eosin wrote.
    out
        Folder of the files.
    to
        The format, by its suffix: `geojson`, `csv`, `parquet`, `h5ad` or `zarr`.
    genes, missing_genes, layers, outline, mpp
        As `eosin.export` takes them.

    Raises
    ------
    EosinError
        No such format, an option that it does not take, no prediction. What is wrong with one is a line of the summary.

    Examples
    --------
    >>> model = eosin.train("data", features="features", model="ridge", genes="var:5", sections="A1,A2", out="run")
    >>> _ = eosin.predict_cohort("run", "data", features="features", out="predicted")
    >>> result = eosin.export_cohort("predicted", out="tables", to="csv")
    >>> sorted(record["output"] for record in result.records)
    ['A1.csv', 'A2.csv', 'B1.csv', 'B2.csv']
    """
    suffix, options = f".{to.removeprefix('.')}", ExportOptions(names_of(layers), outline, mpp)
    format_of(Path(f"all{suffix}")).check(options)
    work = ExportWork(suffix, names_of(genes), missing_genes, options)
    return do_predictions(work, predictions, out, running)
