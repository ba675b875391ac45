"""Where a grid's numbers come from: protocol, splits, leaks, costs, failures, every run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eosin.reporting.grid_scores import Grid
from eosin.reporting.html import Markup, as_json, number, table, tag
from eosin.scores import results
from eosin.scores.results import pick

_SHOWN_NAMES = 12


@dataclass(frozen=True)
class Costs:
    """What runs cost, as a table, and how that was measured."""

    table: Markup
    note: str


@dataclass(frozen=True)
class Runs:
    """Every run as a table; settings by model and encoder as JSON, and package versions, empty where not recorded."""

    table: Markup
    settings: str
    versions: str


def compared(grid: Grid) -> Markup:
    """A table of protocol, data and choices, with every value that some run has."""
    settings = [cell.get("settings") or {} for cell in grid.cells]
    facts: list[tuple[str, Any]] = [
        *_protocol(grid.scores.get("protocol")),
        ("headline", f"{results.headline(grid.scores)}, {results.pooling(grid.scores)}"),
        ("split rules", _names(grid.families)),
        ("test sections", _names(name for cell in grid.cells for name in cell.get("test", ()))),
        ("genes", _names(str(chosen["genes"]) for chosen in settings if "genes" in chosen)),
        ("values", _names(str(chosen["transform"]) for chosen in settings if "transform" in chosen)),
        ("draws", _names(str(chosen["draws"]) for chosen in settings if "draws" in chosen)),
        ("seeds", str(grid.n_seeds())),
        ("leaks", _names(leak for cell in grid.cells for leak in cell.get("leak", ())) or "none found"),
        ("scored by name", _gene_lists(grid)),
        ("remarks", " ".join(map(str, grid.scores.get("remarks", ())))),
    ]
    rows = [[name, text] for name, text in facts if text]
    return table(["", ""], rows, class_="wrap")


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


def _gene_lists(grid: Grid) -> str:
    """The genes and gene sets that were asked for by name."""
    lists = next((cell["lists"] for cell in grid.cells if cell.get("lists")), {})
    parts = [f"biomarkers {', '.join(lists['biomarkers'])}"] if lists.get("biomarkers") else []
    parts += [f"{lists['pathways']} gene sets"] if lists.get("pathways") else []
    return "; ".join(parts)


def costs(grid: Grid) -> Costs:
    """Parameters, training, and inference per 1,000 spots."""
    by_row = {(cost.model, cost.encoder): cost for cost in results.costs(grid.cells)}
    rows = []
    for row in grid.rows:
        cost = by_row[row]
        rows.append(
            [
                *grid.front(row),
                " to ".join(f"{n:,}".replace(",", " ") for n in cost.parameters) or "–",
                number(cost.seconds_train, 1),
                number(cost.seconds_per_1000),
                number(cost.mib_per_1000, 1),
                f"{cost.n_done} of {cost.n_cells}",
            ]
        )
    header = [*grid.lead, "parameters", "training, s", "s per 1,000 spots", "MiB per 1,000 spots", "runs finished"]
    machines = sorted({_machine(cell["inference"]) for cell in grid.cells if cell.get("inference")})
    note = "Means over finished runs. MiB is what memory rose by; 0 means that it fitted into memory already held."
    note += f" Measured on {'; '.join(machines)}." if machines else ""
    return Costs(table(header, rows), note)


def _machine(inference: Mapping[str, Any]) -> str:
    device, threads = inference.get("device", "an unknown device"), inference.get("threads")
    return f"{device}, {threads} thread{'' if threads == 1 else 's'}" if threads else str(device)


def failures(grid: Grid) -> Markup | None:
    """A table of the runs that failed, with the reasons; None where none did."""
    rows = [
        [
            cell["model"],
            cell["encoder"],
            cell["split"],
            cell["seed"],
            tag("td", cell.get("error") or cell["status"], class_="text bad"),
        ]
        for cell in grid.failed()
    ]
    return table(["model", "encoder", "split", "seed", "why"], rows, class_="wrap") if rows else None


def runs(grid: Grid) -> Runs:
    """Every run with its headline number, and what the runs were made with."""
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
    versions = (f"{name} {version}" for cell in grid.cells for name, version in (cell.get("versions") or {}).items())
    return Runs(table(header, rows, class_="wrap"), as_json(settings) if settings else "", _names(versions))


def _names(repeated: Iterable[str]) -> str:
    """Distinct names by commas, cut where they are many."""
    names = list(dict.fromkeys(repeated))
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more
