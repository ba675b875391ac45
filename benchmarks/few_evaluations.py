"""What generative networks lose with two or three evaluations for a draw, where draws get the width of held-out spots.

    python benchmarks/few_evaluations.py ../shared/data/her2st --features features [--models stflow,egnn,stem:small]
                                         [--base ridge] [--prior residual] [--only lso,b-c,c-b,simulated]

Each model is trained once for a split, with its network taking part (`least_gain = -2`); then only the sampler changes
(`eosin.engine.checkpoint.with_settings`). 16 draws, one thread. Columns: evaluations of the network for a draw, seconds
of one prediction, and over the test sections the PCC and CRPS of the prediction, GSC and SSC of single draws, share of
values inside the 90 % interval. Features of encoder `stain+stain?tile_um=100,660` are kept in FOLDER.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from kernel_her2st import C, encoded, parser_of
from trust_simulated import parts

from eosin.engine import Trained, predict, train
from eosin.engine.checkpoint import with_settings
from eosin.scores.results import pick
from eosin.scores.scoring import score
from eosin.types import Section

FLOW = {
    9: {"sampler": "heun", "n_steps": 5},
    3: {"sampler": "heun", "n_steps": 2},
    2: {"sampler": "euler", "n_steps": 2},
}
SAMPLERS: Mapping[str, Mapping[int, Mapping[str, Any]]] = {
    "stflow": FLOW,
    "egnn": FLOW,
    "e2cnn": FLOW,
    "stem:small": {n: {"sampler": "dpm", "n_steps": n} for n in (20, 3, 2)},
    "flag:small": {15: {"n_steps": 8}, 3: {"n_steps": 2}, 1: {"n_steps": 1}},
}
"""By model and evaluations of the network for a draw."""
COLUMNS = {"pcc.mean": "PCC", "crps": "CRPS", "gsc_draw": "GSC", "ssc_draw": "SSC", "coverage_90": "inside 90 %"}


def splits(
    sections: Mapping[str, Section], wanted: Sequence[str]
) -> Iterator[tuple[str, list[Section], list[Section]]]:
    """Name, training sections and test sections."""
    if "lso" in wanted:
        for held in ("C2", "C6"):
            yield f"C without {held} -> {held}", [sections[name] for name in C if name != held], [sections[held]]
    if "b-c" in wanted:
        yield "B4 -> C", [sections["B4"]], [sections[name] for name in C]
    if "c-b" in wanted:
        yield "C -> B4", [sections[name] for name in C], [sections["B4"]]
    if "simulated" in wanted:
        new, training, _ = parts(3, 0.3, 0, 2)
        yield "simulated, 3 patients -> 2 new", training, new


def measured(trained: Trained, judged: Sequence[Section]) -> list[float]:
    """Seconds of a prediction and the numbers of `COLUMNS`, mean over sections."""
    rows = []
    for section in judged:
        started = time.perf_counter()
        made = predict(trained, section, draws=16)
        seconds = time.perf_counter() - started
        found = score(made, section)
        rows.append([seconds, *(float(pick(found, key) or np.nan) for key in COLUMNS)])
    return [float(x) for x in np.mean(rows, axis=0)]


def main(arguments: Sequence[str]) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--models", default=",".join(SAMPLERS))
    parser.add_argument("--base", default="ridge")
    parser.add_argument("--prior", help="of the flows; their default if absent")
    parser.add_argument("--only", default="lso,b-c,c-b,simulated")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print("| model | split | evaluations | seconds | " + " | ".join(COLUMNS.values()) + " |")
    print("|" + "---|" * (4 + len(COLUMNS)))
    for split, training, judged in splits(encoded(given.data, given.features), given.only.split(",")):
        for model in given.models.split(","):
            own = {"base": given.base} | ({} if given.prior is None else {"prior": given.prior})
            settings = {"model": own, "train": {"least_gain": -2, "epochs": 6}}
            trained = train(training, model=model, panel="var:50", settings=settings)
            for n, sampler in SAMPLERS[model].items():
                seconds, *found = measured(with_settings(trained, sampler), judged)
                cells = [model, split, str(n), f"{seconds:.2f}", *(f"{x:.4f}" for x in found)]
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
