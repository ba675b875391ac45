"""`eosin.predict_cohort`: every slide of a folder or manifest predicted by a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from eosin import engine
from eosin.api.parts.ledger import content_of
from eosin.api.parts.outputs import need_folder, need_other_file
from eosin.api.parts.slide_jobs import CohortResult, Work, do_all
from eosin.api.predict import predict, section_to_predict
from eosin.data.slide_entries import SlideEntry, entries_of, of_shard
from eosin.engine import Trained
from eosin.errors import EosinError
from eosin.execution.by_name import execution_of
from eosin.features import candidates
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
        """Hash of the model and of all options; a calibration counts by its content."""
        calibration = None if self.drawing.calibration is None else content_of(Path(self.drawing.calibration))
        told = [asdict(record) for record in (self.encoding, self.layout, self.reading)]
        settings = sorted((self.settings or {}).items())
        return fingerprint(self.run_key, asdict(replace(self.drawing, calibration=calibration)), told, settings)

    def files(self, entry: SlideEntry) -> str:
        """Hash of the slide, of its points and outlines, of its feature file, and of what the entry says of it."""
        own = [content_of(path) for path in (entry.path, entry.points, entry.tissue) if path is not None]
        features = []
        if self.encoding.features is not None:
            name = entry.section or entry.path.stem
            features = [str(image_hash(file)) for file in candidates(name, Path(self.encoding.features))]
        return fingerprint(own, features, _said(entry))

    def content(self, entry: SlideEntry) -> str | None:
        """For one of several sections: hash of the section and its image, whatever else lies beside it."""
        if entry.section is None:
            return None
        return self._content_of(self._open(entry), entry)

    def _open(self, entry: SlideEntry) -> Section:
        laid, encoder = layout_of(entry.layout(self.layout)), _loaded(self.run, self.run_key).encoder
        return section_to_predict(entry.path, entry.section, encoder, laid, entry.reading(self.reading))

    @staticmethod
    def _content_of(section: Section, entry: SlideEntry) -> str:
        image = None if section.image is None else image_hash(section.image.path)
        return fingerprint(section.fingerprint(), section.patient, str(image), _said(entry))

    def make(self, entry: SlideEntry, out: Path) -> tuple[Path, dict[str, Any]]:
        """Predict, and write `{id}.h5ad`."""
        path = out / f"{entry.id}.h5ad"
        section = self._open(entry)
        content = self._content_of(section, entry)
        options = {"drawing": self.drawing, "encoding": self.encoding, "settings": self.settings}
        made = predict(_loaded(self.run, self.run_key), section, out=path, **options)
        facts: dict[str, Any] = {"section": made.section, "patient": section.patient, "n_spots": len(made.spots)}
        if made.likeness is not None:
            facts["slide"] = made.likeness.line()
        return path, {**facts, "content": content}


def _said(entry: SlideEntry) -> list[str]:
    return [str(value) for value in (entry.id, entry.section, entry.patient, entry.mpp, entry.reader)]


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
    out, run = Path(out), Path(model)
    need_folder(out)
    need_other_file(out, cohort)
    layout_of(layout)
    execution = execution_of(running.on)
    entries = of_shard(entries_of(cohort, reading), running.shard)
    config = read_json(run / "config.json")
    if not isinstance(config, dict) or not (run / "model.safetensors").is_file():
        raise EosinError("is no checkpoint of eosin's", file=run, fix="train one: eosin train DATA -o RUN")
    run_key = fingerprint(config, str(image_hash(run / "model.safetensors")))
    work = PredictWork(run, run_key, drawing, encoding, layout, replace(reading, sections=None), settings)
    return do_all(work, entries, out, execution=execution)
