"""Time and memory of one prediction against the number of spots, for every model that sees a whole section.

    python benchmarks/slide_scale.py -o scale                    # default settings; half an hour on one core
    python benchmarks/slide_scale.py -o scale --preset paper     # the published settings
    python benchmarks/slide_scale.py --models stflow,egnn --sizes 2000,10000

The same as `eosin study efficiency`, with sizes and limits of one's own; prints a Markdown table. Features are given
(1,024 numbers a spot), 50 genes, one draw, one thread. Each measurement is a fresh process; the model's state is that
after one epoch on 256 simulated spots. CPU seconds count all that the process computed from prepared features to
expression, graph building included; on a shared machine they say more than the clock. Growth is the exponent b of
cost ~ spots^b between the two largest sizes that finished.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace

from eosin.benchmark import study_cells
from eosin.benchmark.efficiency import Load, efficiency_rows, measure_efficiency
from eosin.errors import EosinError


def markdown(rows: list[dict[str, str]]) -> str:
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([row.get(key, "-") for key in head] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", help="folder for efficiency.json; what it holds is not measured again")
    parser.add_argument("--preset", help="settings of every model that has it, as paper or small")
    parser.add_argument("--models", help="rows by commas, as the study names them; all by default")
    parser.add_argument("--sizes", default="2000,10000,50000")
    parser.add_argument("--limit", type=float, default=300.0, help="CPU seconds that training or a prediction may take")
    parser.add_argument("--max-gib", type=float, default=8.0, help="GiB that a process may hold")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    cells = study_cells("efficiency", preset=given.preset)
    wanted = given.models.split(",") if given.models else [cell.label for cell in cells]
    if missing := set(wanted) - {cell.label for cell in cells}:
        raise SystemExit(f"no row is called {sorted(missing)}; rows: {', '.join(cell.label for cell in cells)}")
    cells = tuple(cell for cell in cells if cell.label in wanted)
    load = Load(tuple(int(n) for n in given.sizes.split(",")), threads=given.threads)
    load = replace(load, limit_s=given.limit, limit_gib=given.max_gib)
    try:
        print(markdown(efficiency_rows(measure_efficiency(cells, given.out, load))))
    except EosinError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
