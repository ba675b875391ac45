"""How single draws look beside what was measured, on six sections of two patients (her2st).

    python benchmarks/draws_her2st.py DATA --features FOLDER [--models kernel,ridge] [--only lso,b-c,c-b]

Of each draw of a test section, then their mean: correlation over genes of Moran's I with the truth's (SSC), mean
Moran's I and that of the truth, gene-gene similarity (GSC), relative distance of variances (RVD).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from kernel_her2st import test_sections

from eosin.engine import predict
from eosin.genes import target
from eosin.metrics.structure import gsc, morans_i, rvd, spatial_weights, ssc


def main(arguments: Sequence[str]) -> None:
    for model, split, judged in test_sections(__doc__, arguments):
        rows = []
        for trained, section in judged:
            made, xy = predict(trained, section), section.spots.xy_um
            truth, weights = target(section, trained.panel), spatial_weights(xy)
            of_draws = [
                (ssc(truth, d, xy, weights=weights), np.nanmean(morans_i(d, weights)), gsc(truth, d), rvd(truth, d))
                for d in made.draws
            ]
            rows.append([*np.mean(of_draws, axis=0), np.nanmean(morans_i(truth, weights))])
        ssc_mean, moran, gsc_mean, rvd_mean, moran_truth = np.mean(rows, axis=0)
        print(
            f"{model} {split}: SSC {ssc_mean:.3f}, Moran's I {moran:.3f} (truth {moran_truth:.3f}), "
            f"GSC {gsc_mean:.3f}, RVD {rvd_mean:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
