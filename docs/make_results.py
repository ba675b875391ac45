"""Write the table of docs/results.md from grids: python docs/make_results.py GRID/scores.json ..."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from eosin.benchmark.table import split_family, summary

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


def lines(cells: list[dict]) -> list[str]:
    """One table: a row per split rule and model, a column per metric."""
    rows = ["| split | model | " + " | ".join(title for _, title in METRICS) + " | seconds a cell |"]
    rows.append("|---|---|" + "---|" * (len(METRICS) + 1))
    for family in dict.fromkeys(split_family(cell["split"]) for cell in cells):
        for model in dict.fromkeys(cell["model"] for cell in cells):
            own = [c for c in cells if split_family(c["split"]) == family and c["model"] == model]
            if not own:
                continue
            numbers = [text(*summary(own, metric)) for metric, _ in METRICS]
            seconds = sum(cell["seconds"] for cell in own) / len(own)
            rows.append(f"| {family} | {model} | " + " | ".join(numbers) + f" | {seconds:.1f} |")
    return rows


def text(mean: float, sd: float) -> str:
    if mean != mean:
        return "–"
    shown = f"{mean:.3f}" if abs(mean) < 100 else f"{mean:.0f}"
    return shown + (f" ± {sd:.3f}" if 0.0005 <= sd < 100 else "")


def main() -> None:
    cells = [cell for path in sys.argv[1:] for cell in json.loads(Path(path).read_text())["cells"]]
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split("<!-- results:accuracy -->")
    _, tail = rest.split("<!-- end -->", 1)
    block = "\n".join(lines(cells))
    PAGE.write_text(f"{head}<!-- results:accuracy -->\n{block}\n<!-- end -->{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
