"""Coverage and width of error bars on six sections of two patients (her2st).

    python benchmarks/trust_her2st.py DATA --features FOLDER [--models kernel,ridge] [--only lso,b-c,c-b]

Features of encoder `stain+stain?tile_um=100,660` are kept in FOLDER. Everything is learned on training sections. For
each split, over its test sections: share of values inside the 50, 80, 90 and 95 % intervals, mean sd, CRPS, PCC; and
the genes whose map can be read as training says, with the share of them that reach a PCC of 0.3.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from kernel_her2st import PAIR, SPLITS

from eosin.api.encode import encode
from eosin.engine import predict, train
from eosin.genes import target
from eosin.metrics import coverage_of_bars, crps_of_bars, mean_defined, pcc_counted

LEVELS = (0.5, 0.8, 0.9, 0.95)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--models", default="kernel,ridge")
    parser.add_argument("--only", default="lso,b-c,c-b")
    given = parser.parse_args(arguments)
    sections = {s.name: s for s in encode(given.data, out=given.features, encoder=PAIR)}
    for model in given.models.split(","):
        for split in given.only.split(","):
            rows = []
            for training, test in SPLITS[split]:
                trained = train([sections[name] for name in training], model=model)
                for name in test:
                    made = predict(trained, sections[name])
                    truth, bars = target(sections[name], trained.panel), made.error_bars
                    assert bars is not None
                    inside = [coverage_of_bars(truth, made.mean, bars, level) for level in LEVELS]
                    score = crps_of_bars(truth, made.mean, bars), mean_defined(pcc_counted(truth, made.mean))
                    assert made.trust is not None
                    per_gene = np.nan_to_num(pcc_counted(truth, made.mean))
                    named = np.array([verdict == "map" for verdict in made.trust.verdicts])
                    good, depth = float((per_gene[named] >= 0.3).sum()), np.nanmean(made.trust.beyond_depth)
                    rows.append([*inside, bars.scale.mean(), *score, named.sum(), good, depth])
            means = np.mean(rows, axis=0)
            print(
                f"{model} {split}: inside {' '.join(f'{x:.3f}' for x in means[:4])}; "
                f"sd {means[4]:.2f}, CRPS {means[5]:.3f}, PCC {means[6]:.3f}; "
                f"maps {means[7]:.0f} genes, {means[8] / max(means[7], 1):.2f} reach 0.3; inner PCC given depth "
                f"{means[9]:.2f}; 90 % over sections "
                f"{min(r[2] for r in rows):.3f} to {max(r[2] for r in rows):.3f}; {bars.kind}, {bars.basis}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
