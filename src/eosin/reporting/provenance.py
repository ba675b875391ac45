"""Where a grid's numbers come from: protocol, splits, leaks, costs, failures, every run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from eosin.reporting.grid_scores import Grid
from eosin.reporting.html import Markup, fold, number, section, table, tag
from eosin.scores import results
from eosin.scores.results import pick

_SHOWN_NAMES = 12


def what_was_compared(grid: Grid) -> Markup:
    """Protocol, data and choices that all runs share, or how many kinds of each there are."""
    settings = [cell.get("settings") or {} for cell in grid.cells]
    facts: list[tuple[str, Any]] = [
        *_protocol(grid.scores.get("protocol")),
        ("headline", f"{results.headline(grid.scores)}, {results.pooling(grid.scores)}"),
        ("split rules", _names(grid.families)),
        ("test sections", _names(name for cell in grid.cells for name in cell.get("test", ()))),
        ("genes", _names(str(one["genes"]) for one in settings if "genes" in one)),
        ("values", _names(str(one["transform"]) for one in settings if "transform" in one)),
        ("draws", _names(str(one["draws"]) for one in settings if "draws" in one)),
        ("seeds", str(grid.n_seeds())),
        ("leaks", _names(leak for cell in grid.cells for leak in cell.get("leak", ())) or "none found"),
        ("scored by name", _lists(grid)),
        ("remarks", " ".join(map(str, grid.scores.get("remarks", ())))),
    ]
    rows = [[name, text] for name, text in facts if text]
    return section("What was compared", table(["", ""], rows, class_="wrap"))


def _protocol(stamp: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    if not stamp:
        return [("protocol", "none was given")]
    claim = "no patient is on both sides" if stamp.get("unseen_patients") else "none about patients"
    return [
        ("protocol", f"{stamp['name']}, version {stamp['version']}"),
        ("sha256", stamp["sha256"]),
        ("split", f"{stamp['split']} by {'its authors' if stamp['split'] == 'published' else 'eosin'}"),
        ("claim", claim),
        ("epoch chosen on", stamp["selection"]),
    ]


def _lists(grid: Grid) -> str:
    asked = next((cell["lists"] for cell in grid.cells if cell.get("lists")), {})
    said = [f"biomarkers {', '.join(asked['biomarkers'])}"] if asked.get("biomarkers") else []
    said += [f"{asked['pathways']} gene sets"] if asked.get("pathways") else []
    return "; ".join(said)


def costs(grid: Grid) -> Markup:
    """Parameters, training, and inference per 1,000 spots."""
    known = {(one.model, one.encoder): one for one in results.costs(grid.cells)}
    rows = []
    for row in grid.rows:
        one = known[row]
        rows.append(
            [
                *grid.front(row),
                " to ".join(f"{n:,}".replace(",", " ") for n in one.parameters) or "–",
                number(one.seconds_train, 1),
                number(one.seconds_per_1000),
                number(one.mib_per_1000, 1),
                f"{one.n_done} of {one.n_cells}",
            ]
        )
    header = [*grid.lead, "parameters", "training, s", "s per 1,000 spots", "MiB per 1,000 spots", "runs finished"]
    where = sorted({_place(c["inference"]) for c in grid.cells if c.get("inference")})
    say = "Means over finished runs. MiB is what memory rose by; 0 means that it fitted into memory already held."
    say += f" Measured on {'; '.join(where)}." if where else ""
    return section("Costs", table(header, rows), tag("p", say, class_="soft"))


def _place(inference: Mapping[str, Any]) -> str:
    device, threads = inference.get("device", "an unknown device"), inference.get("threads")
    return f"{device}, {threads} thread{'' if threads == 1 else 's'}" if threads else str(device)


def failures(grid: Grid) -> Markup | None:
    failed = grid.failed()
    if not failed:
        return None
    rows = [
        [c["model"], c["encoder"], c["split"], c["seed"], tag("td", c.get("error") or c["status"], class_="text bad")]
        for c in failed
    ]
    return section("Failed runs", table(["model", "encoder", "split", "seed", "why"], rows, class_="wrap"))


def runs(grid: Grid) -> Markup:
    metric = grid.headline
    rows = [
        [
            cell["model"],
            cell["encoder"],
            cell["split"],
            ", ".join(map(str, cell.get("test", ()))),
            cell["seed"],
            cell["status"],
            number(pick(cell["metrics"], metric.key)),
            number(cell.get("seconds"), 1),
            "; ".join(cell.get("leak", ())) or cell.get("note", ""),
        ]
        for cell in grid.cells
    ]
    header = ["model", "encoder", "split", "tested on", "seed", "status", metric.label, "seconds", "known beforehand"]
    settings = {f"{c['model']}, {c['encoder']}": c["settings"] for c in grid.cells if c.get("settings")}
    text = json.dumps(settings, indent=1, default=str, ensure_ascii=False)
    versions = _names(f"{k} {v}" for cell in grid.cells for k, v in (cell.get("versions") or {}).items())
    return section(
        "Where this comes from",
        fold("Every run", table(header, rows, class_="wrap")),
        fold("Settings", tag("pre", text)) if settings else None,
        tag("p", f"Made with {versions}.", class_="soft") if versions else None,
    )


def _names(found: Iterable[str]) -> str:
    """Distinct names by commas, cut where they are many."""
    names = list(dict.fromkeys(found))
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more
