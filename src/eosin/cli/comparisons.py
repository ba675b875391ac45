"""The commands that compare and show: score, report, plot, bench, study. `cli` takes them up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from eosin.api.parts.catalogue import need_model_settings, need_shipped
from eosin.cli.cohort_end import end_of_cohort, need_cohort
from eosin.cli.existing import need_existing
from eosin.cli.flags import (
    Benching,
    Flag,
    OneReading,
    Out,
    Reading,
    Running,
    Scoring,
    Studying,
    Training,
    given,
    listed,
    unset,
)
from eosin.cli.gene_choice import need_panel
from eosin.config import read_toml
from eosin.options import BenchSettings, ScoreOptions, described, names_of

_LINES = described(BenchSettings)
Biomarkers = Annotated[list[str] | None, Parameter(help=_LINES["biomarkers"])]
Scale = Annotated[str | None, Parameter(help=described(ScoreOptions)["scale"])]
Pathways = Annotated[Path | None, Parameter(help=_LINES["pathways"])]


def score(
    prediction: Path,
    truth: Path,
    *,
    features: Path | None = None,
    encoder: str | None = None,
    json: Flag = False,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    scoring: Scoring = unset(Scoring),
    running: Running = unset(Running),
    reading: OneReading = unset(OneReading),
) -> int | None:
    """Compare a predicted .h5ad with the measured section: the main numbers, or all of them by --json.

    Of a folder of predictions, OUT/{id}.json has all numbers of each, and OUT/summary-score.csv the main ones.

    Parameters
    ----------
    prediction
        What `eosin predict` wrote, or an .h5ad of any other tool.
    truth
        Data folder with the measured section.
    features
        Folder of feature files: the tuned ridge, trained on the other sections of TRUTH, stands beside.
    encoder
        Of these features.
    json
        Print every number, by gene and section too, as JSON.
    out
        Of a folder of predictions: the folder of the scores.
    """
    need_existing(prediction, truth)
    need_cohort(prediction, out, given(running))
    from json import dumps

    from eosin.api.score import score as run
    from eosin.api.score_cohort import score_cohort
    from eosin.cli import show
    from eosin.cli.score_lines import score_lines

    options = {} if features is None else {"features": features}
    options |= given(reading) | ({} if encoder is None else {"encoder": encoder})
    if out is not None:
        result = score_cohort(prediction, truth, out=out, **options, **given(scoring), **given(running))
        return end_of_cohort(result, out)
    scores = run(prediction, truth, **options, **given(scoring))
    show.lines([dumps(scores, indent=1)] if json else score_lines(scores))
    return None


def report(
    path: Path,
    *others: Path,
    out: Out,
    truth: Path | None = None,
    features: Path | None = None,
    encoder: str | None = None,
    genes: list[str] | None = None,
    biomarkers: Biomarkers = None,
    pathways: Pathways = None,
    running: Running = unset(Running),
    reading: OneReading = unset(OneReading),
) -> int | None:
    """Write one offline HTML page of a prediction (.h5ad), or of a grid or study (scores.json).

    Several predictions of one section stand side by side: eosin report P.h5ad RIDGE.h5ad --truth DATA -o page.html

    Of a folder of predictions, one page each into the folder OUT, and OUT/index.html that finds them.

    Parameters
    ----------
    path
        A predicted .h5ad, or the scores.json of a grid or study.
    others
        Other predictions of the same section.
    out
        The .html to write.
    truth
        Data folder with the measured section: adds its maps and the scores.
    features
        Folder of feature files: the tuned ridge, trained on the other sections of TRUTH, stands beside.
    encoder
        Of these features.
    genes
        Genes to show first, by commas; by default the best predicted ones.
    """
    need_existing(path, *others, truth)
    of_many = path.is_dir() and not (path / "scores.json").is_file()
    if of_many or not path.is_dir():
        need_cohort(path, out, given(running))
    from eosin.api.report import report as run
    from eosin.api.report_cohort import report_cohort
    from eosin.cli import show

    own = {"genes": listed(genes), "biomarkers": listed(biomarkers), "pathways": pathways}
    beside = {"features": features, "encoder": encoder}
    own |= {name: value for name, value in beside.items() if value is not None}
    if of_many:
        told = {name: str(value) if isinstance(value, Path) else value for name, value in own.items()}
        return end_of_cohort(
            report_cohort(path, out=out, truth=truth, told=told, **given(reading), **given(running)), out
        )
    page = run(path, *others, out=out, truth=truth, **own, **given(reading))
    show.lines([f"open {page} in a browser"])
    return None


def plot(
    prediction: Path,
    *,
    out: Out,
    genes: list[str] | None = None,
    show: list[str] | None = None,
    truth: Path | None = None,
    dpi: int = 200,
    reading: OneReading = unset(OneReading),
) -> None:
    """Draw maps of genes on the tissue: .png, .pdf or .svg.

    Parameters
    ----------
    prediction
        What `eosin predict` wrote.
    out
        The .png, .pdf or .svg to write.
    genes
        Genes by commas, a row each; by default the three that are predicted best.
    show
        Maps by commas: tissue, mean, truth, difference, interval, sd, distance.
    truth
        Data folder with the measured section, for truth and difference.
    dpi
        Dots per inch.
    """
    need_existing(prediction, truth)
    from eosin.api.plot import plot as run
    from eosin.cli import show as say

    run(prediction, genes=listed(genes), show=listed(show), truth=truth, out=out, dpi=dpi, **given(reading))
    say.lines([f"maps in {out}"])


def bench(
    data: Path,
    *,
    out: Out,
    models: list[str] | None = None,
    settings: Path | None = None,
    dry_run: Flag = False,
    benching: Benching = unset(Benching),
    training: Training = unset(Training),
    reading: Reading = unset(Reading),
) -> None:
    """Compare models: train, predict and score each on each split; resumable; writes OUT/scores.json.

    Parameters
    ----------
    data
        Folder of measured sections.
    out
        Folder of the results; the same command goes on where it was stopped.
    models
        Names with optional presets, by commas; by default gene-mean,ridge,stflow, or the protocol's own.
    settings
        TOML file with tables per model, as ["stflow".train].
    dry_run
        Train nothing; list the cells with their parameters and an estimate of time and memory.
    """
    need_existing(data)
    need_shipped("models", names_of(listed(models)) or ())
    need_shipped("readers", names_of(reading.reader) or ())
    need_panel(benching)
    if settings is not None:
        need_model_settings(read_toml(settings))
    from eosin.api.bench import bench as run
    from eosin.cli import show

    options = given(benching) | _encoders(training) | given(reading)
    scores = run(data, models=listed(models), settings=settings, out=out, dry_run=dry_run, **options)
    if dry_run:
        show.plan(scores)
        return
    show.bench(scores)
    show.lines([f"all metrics in {out / 'scores.json'}; as a page: eosin report {out / 'scores.json'} -o bench.html"])


def study(
    name: str,
    data: Path | None = None,
    *,
    out: Out,
    preset: str | None = None,
    studying: Studying = unset(Studying),
    training: Training = unset(Training),
    reading: Reading = unset(Reading),
) -> None:
    """Run one of the papers' tables on your sections (see: eosin list studies); resumable; writes OUT/scores.json.

    Panel and draws are the study's own where it varies them.

    Parameters
    ----------
    name
        Name of the study, as `refinement-steps`, `priors`, `ablations` or `panel-sizes`.
    out
        Folder of the study; the same command goes on where it was stopped.
    data
        Measured sections; `efficiency` (time and memory against spots) needs none.
    preset
        `paper` or `small`, for every model of the study that has it; their defaults otherwise.
    """
    need_existing(data)
    need_shipped("studies", [name])
    need_shipped("readers", names_of(reading.reader) or ())
    need_panel(studying)
    from eosin.api.study import study as run
    from eosin.cli import show

    options = given(studying) | _encoders(training) | given(reading)
    found = run(data, name, out=out, preset=preset, **options)
    if "load" in found:
        show.efficiency(found)
        return
    show.study(found)
    show.lines([f"all metrics in {out / 'scores.json'}; as a page: eosin report {out / 'scores.json'} -o study.html"])


def _encoders(training: Training) -> dict[str, object]:
    """The flags of features, where --encoder may name several by commas."""
    options = given(training)
    if "encoder" in options:
        options["encoders"] = options.pop("encoder")
    return options
