"""`eosin.study`: one of the papers' tables on your sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eosin import benchmark
from eosin.api.bench import bench, place_of
from eosin.api.parts.outputs import need_folder
from eosin.api.parts.sections import Data, sections_of
from eosin.errors import EosinError
from eosin.options import DEFAULT_ENCODER, BenchSettings, FeatureOptions, ReadOptions, takes_options
from eosin.shard import Shard


@takes_options(hide=("encoder", "symmetries", "device", "precision", "transform", "protocol"))
def study(
    data: Data | None,
    name: str,
    *,
    out: str | Path,
    preset: str | None = None,
    encoders: str | Sequence[str] = (DEFAULT_ENCODER,),
    comparing: BenchSettings = BenchSettings(),
    encoding: FeatureOptions = FeatureOptions(),
    reading: ReadOptions = ReadOptions(),
) -> dict[str, Any]:
    """One of the papers' tables (refinement steps, priors, ablations, panel sizes, ...) on your sections.

    Every row is a grid of `bench`, with the tuned ridge beside it; what is done is not run again. Writes
    `OUT/scores.json` over all rows. The study `efficiency` needs no data and writes `OUT/efficiency.json`.
    A study's own genes and draws, where it varies them, go over those that are given.

    Parameters
    ----------
    data
        Measured sections; `efficiency` (time and memory against spots) needs none.
    name
        As `eosin list studies` names it.
    out
        Folder of the study; the same call goes on where it was stopped.
    preset
        `paper` or `small`, for every model of the study that has it; their defaults otherwise.
    encoders
        Names of encoders, or text by commas.

    Raises
    ------
    EosinError
        No such study or preset, and as for `bench`.

    Examples
    --------
    >>> table = eosin.study("data", "denoisers", features="features", genes="var:3", split="A1,A2,B1:B2", out="study")
    >>> sorted(cell["model"] for cell in table["cells"])
    ['e2cnn', 'egnn', 'ridge', 'stflow']
    """
    need_folder(out)
    place_of(comparing, isolate=True)  # refused before sections are read
    cells = benchmark.study_cells(name, preset=preset)
    shard = None if comparing.shard is None else Shard.parse(comparing.shard)
    if not benchmark.needs_data(name):
        if shard is not None:
            raise EosinError(f"study '{name}' compares times on one machine", fix="leave out --shard")
        return benchmark.measure_efficiency(cells, out)
    if data is None:
        raise EosinError(f"study '{name}' needs measured sections", fix=f"eosin study {name} DATA -o OUT")
    sections = sections_of(data, reading)

    def run(cell: benchmark.StudyCell, folder: Path) -> dict[str, Any]:
        own = None if shard is None else str(shard.turned(cells.index(cell)))
        asked = replace(comparing, genes=cell.genes or comparing.genes, draws=cell.draws or comparing.draws, shard=own)
        return bench(
            sections,
            models=[cell.model],
            settings={cell.model: {table: dict(values) for table, values in cell.settings.items()}},
            encoders=encoders,
            comparing=asked,
            encoding=encoding,
            out=folder,
        )

    return benchmark.run_study(name, cells, run, out, of_all_parts=shard is not None)
