"""The commands of the main job: encode, train, predict, and the tissue that spots are laid on. `cli` takes them up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from eosin.api.parts.catalogue import need_encoder, need_settings, need_shipped
from eosin.cli import show
from eosin.cli.cohort_end import end_of_cohort
from eosin.cli.existing import need_checkpoint, need_existing
from eosin.cli.flags import (
    Choosing,
    Drawing,
    Encoding,
    Flag,
    Laying,
    OneReading,
    Out,
    Predicting,
    Reading,
    Running,
    Starting,
    Training,
    given,
    unset,
)
from eosin.cli.gene_choice import need_panel
from eosin.cli.overrides import line, over
from eosin.errors import EosinError
from eosin.options import ReadOptions, described, names_of
from eosin.plurals import counted

_MPP = described(ReadOptions)["mpp"]


def encode(
    data: Path,
    *,
    out: Out = Path("features"),
    workers: int = 1,
    running: Running = unset(Running),
    half: Flag = False,
    encoding: Encoding = unset(Encoding),
    laying: Laying = unset(Laying),
    reading: Reading = unset(Reading),
) -> int | None:
    """Encode every section's spots into one feature file each; skips what is done.

    Several encoders by commas (--encoder stain,uni) are fed with the same pixels, which are read once; a file each.

    Of a table of slides, or a folder of slides that is no data folder, a slide that fails is a line of
    OUT/summary-encode.csv and does not stop the others.

    Parameters
    ----------
    data
        Folder of measured sections, a bare image, a folder of slides, or .csv, .tsv, .parquet of path, id, section,
        patient, mpp, reader, points, tissue.
    out
        Folder of the feature files.
    workers
        Sections at a time; more than one are encoded in processes of their own.
    half
        Store features as float16: half the disk, three digits.
    """
    need_existing(data)
    need_encoder(encoding.encoder)
    need_shipped("readers", names_of(reading.reader) or ())
    from eosin.api.encode import encode as run
    from eosin.api.encode_cohort import encode_cohort
    from eosin.data.slide_entries import is_cohort

    options = given(encoding) | given(laying) | given(reading)
    if given(running) or is_cohort(data, several_of_data=False):
        if workers != 1 or half or reading.sections:
            problem = "--workers, --half and --sections are not for cohorts"
            raise EosinError(problem, fix="give --on processes:N, or a table")
        return end_of_cohort(encode_cohort(data, out=out, **given(running), **options), out)
    done = run(data, out=out, keep=False, workers=workers, half=half, **options)
    show.lines([f"{counted(len(done), 'section')}, {counted(sum(map(len, done)), 'spot')} in {out}"])
    return None


def train(
    data: Path,
    *,
    out: Out,
    model: str = "stflow",
    settings: Path | None = None,
    seed: int = 0,
    starting: Starting = unset(Starting),
    choosing: Choosing = unset(Choosing),
    training: Training = unset(Training),
    reading: Reading = unset(Reading),
) -> int | None:
    """Train a model on measured sections. Any setting: --model.n-layers 4 --train.epochs 100.

    --calibrate conformal makes intervals for new patients that need no assumption, and at least 9 patients.

    Parameters
    ----------
    data
        Folder of measured sections.
    out
        Checkpoint folder, written after every epoch; Ctrl-C leaves a usable one.
    model
        A name with an optional preset, as `stflow`, `stflow:paper`, `ridge` (see: eosin list models).
    settings
        TOML file with tables [model] and [train]; flags go over it.
    seed
        Of weights, order and noise of training.
    """
    from eosin.config import read_toml

    need_existing(data)
    need_shipped("models", [model])
    need_encoder(None if training.features else training.encoder)  # features of other tools have names of their own
    need_shipped("readers", names_of(reading.reader) or ())
    tables = over(read_toml(settings) if settings else {})
    need_settings(model, tables)
    need_panel(choosing)
    if starting.on != "here":
        from eosin.engine.together import n_processes
        from eosin.execution.torchrun import n_together, run_together

        if (n := n_together(starting.on)) > 1 and n_processes() == 1:
            return run_together(line(), n)
    from eosin.api.train import train as run
    from eosin.engine.together import is_first

    options = {"model": model, "settings": tables, "seed": seed}
    options |= (
        {"resume": starting.resume, "overwrite": starting.overwrite}
        | given(choosing)
        | given(training)
        | given(reading)
    )
    trained = run(data, out=out, **options)
    pcc = trained.metrics.get("pcc_held_out")
    judged = "" if pcc is None else f", correlation {pcc:.3f} on the held-out group of the training sections"
    size = f"{counted(len(trained.panel), 'gene')}, {trained.model.n_parameters:,} parameters"
    if is_first():
        show.lines([f"{model}: {size}{judged}; in {out}"])
    return None


def predict(
    run: Path,
    target: Path,
    *,
    out: Out,
    section: str | None = None,
    running: Running = unset(Running),
    drawing: Drawing = unset(Drawing),
    predicting: Predicting = unset(Predicting),
    laying: Laying = unset(Laying),
    reading: OneReading = unset(OneReading),
) -> int | None:
    """Predict the expression of a section, or of every slide of a cohort, with a trained model; needs no expression.

    A folder of slides or sections, or a table with a column `path`, is a cohort where OUT is not an .h5ad: one .h5ad
    for each slide and OUT/summary.csv; what is done is skipped, and a slide that fails is a line of the summary.

    How draws are made can be changed, as --model.n-steps 10 or --model.sampler ancestral; what was learned cannot.

    Parameters
    ----------
    run
        Checkpoint folder.
    target
        Measured section (its spots are used, its counts are not), a bare image, a feature file of another tool, or a
        cohort: a folder of several, or .csv, .tsv, .parquet of path, id, section, patient, mpp, reader, points, tissue.
    out
        The .h5ad to write: mean in X, sd and quantiles in layers, coordinates and image for scanpy. Of a cohort the
        folder of these.
    section
        Which section of a data folder.
    """
    need_checkpoint(run)
    need_existing(target)
    need_shipped("readers", names_of(reading.reader) or ())
    from eosin.api.predict import predict as make
    from eosin.api.predict_cohort import predict_cohort
    from eosin.data.slide_entries import is_cohort

    if section is None and out.suffix.lower() != ".h5ad" and is_cohort(target):
        options = given(running) | given(drawing) | given(predicting) | given(laying) | given(reading)
        settings = over({}).get("model")
        return end_of_cohort(predict_cohort(run, target, out=out, settings=settings, **options), out)
    if given(running):
        raise EosinError("--on and --shard are for cohorts", fix="give a folder or table of slides, and a folder by -o")
    options = given(drawing) | given(predicting) | given(laying) | given(reading)
    settings = over({}).get("model")
    done = make(run, target, section=section, settings=settings, out=out, **options)
    sizes = [counted(len(done.spots), "spot"), counted(len(done.panel), "gene")]
    if drawing.keep_draws or done.error_bars is None:  # else the file has none
        sizes.append(counted(done.n_draws, "draw"))
    show.lines([f"{done.section}: {', '.join(sizes)} in {out}"])
    return None


def tissue(image: Path, *, out: Out, mpp: Annotated[float | None, Parameter(help=_MPP)] = None) -> None:
    """Find the tissue of an image and write its outlines as GeoJSON: for QuPath, and for --tissue.

    Parameters
    ----------
    image
        A slide or a bare image.
    out
        The .geojson to write, in full-resolution pixels.
    """
    need_existing(image)
    from eosin.api.tissue import tissue as run

    found = run(image, out=out, mpp=mpp)
    show.lines([f"{found.area_um2 / 1e6:.3g} mm² of tissue, {found.mask.mean():.0%} of the image, in {out}"])
