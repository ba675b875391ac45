"""What a few measured spots of a new patient are worth, on six sections of two patients (her2st).

    python benchmarks/adapt_her2st.py DATA --features FOLDER [--model kernel] [--only b-c,c-b] [--repeats 5]

For 0, 10, 30, 100 measured spots of a section, drawn at random: PCC, MSE and share inside 90 % intervals at its other
spots; for a whole section: at the patient's other sections. Features as in kernel_her2st.py.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
from kernel_her2st import SPLITS, encoded, parser_of

from eosin.engine import Trained, adapt, predict, train
from eosin.genes import target
from eosin.metrics import coverage_of_bars, mean_defined, pcc_counted
from eosin.types import Section

NUMBERS = (0, 10, 30, 100)


def main(arguments: Sequence[str]) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="kernel")
    parser.add_argument("--only", default="b-c,c-b")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args(arguments)
    sections = encoded(given.data, given.features)
    for split in given.only.split(","):
        ((training, test),) = SPLITS[split]
        trained = train([sections[name] for name in training], model=given.model)
        rng = np.random.default_rng(0)
        for number in NUMBERS:
            found, seconds = [], []
            for name in test:
                section = sections[name]
                everything = np.arange(len(section.spots))
                for _ in range(given.repeats if number else 1):
                    rows = rng.choice(len(everything), number, replace=False)
                    started = time.monotonic()
                    model = adapt(trained, section, rows) if number else trained
                    seconds.append(time.monotonic() - started)
                    found.append(judged(model, section, np.setdiff1d(everything, rows)))
            say(split, f"{number} spots", found, seconds)
        if len(test) > 1:
            found, seconds = [], []
            for name in test:
                started = time.monotonic()
                model = adapt(trained, sections[name])
                seconds.append(time.monotonic() - started)
                found += [judged(model, sections[o], np.arange(len(sections[o].spots))) for o in test if o != name]
            say(split, "a whole section, at others", found, seconds)


def judged(model: Trained, section: Section, rows: np.ndarray) -> tuple[float, ...]:
    """PCC, MSE, share inside 90 % intervals, and mean sd, at some spots of a section."""
    made, truth = predict(model, section, draws=1), target(section, model.panel)[rows]
    mean, bars = made.mean[rows], made.error_bars
    assert bars is not None
    inside = coverage_of_bars(truth, mean, bars, 0.9)
    return mean_defined(pcc_counted(truth, mean)), np.square(truth - mean).mean(), inside, bars.scale.mean()


def say(split: str, what: str, found: list, seconds: list[float]) -> None:
    pcc, mse, inside, sd = np.mean(found, axis=0)
    print(
        f"{split}, {what}: PCC {pcc:.3f}, MSE {mse:.2f}, inside 90 % {inside:.3f} "
        f"({min(f[2] for f in found):.2f} to {max(f[2] for f in found):.2f}), sd {sd:.2f}; {np.mean(seconds):.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
