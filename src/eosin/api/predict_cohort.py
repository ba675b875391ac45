"""`eosin.predict_cohort`: every slide of a folder or manifest predicted by a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from eosin import engine
from eosin.api.parts.entry_sections import content_of_section, files_of_entry, section_of_entry
from eosin.api.parts.ledger import content_of
from eosin.api.parts.slide_jobs import CohortResult, Work, do_cohort
from eosin.api.predict import predict
from eosin.data.slide_entries import SlideEntry, entries_of
from eosin.engine import Trained
from eosin.errors import EosinError
from eosin.features.image_hash import image_hash
from eosin.options import (
    CohortOptions,
    DrawOptions,
    FeatureOptions,
    LayoutOptions,
    ReadOptions,
    takes_options,
)
from eosin.slide import layout_of
from eosin.storage.files import fingerprint, read_json
from eosin.types import Section


@lru_cache(maxsize=1)
def _loaded(run: Path, key: str) -> Trained:
    """The model of a run; read once for slides that are predicted in one process."""
    del key
    return engine.load(run)


@dataclass(frozen=True)
class PredictWork(Work):
    """Predict a slide; its output is `{id}.h5ad`.

    Attributes
    ----------
    run
        Checkpoint folder.
    run_key
        Hash of what is in it.
    drawing, encoding, layout, reading, settings
        As `eosin.predict` takes them, for all slides.
    """

    run: Path
    run_key: str
    drawing: DrawOptions
    encoding: FeatureOptions
    layout: LayoutOptions
    reading: ReadOptions
    settings: Mapping[str, Any] | None = None

    verb = "predict"

    def key(self) -> str:
        """Hash of the model and of all options that change a result; a calibration counts by its content."""
        calibration = None if self.drawing.calibration is None else content_of(Path(self.drawing.calibration))
        drawing = asdict(replace(self.drawing, calibration=calibration))
        drawing.pop("memory")  # the same result in whatever pieces
        told = [asdict(record) for record in (self.encoding, self.layout, self.reading)]
        settings = sorted((self.settings or {}).items())
        return fingerprint(self.run_key, drawing, told, settings)

    def files(self, entry: SlideEntry) -> str:
        """Hash of the slide and of its feature file."""
        return files_of_entry(entry, self.encoding.features)

    def content(self, entry: SlideEntry) -> str | None:
        """For one of several sections: hash of the section and its image."""
        return None if entry.section is None else content_of_section(entry, self._open(entry))

    def _open(self, entry: SlideEntry) -> Section:
        encoder = _loaded(self.run, self.run_key).encoder
        return section_of_entry(entry, self.layout, self.reading, encoder=encoder)

    def make(self, entry: SlideEntry, out: Path) -> tuple[tuple[Path, ...], dict[str, Any]]:
        """Predict, and write `{id}.h5ad`."""
        path = out / f"{entry.id}.h5ad"
        section = self._open(entry)
        content = content_of_section(entry, section)
        options = {"drawing": self.drawing, "encoding": self.encoding, "settings": self.settings}
        made = predict(_loaded(self.run, self.run_key), section, out=path, **options)
        facts: dict[str, Any] = {"section": made.section, "patient": section.patient, "n_spots": len(made.spots)}
        if made.likeness is not None:
            facts["slide"] = made.likeness.line()
        return (path,), {**facts, "content": content}


@takes_options(hide=("encoder", "tile_um", "symmetries", "device", "precision", "sections"))
def predict_cohort(
    model: str | Path,
    cohort: str | Path,
    *,
    out: str | Path,
    settings: Mapping[str, Any] | None = None,
    running: CohortOptions = CohortOptions(),
    drawing: DrawOptions = DrawOptions(),
    encoding: FeatureOptions = FeatureOptions(),
    layout: LayoutOptions = LayoutOptions(),
    reading: ReadOptions = ReadOptions(),
) -> CohortResult:
    """Predict every slide of a cohort: `OUT/{id}.h5ad` each, and `OUT/summary.csv`.

    What is done is skipped: by the content of slide, model and options, not by its name. A slide that fails does not
    stop the others; its reason stands in the summary. A run that is killed goes on where it was. Several runs on one
    folder, on one machine or on several that share a disk, do each slide once.

    Parameters
    ----------
    model
        Checkpoint folder.
    cohort
        A folder of slides or sections, or a manifest: .csv, .tsv or .parquet with the column `path` (relative to the
        table), and maybe id, section, patient, mpp, reader, points, tissue.
    out
        Folder of the predictions.
    settings
        Other settings of how draws are made, as in `predict`.

    Raises
    ------
    EosinError
        No slide is there, an impossible manifest or option, no such checkpoint. What is wrong with one slide is a line
        of the summary.

    Examples
    --------
    >>> model = eosin.train("data", features="features", model="ridge", genes="var:5", sections="A1,A2", out="run")
    >>> result = eosin.predict_cohort("run", "data", features="features", out="predicted")
    >>> [record["status"] for record in result.records]
    ['done', 'done', 'done', 'done']
    """
    run = Path(model)
    layout_of(layout)
    config = read_json(run / "config.json")
    if not isinstance(config, dict) or not (run / "model.safetensors").is_file():
        raise EosinError("is no checkpoint of eosin's", file=run, fix="train one: eosin train DATA -o RUN")
    run_key = fingerprint(config, str(image_hash(run / "model.safetensors")))
    work = PredictWork(run, run_key, drawing, encoding, layout, replace(reading, sections=None), settings)
    return do_cohort(work, cohort, lambda: entries_of(cohort, reading), Path(out), running)
