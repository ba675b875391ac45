"""The rows of a study, run one after another, and the table that they make together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from eosin.benchmark.studies import StudyCell, varied
from eosin.storage.files import read_json, write_json
from eosin.storage.lock import held

SCHEMA = 1


def run_study(
    name: str,
    cells: Sequence[StudyCell],
    run: Callable[[StudyCell, Path], Mapping[str, Any]],
    out: str | Path,
    *,
    of_all_parts: bool = False,
) -> dict[str, Any]:
    """Run every row and write one `OUT/scores.json` over all, its rows called by their labels.

    A row is a grid of its own in `OUT/rows/LABEL`, so what is done is not run again. Beside its own model a grid may
    hold others (the tuned ridge); of these each stands once in the whole, or once per panel where panels differ.

    Parameters
    ----------
    run
        What makes a grid of one row: `bench` with the row's model, settings, genes and draws, and the execution in
        which the row's cells run. Gives its scores.
    of_all_parts
        Rows are also run elsewhere, into the same folder, in parts: what all of them have left is taken up, by one
        process at a time.
    """
    rows: dict[str, Mapping[str, Any]] = {}
    out, whole = Path(out), {}
    for cell in cells:
        rows[cell.label] = run(cell, out / "rows" / cell.folder)
        with held(out / "scores.json") if of_all_parts else nullcontext():
            if of_all_parts:
                rows = {c.label: read_json(file) for c in cells if (file := _scores_of_row(out, c)).is_file()}
            whole = _together(name, cells, rows)
            write_json(out / "scores.json", whole)
    return whole


def _scores_of_row(out: Path, cell: StudyCell) -> Path:
    return out / "rows" / cell.folder / "scores.json"


def _together(name: str, cells: Sequence[StudyCell], rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One table of the scores of rows, by their labels."""
    gathered: dict[tuple[Any, ...], dict[str, Any]] = {}
    panels = {cell.genes for cell in cells}
    for cell in cells:
        for record in rows[cell.label]["cells"] if cell.label in rows else ():
            label = cell.label
            if record["model"] != cell.model:
                label = f"{record['model']}, {cell.genes}" if len(panels) > 1 else record["model"]
            key = (label, record.get("encoder"), record.get("split"), record.get("seed"))
            gathered.setdefault(key, {**record, "model": label, "asked": record["model"]})
    whole: dict[str, Any] = {"schema": SCHEMA, "study": name, "varied": varied(name, cells)}
    whole["cells"] = list(gathered.values())
    if missing := [f"{label}: {name}" for label, scores in rows.items() for name in scores.get("missing", ())]:
        whole["missing"] = missing
        whole["remarks"] = [f"{len(missing)} cells are not there yet: other parts (--shard) have them"]
    return whole
