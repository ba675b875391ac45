"""One function per verb of the command line, with the same names: from files to files.

Each takes paths or records and returns records; `eosin.train`, `eosin.predict`, ... are these.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

from eosin import benchmark, engine
from eosin import data as door
from eosin.config import read_toml
from eosin.data.readers import blame
from eosin.encoders import Encoder, attach, get_encoder
from eosin.encoders import encode as encode_section
from eosin.engine import Trained
from eosin.errors import EosinError
from eosin.genes import choose_panel
from eosin.reporting import write_bench_report, write_report
from eosin.scoring import score as score_predictions
from eosin.slide import find_tissue, open_slide
from eosin.spots import lay_spots
from eosin.types import Image, Prediction, Section

log = logging.getLogger("eosin")

CACHE = Path("eosin-cache")
"""Where features go that nobody gave a place, below the current folder."""

Settings = Mapping[str, Mapping[str, Any]]
Data = str | Path | Sequence[Section]


def read(
    path: str | Path,
    *,
    sections: Sequence[str] | None = None,
    reader: str | None = None,
    mpp: float | None = None,
    features: str | Path | None = None,
    encoder: str = "stain",
) -> list[Section]:
    """Read measured sections; with `features`, also what `encode` wrote for them.

    Parameters
    ----------
    path
        A data folder or file in a layout that a reader knows (`eosin list readers`).
    sections
        Names of the sections to read; all by default.
    mpp
        µm per pixel of the images, for files that do not say it.
    features
        Folder of feature files; a section without one stays without features.
    """
    found = door.read(path, reader=reader, sections=sections, mpp=mpp)
    if features is None:
        return found
    return [attach(section, Path(features), get_encoder(encoder).spec) or section for section in found]


def encode(
    data: Data,
    *,
    out: str | Path | None = None,
    encoder: str | Encoder = "stain",
    sections: Sequence[str] | None = None,
    reader: str | None = None,
    mpp: float | None = None,
) -> list[Section]:
    """Encode every section's spots, one feature file each; what is done is skipped.

    Returns the sections with their features. `out` is the folder of feature files (`eosin-cache` by default).
    """
    machine = get_encoder(encoder)
    folder = Path(out) if out is not None else CACHE
    return [encode_section(one, machine, cache=folder) for one in _sections(data, sections, reader, mpp)]


def train(
    data: Data,
    *,
    features: str | Path | None = None,
    encoder: str = "stain",
    model: str = "stflow",
    genes: str = "var:50",
    transform: str = "log1p",
    settings: Settings | str | Path | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    sections: Sequence[str] | None = None,
    reader: str | None = None,
    mpp: float | None = None,
) -> Trained:
    """Train a model on measured sections; what is not encoded yet is encoded first, into a cache folder.

    Parameters
    ----------
    data
        A data folder, or sections that were read.
    model
        A name with an optional preset, as `stflow`, `stflow:paper`, `ridge`.
    genes
        How the panel is chosen on these sections: `var:50`, `hvg:50`, `hmhvg:200`, a file, or names by commas.
    settings
        Tables `model` and `train`, or a TOML file that has them.
    out
        Checkpoint folder, written every epoch; `resume` continues the run that lies there.
    """
    tables = read_toml(settings) if isinstance(settings, str | Path) else settings
    engine.resolve(model, tables)  # refuse an unknown setting before the images are encoded
    if features is not None and not Path(features).is_dir():
        raise EosinError("no such folder of features", file=features, fix="run eosin encode first, or leave it out")
    measured = _sections(data, sections, reader, mpp)
    panel = choose_panel(genes, measured, transform=transform)  # likewise a panel that cannot be had
    ready = _encoded(measured, encoder, features)
    return engine.train(ready, model=model, settings=tables, panel=panel, seed=seed, out=out, resume=resume)


def predict(
    model: Trained | str | Path,
    target: Section | str | Path,
    *,
    draws: int = 16,
    seed: int = 0,
    section: str | None = None,
    features: str | Path | None = None,
    pitch_um: float = 100.0,
    reader: str | None = None,
    mpp: float | None = None,
    out: str | Path | None = None,
) -> Prediction:
    """Predict the expression of a section; none is needed, and none is looked at.

    Parameters
    ----------
    model
        A trained model or its checkpoint folder.
    target
        A section; a data folder (with `section` where it holds several); or a bare image, on whose tissue a
        square lattice of spots, `pitch_um` apart, is laid.
    out
        Where to write the prediction as `.h5ad`.
    """
    trained = model if isinstance(model, Trained) else engine.load(model)
    one = target if isinstance(target, Section) else open_target(target, section, pitch_um, reader, mpp)
    if one.features is None:
        one = _encoded([one], trained.encoder, features)[0]
    prediction = engine.predict(trained, one, draws=draws, seed=seed)
    if out is not None:
        save_prediction(prediction, out)
    return prediction


def open_target(
    path: str | Path,
    section: str | None = None,
    pitch_um: float = 100.0,
    reader: str | None = None,
    mpp: float | None = None,
) -> Section:
    """One section to predict, from a data folder or a bare image."""
    path = Path(path)
    if not path.exists():
        raise EosinError("no such file or folder", file=path, fix="check the path")
    if path.is_file() and path.suffix.lower() not in {".h5ad", ".h5"} and reader is None:
        return section_of_image(path, pitch_um=pitch_um, mpp=mpp)
    names = None if section is None else [section]
    if names is None:
        chosen, _ = door.recognise(path, reader)
        names = chosen.names(path)
        if len(names) > 1:
            raise EosinError(
                f"holds {len(names)} sections", file=path, fix="name one: --section " + "|".join(names[:8])
            )
    return door.read(path, reader=reader, sections=names, mpp=mpp)[0]


def section_of_image(path: str | Path, *, pitch_um: float = 100.0, mpp: float | None = None) -> Section:
    """A section without counts: a square lattice of spots on the tissue of a bare image."""
    if not (isfinite(pitch_um) and pitch_um > 0):
        raise EosinError(f"a pitch of {pitch_um:g} µm between spots is impossible", fix="give a positive --pitch-um")
    with blame(path), open_slide(path, mpp=mpp) as slide:
        tissue = find_tissue(slide)
        spots = lay_spots(tissue.mask, tissue.um_per_px, pitch_um=pitch_um)
        image = Image(Path(path), slide.mpp)
    name = Path(path).name.split(".")[0]
    log.info("%s: %d spots, %g µm apart, on the tissue", name, len(spots), pitch_um)
    return Section(name, name, spots, image=image, platform="image")


def score(
    prediction: Prediction | str | Path, truth: Data, *, reader: str | None = None, mpp: float | None = None
) -> dict:
    """Compare a prediction with the measured section of the same name (or the only one there)."""
    if not isinstance(prediction, Prediction):
        prediction = door.read_prediction(prediction)
    return score_predictions(prediction, truth_of(prediction, truth, reader, mpp))


def truth_of(prediction: Prediction, truth: Data, reader: str | None = None, mpp: float | None = None) -> Section:
    """The measured section that a prediction is of."""
    if isinstance(truth, str | Path):
        chosen, _ = door.recognise(truth, reader)
        names = chosen.names(Path(truth))
        wanted = prediction.section if prediction.section in names else names[0]
        if len(names) > 1 and wanted != prediction.section:
            raise EosinError(
                f"has no section '{prediction.section}'", file=truth, fix="give the data that the prediction is of"
            )
        return door.read(truth, reader=reader, sections=[wanted], mpp=mpp)[0]
    for section in truth:
        if section.name == prediction.section:
            return section
    raise EosinError(f"no section is called '{prediction.section}'", fix="give the section that the prediction is of")


def report(
    path: str | Path,
    *,
    out: str | Path,
    truth: Data | None = None,
    genes: Sequence[str] | None = None,
    reader: str | None = None,
    mpp: float | None = None,
) -> Path:
    """Write one HTML page of a prediction (`.h5ad`) or of a grid (`scores.json`); it opens without a network."""
    path = Path(path)
    if path.suffix == ".json":
        from eosin.files import read_json

        return write_bench_report(out, read_json(path))
    prediction = door.read_prediction(path)
    known = [] if truth is None else [truth_of(prediction, truth, reader, mpp)]
    scores = {prediction.model: score_predictions(prediction, known[0])} if known else None
    return write_report(
        out,
        predictions=[prediction],
        truth=known,
        scores=scores,
        thumbnails=thumbnails([prediction]),
        title=f"{prediction.section} by {prediction.model}",
        settings=dict(prediction.provenance),
        genes=list(genes) if genes else None,
    )


def bench(
    data: Data,
    *,
    models: Sequence[str] | None = None,
    encoders: Sequence[str] = ("stain",),
    genes: str | None = None,
    transform: str | None = None,
    split: str | None = None,
    seeds: int = 1,
    draws: int = 16,
    settings: Mapping[str, Settings] | str | Path | None = None,
    features: str | Path | None = None,
    out: str | Path,
    keep_predictions: bool = False,
    reader: str | None = None,
    mpp: float | None = None,
    protocol: str | Path | None = None,
    allow_leak: bool = False,
    dry_run: bool = False,
    isolate: bool = True,
) -> dict[str, Any]:
    """Train, predict and score models x encoders x splits x seeds; resumable per cell; writes `OUT/scores.json`.

    The tuned ridge is always among the models.

    Parameters
    ----------
    models
        `gene-mean`, `ridge` and `stflow`, or the protocol's own, if none are named.
    genes, transform
        `var:50` and `log1p` if not given; a protocol fixes them.
    split
        `leave-section-out` (if not given) or `leave-patient-out`, of all or of some as
        `leave-section-out(C2,C3,C4)`; or `C2,C3,C4,C5:C6` (train:test). Several by `;`. A protocol fixes it.
    settings
        Tables per model as named in `models`, each with `model` and `train`; or a TOML file of them.
    keep_predictions
        Also write every prediction, as `OUT/predictions/CELL/SECTION.h5ad`.
    protocol
        Name of a protocol (`eosin list protocols`) or a file, with `@HASH` behind it to insist on its content.
    allow_leak
        Go on where test data is known before the test, and stamp every result with it.
    dry_run
        Write nothing; the answer's `plan` lists every cell with parameters and estimates of time and memory.
    isolate
        Each cell in a process of its own, one after another: a crash or a lack of memory costs that cell only.
    """
    fixed = None if protocol is None else benchmark.load_protocol(protocol)
    if fixed is not None:
        _refuse_both(fixed.name, {"split": split, "genes": genes, "transform": transform})
    sections = _sections(data, None, reader, mpp)
    if fixed is None:
        made = door.splits(split or "leave-section-out", sections, allow_leak=allow_leak)
        panel, transform = genes or "var:50", transform or "log1p"
    else:
        made = benchmark.protocol_splits(fixed, sections, folder_of(data), allow_leak=allow_leak)
        panel, transform = benchmark.protocol_genes(fixed, sections, folder_of(data)), fixed.head.transform
    used = {name for one in made for name in (*one.train, *one.validation, *one.test)}
    sections = [section for section in sections if section.name in used]
    asked, said = _with_reference(list(models or (fixed.head.models if fixed else ()) or DEFAULT_MODELS))
    tables = read_toml(settings) if isinstance(settings, str | Path) else settings
    for model in asked:
        engine.resolve(model, (tables or {}).get(model))  # refuse an unknown one before the images are encoded
    if dry_run and features is None and any(section.features is None for section in sections):
        raise EosinError("an estimate needs features", fix="run eosin encode first and give --features")
    encoded = {encoder: _encoded(sections, encoder, features) for encoder in encoders}
    return benchmark.bench(
        encoded,
        models=asked,
        splits=made,
        genes=panel,
        transform=transform,
        seeds=seeds,
        draws=draws,
        settings=tables,
        out=out,
        save=save_prediction if keep_predictions else None,
        protocol=fixed,
        allow_leak=allow_leak,
        isolate=isolate,
        dry_run=dry_run,
        remarks=said,
    )


def study(
    data: Data,
    name: str,
    *,
    preset: str | None = None,
    encoders: Sequence[str] = ("stain",),
    genes: str = "var:50",
    split: str | None = None,
    seeds: int = 1,
    draws: int = 16,
    features: str | Path | None = None,
    out: str | Path,
    reader: str | None = None,
    mpp: float | None = None,
    allow_leak: bool = False,
) -> dict[str, Any]:
    """One of the papers' tables (refinement steps, priors, ablations, panel sizes, ...) on your sections.

    Every row is a grid of `bench`, with the tuned ridge beside it; what is done is not run again. Writes
    `OUT/scores.json` over all rows.

    Parameters
    ----------
    name
        As `eosin list studies` names it.
    preset
        `paper` or `small`, for every model of the study that has it.
    genes, draws
        Where the study itself does not vary them.
    """
    cells = benchmark.study_cells(name, preset=preset)
    sections = _sections(data, None, reader, mpp)

    def run(cell: benchmark.StudyCell, folder: Path) -> dict[str, Any]:
        return bench(
            sections,
            models=[cell.model],
            settings={cell.model: {table: dict(values) for table, values in cell.settings.items()}},
            encoders=encoders,
            genes=cell.genes or genes,
            split=split,
            seeds=seeds,
            draws=cell.draws or draws,
            features=features,
            out=folder,
            allow_leak=allow_leak,
        )

    return benchmark.run_study(name, cells, run, out)


DEFAULT_MODELS = ("gene-mean", "ridge", "stflow")


def folder_of(data: Data) -> Path | None:
    """Where the data lies, if it was not given as records."""
    return Path(data) if isinstance(data, str | Path) else None


def _refuse_both(protocol: str, given: Mapping[str, str | None]) -> None:
    """A protocol is the whole of it: what contradicts it is not mixed in."""
    for name, value in given.items():
        if value is not None:
            raise EosinError(
                f"protocol '{protocol}' fixes the {name}, and --{name} {value} is given too",
                fix=f"leave --{name} out, or run without --protocol",
            )


def _with_reference(models: list[str]) -> tuple[list[str], list[str]]:
    """The models with the tuned ridge among them, and a line if it had to be added."""
    if benchmark.REFERENCE in models:
        return models, []
    line = f"'{benchmark.REFERENCE}', the tuned baseline, was not asked for and was added"
    log.info(line)
    return [*models, benchmark.REFERENCE], [line]


def save_prediction(prediction: Prediction, path: str | Path) -> None:
    """Write a prediction as `.h5ad` with its draws and, where the image is there, its thumbnails."""
    small = None
    if prediction.image is not None and prediction.image.path.is_file():
        with open_slide(prediction.image.path, mpp=prediction.image.mpp) as slide:
            (hires, fine), (lowres, coarse) = slide.thumbnail(1200), slide.thumbnail(400)
        small = door.Thumbnails(hires, lowres, fine, coarse)
    door.write_prediction(prediction, path, draws=True, thumbnails=small)


def thumbnails(predictions: Sequence[Prediction], max_px: int = 700) -> dict[str, tuple[Any, float]]:
    """A small image of each prediction's slide, and its scale in µm per pixel."""
    found = {}
    for prediction in predictions:
        if prediction.image is not None and prediction.image.path.is_file():
            with open_slide(prediction.image.path, mpp=prediction.image.mpp) as slide:
                found[prediction.section] = slide.thumbnail(max_px)
    return found


def _sections(data: Data, sections: Sequence[str] | None, reader: str | None, mpp: float | None) -> list[Section]:
    if isinstance(data, str | Path):
        return door.read(data, reader=reader, sections=sections, mpp=mpp)
    return [one for one in data if sections is None or one.name in sections]


def _encoded(sections: Sequence[Section], encoder: str, features: str | Path | None) -> list[Section]:
    """The sections with features: those they have, else those of the folder, else freshly made ones."""
    if all(section.features is not None for section in sections):
        return list(sections)
    machine = get_encoder(encoder)
    if features is not None:
        attached = [attach(section, features, machine.spec) for section in sections]
        for section, found in zip(sections, attached):
            if found is None:
                raise EosinError(
                    f"has no features of encoder '{machine.card.name}' for section '{section.name}'",
                    file=features,
                    fix=f"run eosin encode DATA -o {features} --encoder {encoder}",
                )
        return [replace(one) for one in attached if one is not None]
    log.info("features are kept in %s", CACHE.resolve())
    return [encode_section(section, machine, cache=CACHE) for section in sections]
