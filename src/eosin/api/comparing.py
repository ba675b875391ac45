"""The verbs that compare: a prediction with the measured section, models with one another, results on a page.

As in `verbs`, each takes paths or records; `eosin.score`, `eosin.bench`, ... are these.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from eosin import benchmark
from eosin import data as door
from eosin.api.inputs import (
    Data,
    Settings,
    folder_of,
    need_reading,
    sections_of,
    shows_turned,
    thumbnails,
    truth_of,
    with_features,
)
from eosin.api.verbs import save_prediction
from eosin.config import read_toml
from eosin.data import Reading
from eosin.data.splits import Split
from eosin.encoders.parts.field_of_view import with_tile
from eosin.errors import EosinError
from eosin.execution import Here, Processes
from eosin.genes import choose_panel
from eosin.metrics.gene_lists import GeneLists
from eosin.reporting import write_bench_report, write_report
from eosin.scores.scoring import score as score_predictions
from eosin.storage.files import read_json
from eosin.types import GenePanel, Prediction, Section

log = logging.getLogger("eosin")

Pathways = str | Path | Mapping[str, Sequence[str]] | None
"""A .gmt file, or gene sets by name."""
DEFAULT_MODELS = ("gene-mean", "ridge", "stflow")


def score(
    prediction: Prediction | str | Path,
    truth: Data,
    *,
    biomarkers: Sequence[str] | None = None,
    pathways: Pathways = None,
    need_domains: bool = False,
    reader: str | None = None,
    mpp: float | None = None,
    **how: Unpack[Reading],
) -> dict[str, Any]:
    """Compare a prediction with the measured section of the same name (or the only one there).

    Parameters
    ----------
    biomarkers
        Genes to score by name; those that the panel lacks are named under `missing`. By default STFlow's four, where
        the panel holds one.
    pathways
        Gene sets by name, or a .gmt file, whose co-expression is compared.
    need_domains
        Refuse a section without domain labels.
    """
    lists = GeneLists.of(biomarkers, pathways)  # a broken file is refused before anything is read
    if not isinstance(prediction, Prediction):
        prediction = door.read_prediction(prediction)
    return score_predictions(
        prediction,
        truth_of(prediction, truth, reader, mpp, **how),
        biomarkers=lists.biomarkers,
        pathways=lists.pathways,
        need_domains=need_domains,
    )


def report(
    path: str | Path,
    *,
    out: str | Path,
    truth: Data | None = None,
    genes: Sequence[str] | None = None,
    biomarkers: Sequence[str] | None = None,
    pathways: Pathways = None,
    reader: str | None = None,
    mpp: float | None = None,
    **how: Unpack[Reading],
) -> Path:
    """Write one HTML page of a prediction (`.h5ad`), of a grid or of a study (`scores.json`).

    It opens without a network. `biomarkers` and `pathways` are as for `score`; a grid's page shows those that it was
    scored with.
    """
    need_reading(how)
    path = Path(path)
    if path.suffix == ".json":
        return write_bench_report(out, _compared(read_json(path)))
    lists = GeneLists.of(biomarkers, pathways)
    prediction = door.read_prediction(path)
    known = [] if truth is None else [truth_of(prediction, truth, reader, mpp, **how)]
    scores = None
    if known:
        found = score_predictions(prediction, known[0], biomarkers=lists.biomarkers, pathways=lists.pathways)
        scores = {prediction.model: found}
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
    tile_um: float | Sequence[float] | None = None,
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
    biomarkers: Sequence[str] | None = None,
    pathways: Pathways = None,
    dry_run: bool = False,
    isolate: bool = True,
    commercial_only: bool = False,
    **how: Unpack[Reading],
) -> dict[str, Any]:
    """Train, predict and score models x encoders x splits x seeds; resumable per cell; writes `OUT/scores.json`.

    The tuned ridge is always among the models.

    Parameters
    ----------
    models
        `gene-mean`, `ridge` and `stflow`, or the protocol's own, if none are named.
    tile_um
        Field of view of every encoder, µm, or several; their own by default.
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
    biomarkers, pathways
        Genes and gene sets (or a .gmt file) to score by name, as in `score`. What a panel lacks is said under the
        tables; a list of which it holds nothing is refused before anything is trained.
    dry_run
        Write nothing; the answer's `plan` lists every cell with parameters and estimates of time and memory.
    isolate
        Each cell in a process of its own, one after another: a crash or a lack of memory costs that cell only.
    commercial_only
        Refuse encoders and features whose licence does not allow commercial use, or is not known.
    """
    lists = GeneLists.of(biomarkers, pathways)
    fixed = None if protocol is None else benchmark.load_protocol(protocol)
    if fixed is not None:
        _refuse_both(fixed.name, {"split": split, "genes": genes, "transform": transform})
    sections = sections_of(data, None, reader, mpp, **how)
    if fixed is None:
        made = door.splits(split or "leave-section-out", sections, allow_leak=allow_leak)
        panel, transform = genes or "var:50", transform or "log1p"
    else:
        made = benchmark.protocol_splits(fixed, sections, folder_of(data), allow_leak=allow_leak)
        panel, transform = benchmark.protocol_genes(fixed, sections, folder_of(data)), fixed.head.transform
    used = {name for one in made for name in (*one.train, *one.validation, *one.test)}
    sections = [section for section in sections if section.name in used]
    asked, said = _with_reference(list(models or (fixed.head.models if fixed else ()) or DEFAULT_MODELS))
    said += _lacking(lists, made, sections, panel, transform)
    tables = read_toml(settings) if isinstance(settings, str | Path) else settings
    turned = [shows_turned(model, (tables or {}).get(model)) for model in asked]  # refuses an unknown one in time
    if dry_run and features is None and any(section.features is None for section in sections):
        raise EosinError("an estimate needs features", fix="run eosin encode first and give --features")
    encoded = {
        str(encoder): with_features(
            sections, encoder, features, symmetries=any(turned), commercial_only=commercial_only
        )
        for encoder in (with_tile(one, tile_um) for one in encoders)
    }
    return benchmark.bench(
        encoded,
        models=asked,
        splits=made,
        settings=benchmark.GridSettings(
            genes=panel,
            transform=transform,
            seeds=seeds,
            draws=draws,
            protocol=fixed,
            allow_leak=allow_leak,
            lists=lists,
        ),
        tables=tables,
        out=out,
        save=save_prediction if keep_predictions else None,
        execution=Processes(1) if isolate else Here(),
        dry_run=dry_run,
        remarks=said,
    )


def study(
    data: Data | None,
    name: str,
    *,
    preset: str | None = None,
    encoders: Sequence[str] = ("stain",),
    tile_um: float | Sequence[float] | None = None,
    genes: str = "var:50",
    split: str | None = None,
    seeds: int = 1,
    draws: int = 16,
    features: str | Path | None = None,
    out: str | Path,
    reader: str | None = None,
    mpp: float | None = None,
    allow_leak: bool = False,
    commercial_only: bool = False,
    **how: Unpack[Reading],
) -> dict[str, Any]:
    """One of the papers' tables (refinement steps, priors, ablations, panel sizes, ...) on your sections.

    Every row is a grid of `bench`, with the tuned ridge beside it; what is done is not run again. Writes
    `OUT/scores.json` over all rows. The study `efficiency` needs no data and writes `OUT/efficiency.json`.

    Parameters
    ----------
    name
        As `eosin list studies` names it.
    preset
        `paper` or `small`, for every model of the study that has it.
    genes, draws
        Where the study itself does not vary them.
    tile_um, commercial_only
        As for `bench`.
    """
    cells = benchmark.study_cells(name, preset=preset)
    if not benchmark.needs_data(name):
        return benchmark.measure_efficiency(cells, out)
    if data is None:
        raise EosinError(f"study '{name}' needs measured sections", fix=f"eosin study {name} DATA -o OUT")
    sections = sections_of(data, None, reader, mpp, **how)

    def run(cell: benchmark.StudyCell, folder: Path) -> dict[str, Any]:
        return bench(
            sections,
            models=[cell.model],
            settings={cell.model: {table: dict(values) for table, values in cell.settings.items()}},
            encoders=encoders,
            tile_um=tile_um,
            genes=cell.genes or genes,
            split=split,
            seeds=seeds,
            draws=cell.draws or draws,
            features=features,
            out=folder,
            allow_leak=allow_leak,
            commercial_only=commercial_only,
        )

    return benchmark.run_study(name, cells, run, out)


def _refuse_both(protocol: str, given: Mapping[str, str | None]) -> None:
    """A protocol is the whole of it: what contradicts it is not mixed in."""
    for name, value in given.items():
        if value is not None:
            raise EosinError(
                f"protocol '{protocol}' fixes the {name}, and --{name} {value} is given too",
                fix=f"leave --{name} out, or run without --protocol",
            )


def _lacking(
    lists: GeneLists, splits: Sequence[Split], sections: Sequence[Section], genes: str | GenePanel, transform: str
) -> list[str]:
    """A line on the named genes that panels lack, before anything is trained; refuses lists that one holds none of."""
    if not lists.asked():
        return []
    lost: dict[str, None] = {}
    for split in splits:
        panel = genes
        if not isinstance(panel, GenePanel):
            panel = choose_panel(panel, [one for one in sections if one.name in split.train], transform=transform)
        lists.usable(panel.names)
        named = lists.named(panel.names) if lists.biomarkers is not None else None
        lost |= dict.fromkeys(gene for gene in named or () if gene not in panel.names)
    if not lost:
        return []
    line = f"biomarkers that are not in every panel: {', '.join(lost)}"
    log.warning(line)
    return [line]


def _compared(scores: Any) -> Any:
    """Scores with their differences to the tuned ridge: a study has none, nor a grid that is not finished."""
    if not isinstance(scores, dict) or scores.get("comparisons") or not isinstance(scores.get("cells"), list):
        return scores
    needed = {"model", "encoder", "split", "seed", "status"}
    if not all(isinstance(cell, dict) and needed <= set(cell) for cell in scores["cells"]):
        return scores
    of_panel: dict[Any, list[dict[str, Any]]] = {}  # a study may vary the panel: each has a ridge of its own
    for cell in scores["cells"]:
        model = benchmark.REFERENCE if cell.get("asked") == benchmark.REFERENCE else cell["model"]
        of_panel.setdefault((cell.get("settings") or {}).get("genes"), []).append({**cell, "model": model})
    found = [one for cells in of_panel.values() for one in benchmark.compare(cells, benchmark.REFERENCE)]
    return {**scores, "comparisons": found}


def _with_reference(models: list[str]) -> tuple[list[str], list[str]]:
    """The models with the tuned ridge among them, and a line if it had to be added."""
    if benchmark.REFERENCE in models:
        return models, []
    line = f"'{benchmark.REFERENCE}', the tuned baseline, was not asked for and was added"
    log.info(line)
    return [*models, benchmark.REFERENCE], [line]
