"""`eosin.bench`: models, encoders, splits and seeds compared."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from eosin import benchmark
from eosin import data as door
from eosin.api.parts.encoded import Settings, shows_turned, with_features
from eosin.api.parts.outputs import need_folder
from eosin.api.parts.sections import Data, folder_of, sections_of
from eosin.api.parts.thumbnails import save_prediction
from eosin.config import read_toml
from eosin.data.splits import Split
from eosin.encoders import ENCODERS
from eosin.encoders.parts.field_of_view import with_tile
from eosin.encoders.parts.spec_text import split_list
from eosin.errors import EosinError
from eosin.execution import Execution, Here, Processes
from eosin.execution.by_name import execution_of
from eosin.features import TileMatch
from eosin.genes import choose_panel, tolerant
from eosin.metrics.gene_lists import GeneLists
from eosin.options import DEFAULT_ENCODER, BenchSettings, FeatureOptions, ReadOptions, names_of, takes_options
from eosin.shard import Shard
from eosin.types import GenePanel, Section

log = logging.getLogger("eosin")

DEFAULT_MODELS = ("gene-mean", "ridge", "stflow")


@takes_options(hide=("encoder", "symmetries", "device", "precision"))
def bench(
    data: Data,
    *,
    out: str | Path,
    models: str | Sequence[str] | None = None,
    encoders: str | Sequence[str] = (DEFAULT_ENCODER,),
    settings: Mapping[str, Settings] | str | Path | None = None,
    dry_run: bool = False,
    isolate: bool = True,
    comparing: BenchSettings = BenchSettings(),
    encoding: FeatureOptions = FeatureOptions(),
    reading: ReadOptions = ReadOptions(),
) -> dict[str, Any]:
    """Train, predict and score models x encoders x splits x seeds; resumable per cell; writes `OUT/scores.json`.

    The tuned ridge is always among the models. Genes and gene sets that a panel lacks are said under the tables; a
    list of which it holds nothing is refused before anything is trained.

    Parameters
    ----------
    data
        A data folder, or sections that were read.
    out
        Folder of the results; the same call goes on where it was stopped.
    models
        Names with optional presets, as `ridge`, `stflow:paper`, or text by commas; `gene-mean`, `ridge` and `stflow`,
        or the protocol's own, if none are named.
    encoders
        Names of encoders, or text by commas.
    settings
        Tables per model as named in `models`, each with `model` and `train`; or a TOML file of them.
    dry_run
        Write nothing; the answer's `plan` lists every cell with parameters and estimates of time and memory.
    isolate
        Each cell in a process of its own: a crash or a lack of memory costs that cell only.

    Returns
    -------
    dict
        The content of `scores.json`; with a shard, `missing` names the cells of other parts that are not there yet.

    Raises
    ------
    EosinError
        An unknown model, encoder or setting; a split that leaks; a protocol that is contradicted; an impossible part.

    Examples
    --------
    >>> scores = eosin.bench("data", features="features", models="ridge", genes="var:3", split="A1,A2,B1:B2",
    ...                      out="bench", isolate=False)
    >>> [(cell["model"], cell["status"]) for cell in scores["cells"]]
    [('ridge', 'done')]
    """
    need_folder(out)
    place = place_of(comparing, isolate=isolate)
    shard = None if comparing.shard is None else Shard.parse(comparing.shard)
    lists = GeneLists.of(names_of(comparing.biomarkers), comparing.pathways)
    protocol = None if comparing.protocol is None else benchmark.load_protocol(comparing.protocol)
    if protocol is not None:
        _refuse_both(
            protocol.name, {"split": comparing.split, "genes": comparing.genes, "transform": comparing.transform}
        )
    sections = sections_of(data, reading)
    splits, panel, transform = _question(comparing, protocol, sections, folder_of(data))
    used = {name for split in splits for name in (*split.train, *split.validation, *split.test)}
    sections = [section for section in sections if section.name in used]
    asked, remarks = _with_reference(
        list(names_of(models) or (protocol.head.models if protocol else ()) or DEFAULT_MODELS)
    )
    remarks += _lacking(lists, splits, sections, panel, transform)
    tables = read_toml(settings) if isinstance(settings, str | Path) else settings
    turned = [shows_turned(model, (tables or {}).get(model)) for model in asked]  # refuses an unknown one in time
    if dry_run and encoding.features is None and any(section.features is None for section in sections):
        raise EosinError("an estimate needs features", fix="run eosin encode first and give --features")
    names = split_list(encoders, ENCODERS.__contains__) if isinstance(encoders, str) else encoders
    encoded = {
        str(encoder): with_features(
            sections,
            encoder,
            encoding.features,
            symmetries=any(turned),
            commercial_only=encoding.commercial_only,
            match=TileMatch(encoding.match, encoding.match_um),
        )
        for encoder in (with_tile(name, encoding.tile_um) for name in names)
    }
    plan = benchmark.prepare(
        encoded,
        asked,
        splits,
        benchmark.GridSettings(
            genes=panel,
            transform=transform,
            seeds=comparing.seeds,
            draws=comparing.draws,
            protocol=protocol,
            allow_leak=comparing.allow_leak,
            lists=lists,
        ),
        tables,
        Path(out),
        partial(save_prediction, keep_draws=True) if comparing.keep_predictions else None,
    )
    if dry_run:
        return benchmark.estimated(plan, remarks)
    return benchmark.run(plan, place, remarks) if shard is None else benchmark.run_part(plan, place, shard, remarks)


def place_of(comparing: BenchSettings, *, isolate: bool) -> Execution:
    """Where the cells run.

    Raises
    ------
    EosinError
        No such place, or it is said twice.
    """
    if comparing.on is not None and comparing.workers != 1:
        raise EosinError("--workers and --on both say where cells run", fix="leave one of them out")
    if comparing.on is None or comparing.on == "here":
        return Processes(comparing.workers) if isolate else Here()
    return execution_of(comparing.on)


def _question(
    comparing: BenchSettings, protocol: benchmark.Protocol | None, sections: Sequence[Section], folder: Path | None
) -> tuple[list[Split], str | GenePanel, str]:
    """Splits, panel and transform: the protocol's, or those that are given."""
    allow_leak = comparing.allow_leak
    if protocol is None:
        splits = door.splits(comparing.split or "leave-section-out", sections, allow_leak=allow_leak)
        genes = comparing.genes or "var:50"
        return splits, tolerant(genes, comparing.missing_genes), comparing.transform or "log1p"
    splits = benchmark.protocol_splits(protocol, sections, folder, allow_leak=allow_leak)
    return splits, benchmark.protocol_genes(protocol, sections, folder), protocol.head.transform


def _refuse_both(protocol: str, given: Mapping[str, object]) -> None:
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
    missing: dict[str, None] = {}
    for split in splits:
        panel = genes
        if not isinstance(panel, GenePanel):
            training = [section for section in sections if section.name in split.train]
            panel = choose_panel(panel, training, transform=transform)
        lists.usable(panel.names)
        named = lists.named(panel.names) if lists.biomarkers is not None else None
        missing |= dict.fromkeys(gene for gene in named or () if gene not in panel.names)
    if not missing:
        return []
    line = f"biomarkers that are not in every panel: {', '.join(missing)}"
    log.warning(line)
    return [line]


def _with_reference(models: list[str]) -> tuple[list[str], list[str]]:
    """The models with the tuned ridge among them, and a line if it had to be added."""
    if benchmark.REFERENCE in models:
        return models, []
    line = f"'{benchmark.REFERENCE}', the tuned baseline, was not asked for and was added"
    log.info(line)
    return [*models, benchmark.REFERENCE], [line]
