"""Write the tables of docs/results.md from grids that were run.

python docs/make_results.py accuracy GRID/scores.json ...   # the default models, one row per split rule and model
python docs/make_results.py models GRID/scores.json ...     # every model, one table per split rule
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median

from eosin.benchmark.bootstrap import compare
from eosin.scores.results import split_family, summary

PAGE = Path(__file__).with_name("results.md")
METRICS = (
    ("pcc.mean", "PCC"),
    ("pcc.pooled", "PCC pooled"),
    ("pcc_top10", "PCC-10"),
    ("mse", "MSE"),
    ("mae", "MAE"),
    ("rvd", "RVD"),
    ("gsc", "GSC"),
    ("ssc", "SSC"),
    ("gsc_draw", "GSC of a draw"),
    ("ssc_draw", "SSC of a draw"),
    ("crps", "CRPS"),
    ("coverage_90", "90 % cover"),
)
DOWNSTREAM = (("rvd_draw", "RVD of a draw"), ("ari", "ARI"), ("nmi", "NMI"), ("deg_overlap_20", "marker overlap"))


def accuracy(cells: list[dict]) -> list[str]:
    """One table: a row per split rule and model, a column per metric."""
    rows = ["| split | model | " + " | ".join(title for _, title in METRICS) + " | seconds a cell |"]
    rows.append("|---|---|" + "---|" * (len(METRICS) + 1))
    for family in dict.fromkeys(split_family(cell["split"]) for cell in cells):
        for model in dict.fromkeys(cell["model"] for cell in cells):
            own = of(cells, family, model)
            if not own:
                continue
            numbers = [text(*summary(own, metric)[:2]) for metric, _ in METRICS]
            rows.append(f"| {family} | {model} | " + " | ".join(numbers) + f" | {seconds(own):.1f} |")
    return rows


def models(cells: list[dict]) -> list[str]:
    """A table per split rule: every model, best correlation first, with its difference to the tuned ridge."""
    against = {(one["split"], one["model"]): one for one in compare(cells, "ridge")}
    columns = (*METRICS, *DOWNSTREAM)
    rows: list[str] = []
    for family in dict.fromkeys(split_family(cell["split"]) for cell in cells):
        rows += [f"### {family}", "", "| model | " + columns[0][1] + " | to ridge | "]
        rows[-1] += " | ".join(title for _, title in columns[1:]) + " | parameters | seeds | seconds a cell |"
        rows.append("|---|" + "---|" * (len(columns) + 4))
        found = {model: of(cells, family, model) for model in dict.fromkeys(cell["model"] for cell in cells)}
        order = sorted((m for m in found if found[m]), key=lambda m: -summary(found[m], "pcc.mean")[0])
        for model in order:
            own = found[model]
            numbers = [text(*summary(own, metric)[:2]) for metric, _ in columns]
            numbers.insert(1, difference(against.get((family, model))))
            n_seeds = len({cell["seed"] for cell in own})
            rows.append(
                f"| {model} | "
                + " | ".join(numbers)
                + f" | {own[0]['n_parameters']:,} | {n_seeds} | {seconds(own):.1f} |"
            )
        rows.append("")
    return rows


def of(cells: list[dict], family: str, model: str) -> list[dict]:
    return [c for c in cells if split_family(c["split"]) == family and c["model"] == model]


def seconds(cells: list[dict]) -> float:
    """Median over cells: other work on a machine makes single ones much longer."""
    return median(cell["seconds"] for cell in cells)


def difference(one: dict | None) -> str:
    if one is None or one["difference"] is None:
        return "–"
    return f"{one['difference']:+.3f} ({one['low']:+.3f}, {one['high']:+.3f})"


def text(mean: float, sd: float) -> str:
    if mean != mean:
        return "–"
    shown = f"{mean:.3f}" if abs(mean) < 100 else f"{mean:.0f}"
    return shown + (f" ± {sd:.3f}" if 0.0005 <= sd < 100 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("block", choices=["accuracy", "models"])
    parser.add_argument("scores", nargs="+", type=Path)
    given = parser.parse_args()
    cells = {}
    for path in given.scores:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            cells.setdefault((cell["model"], cell["encoder"], cell["split"], cell["seed"]), cell)
    made = {"accuracy": accuracy, "models": models}[given.block](list(cells.values()))
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(f"<!-- results:{given.block} -->")
    _, tail = rest.split("<!-- end -->", 1)
    block = "\n".join(made).rstrip()
    PAGE.write_text(f"{head}<!-- results:{given.block} -->\n{block}\n<!-- end -->{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
