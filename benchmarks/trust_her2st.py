"""Coverage and width of error bars on six sections of two patients (her2st).

    python benchmarks/trust_her2st.py DATA --features FOLDER [--models kernel,ridge] [--only lso,b-c,c-b]

Features of encoder `stain+stain?tile_um=100,660` are kept in FOLDER. Everything is learned on training sections. For
each split, over its test sections: share of values inside the 50, 80, 90 and 95 % intervals, mean sd, CRPS, PCC; and
the genes whose map can be read as training says, with the share of them that reach a PCC of 0.3.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from kernel_her2st import test_sections

from eosin.engine import predict
from eosin.genes import target
from eosin.metrics import coverage_of_bars, crps_of_bars, mean_defined, pcc_counted

LEVELS = (0.5, 0.8, 0.9, 0.95)


def main(arguments: Sequence[str]) -> None:
    for model, split, judged in test_sections(__doc__, arguments):
        rows = []
        for trained, section in judged:
            made = predict(trained, section)
            truth, bars = target(section, trained.panel), made.error_bars
            assert bars is not None and made.trust is not None
            inside = [coverage_of_bars(truth, made.mean, bars, level) for level in LEVELS]
            score = crps_of_bars(truth, made.mean, bars), mean_defined(pcc_counted(truth, made.mean))
            per_gene = np.nan_to_num(pcc_counted(truth, made.mean))
            named = np.array([verdict == "map" for verdict in made.trust.verdicts])
            good, depth = float((per_gene[named] >= 0.3).sum()), np.nanmean(made.trust.beyond_depth)
            rows.append([*inside, bars.scale.mean(), *score, named.sum(), good, depth])
            about = f"{bars.kind}, {bars.basis}"
        means = np.mean(rows, axis=0)
        print(
            f"{model} {split}: inside {' '.join(f'{x:.3f}' for x in means[:4])}; "
            f"sd {means[4]:.2f}, CRPS {means[5]:.3f}, PCC {means[6]:.3f}; "
            f"maps {means[7]:.0f} genes, {means[8] / max(means[7], 1):.2f} reach 0.3; inner PCC given depth "
            f"{means[9]:.2f}; 90 % over sections "
            f"{min(r[2] for r in rows):.3f} to {max(r[2] for r in rows):.3f}; {about}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
