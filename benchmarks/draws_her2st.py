"""How single draws look beside what was measured, on six sections of two patients (her2st).

    python benchmarks/draws_her2st.py DATA --features FOLDER [--models kernel,ridge] [--only lso,b-c,c-b]

Of each draw of a test section, then their mean: correlation over genes of Moran's I with the truth's (SSC), mean
Moran's I and that of the truth, gene-gene similarity (GSC), relative distance of variances (RVD).
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
from eosin.metrics.structure import gsc, morans_i, rvd, spatial_weights, ssc


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
                    made, xy = predict(trained, sections[name]), sections[name].spots.xy_um
                    truth, weights = target(sections[name], trained.panel), spatial_weights(xy)
                    of_draws = [
                        (
                            ssc(truth, d, xy, weights=weights),
                            np.nanmean(morans_i(d, weights)),
                            gsc(truth, d),
                            rvd(truth, d),
                        )
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
