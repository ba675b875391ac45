"""The commands that compare: score, report, bench, study. `cli` takes them up."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from eosin.cli.flags import (
    AS_IS,
    Biomarkers,
    CommercialOnly,
    How,
    Mpp,
    Out,
    Pathways,
    Reader,
    TileWidth,
    names_of,
    widths_of,
)


def score(
    prediction: Path,
    truth: Path,
    *,
    biomarkers: Biomarkers = None,
    pathways: Pathways = None,
    reader: Reader = None,
    mpp: Mpp = None,
    how: How = AS_IS,
) -> None:
    """Compare a predicted .h5ad with the measured section.

    Parameters
    ----------
    prediction
        What `eosin predict` wrote.
    truth
        Data folder with the measured section.
    """
    from eosin.api import comparing
    from eosin.cli import show

    named = {"biomarkers": names_of(biomarkers), "pathways": pathways}
    show.facts(comparing.score(prediction, truth, **named, reader=reader, mpp=mpp, **asdict(how)))


def report(
    path: Path,
    *,
    out: Out,
    truth: Path | None = None,
    genes: list[str] | None = None,
    biomarkers: Biomarkers = None,
    pathways: Pathways = None,
    reader: Reader = None,
    mpp: Mpp = None,
    how: How = AS_IS,
) -> None:
    """Write one offline HTML page of a prediction (.h5ad), or of a grid or study (scores.json).

    Parameters
    ----------
    path
        A predicted .h5ad, or the scores.json of a grid or study.
    out
        The .html to write.
    truth
        Data folder with the measured section: adds its maps and the scores.
    genes
        Genes to show as maps (repeat the flag); by default the best, a middling and the worst predicted ones.
    """
    from eosin.api import comparing
    from eosin.cli import show

    named = {"genes": genes, "biomarkers": names_of(biomarkers), "pathways": pathways}
    page = comparing.report(path, out=out, truth=truth, **named, reader=reader, mpp=mpp, **asdict(how))
    show.lines([f"open {page} in a browser"])


def bench(
    data: Path,
    *,
    out: Out,
    models: str | None = None,
    encoder: str = "stain",
    tile_um: TileWidth = None,
    genes: str | None = None,
    transform: str | None = None,
    split: str | None = None,
    protocol: str | None = None,
    seeds: int = 1,
    draws: int = 16,
    settings: Path | None = None,
    features: Path | None = None,
    keep_predictions: Annotated[bool, Parameter(negative="")] = False,
    allow_leak: Annotated[bool, Parameter(negative="")] = False,
    commercial_only: CommercialOnly = False,
    biomarkers: Biomarkers = None,
    pathways: Pathways = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    reader: Reader = None,
    mpp: Mpp = None,
    how: How = AS_IS,
) -> None:
    """Train, predict and score models on held-out sections; resumable; a table, and OUT/scores.json.

    Parameters
    ----------
    data
        Folder of measured sections.
    out
        Folder of the grid: scores.json and what every cell leaves; the same command goes on where it was stopped.
    models
        Names by commas, with optional presets: `ridge,stflow,stflow:paper`; `gene-mean,ridge,stflow` by default. The
        tuned ridge is added where it is not named.
    encoder
        Encoders by commas.
    genes
        Panel, `var:50` by default: `var:50`, `hvg:50`, `hmhvg:200`, a file of names, or names by commas.
    transform
        Scale of the values: `log1p` (default), `log1p_cp10k` or `log2p1`.
    split
        `leave-section-out` (default) or `leave-patient-out`, of all or of some as `leave-section-out(C2,C3,C4)`;
        or `C2,C3,C4,C5:C6` (train:test). Several by `;`.
    protocol
        A named protocol (see: eosin list protocols) or a .toml file, instead of split, genes and transform; NAME@HASH
        insists on its content.
    seeds
        Trainings of each model, with seeds 0, 1, ...
    draws
        Samples of each prediction.
    features
        Folder of feature files; what is missing is encoded into `eosin-cache` if this is not given.
    settings
        TOML file with tables per model, as ["stflow".train].
    keep_predictions
        Also write every prediction as .h5ad into OUT.
    allow_leak
        Go on where test data is known before the test; every result is stamped with it.
    dry_run
        Train nothing; list the cells with their parameters and an estimate of time and memory.
    """
    from eosin.api import comparing
    from eosin.cli import show
    from eosin.encoders import ENCODERS
    from eosin.encoders.parts.spec_text import split_list

    scores = comparing.bench(
        data,
        models=names_of(models),
        encoders=split_list(encoder, ENCODERS.__contains__),
        tile_um=widths_of(tile_um),
        genes=genes,
        transform=transform,
        split=split,
        protocol=protocol,
        seeds=seeds,
        draws=draws,
        settings=settings,
        features=features,
        out=out,
        keep_predictions=keep_predictions,
        allow_leak=allow_leak,
        commercial_only=commercial_only,
        biomarkers=names_of(biomarkers),
        pathways=pathways,
        dry_run=dry_run,
        reader=reader,
        mpp=mpp,
        **asdict(how),
    )
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
    encoder: str = "stain",
    tile_um: TileWidth = None,
    genes: str = "var:50",
    split: str | None = None,
    seeds: int = 1,
    draws: int = 16,
    features: Path | None = None,
    allow_leak: Annotated[bool, Parameter(negative="")] = False,
    commercial_only: CommercialOnly = False,
    reader: Reader = None,
    mpp: Mpp = None,
    how: How = AS_IS,
) -> None:
    """Run one of the papers' tables on your sections (see: eosin list studies); resumable; writes OUT/scores.json.

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
    encoder
        Encoders by commas.
    genes
        Panel, where the study does not vary it: `var:50`, `hvg:50`, `hmhvg:200`, a file of names, or names by commas.
    split
        As for `eosin bench`: `leave-section-out` (default), `leave-patient-out`, or train:test.
    seeds
        Trainings of each model, with seeds 0, 1, ...
    draws
        Draws, where the study does not vary them.
    features
        Folder of feature files; what is missing is encoded into `eosin-cache` if this is not given.
    allow_leak
        Go on where test data is known before the test; every result is stamped with it.
    """
    from eosin.api import comparing
    from eosin.cli import show
    from eosin.encoders import ENCODERS
    from eosin.encoders.parts.spec_text import split_list

    given = {"preset": preset, "encoders": split_list(encoder, ENCODERS.__contains__), "tile_um": widths_of(tile_um)}
    given |= {"genes": genes, "split": split, "features": features, "commercial_only": commercial_only}
    given |= {"seeds": seeds, "draws": draws, "allow_leak": allow_leak, "reader": reader, "mpp": mpp, **asdict(how)}
    found = comparing.study(data, name, out=out, **given)
    if "load" in found:
        show.efficiency(found)
        return
    show.study(found)
    show.lines([f"all metrics in {out / 'scores.json'}; as a page: eosin report {out / 'scores.json'} -o study.html"])
