"""Score, calibrate and export the prediction of a very large section: core-seconds and peak memory of each command.

    python benchmarks/score_at_scale.py --spots 300000                      # score, calibrate --apply, export .zarr
    python benchmarks/score_at_scale.py --spots 1000000 --what score
    python benchmarks/score_at_scale.py --spots 300000 --what score --labels --profile    # and where the time goes

A square lattice of spots with Poisson counts of 16 slow patterns, and a prediction of it (the rates with noise) with
error bars, written block by block. The calibration is learned from four sections of 400 spots. Each command runs in a
process of its own, reading and writing included; its peak is what the system says of it. Prints a Markdown table; the
folder is removed at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from cohort_at_scale import N_PATTERNS, PITCH_UM, measured, print_table
from scipy import sparse

import eosin
from eosin.data import write_prediction, write_sections
from eosin.storage.scratch import scratch_table
from eosin.types import ErrorBars, GenePanel, Prediction, Section, Spots

ROWS, N_SMALL = 8192, 400
WHAT = ("score", "calibrate", "zarr")


def drawn(name: str, n_spots: int, n_genes: int, *, labels: bool) -> tuple[Prediction, Section]:
    """A measured section and its prediction, of a mean and error bars."""
    shared, rng = np.random.default_rng(0), np.random.default_rng([3, n_spots, *name.encode()])
    to_genes, levels = shared.normal(size=(N_PATTERNS, n_genes)) * 0.2, shared.normal(-0.5, 0.7, n_genes)
    side, waves = int(np.ceil(np.sqrt(n_spots))), rng.normal(size=(2, N_PATTERNS)) / (10 * PITCH_UM)
    place = np.stack([np.arange(n_spots) % side, np.arange(n_spots) // side], 1) * PITCH_UM
    mean, counts, sides = scratch_table((n_spots, n_genes)), [], []
    for start in range(0, n_spots, ROWS):
        rows = slice(start, min(start + ROWS, n_spots))
        patterns = np.sin(place[rows] @ waves)
        rates = np.exp(patterns @ to_genes + levels)
        counts.append(sparse.csr_matrix(rng.poisson(rates).astype(np.float32)))
        mean[rows] = np.log1p(rates) + rng.normal(scale=0.2, size=rates.shape)
        sides += np.where(patterns[:, 0] > 0, "up", "down").tolist() if labels else []
    spots = Spots(place.astype(np.float64), PITCH_UM, tuple(f"s{i}" for i in range(n_spots)))
    genes, levels_q = tuple(f"GENE{j}" for j in range(n_genes)), np.linspace(-2, 2, 41)
    bars = ErrorBars(np.full(n_genes, 0.5), np.linspace(0.01, 0.99, 41), levels_q / levels_q.std(), 0.0)
    prediction = Prediction(name, spots, GenePanel(genes), mean[None], "drawn", 0, centre=mean, error_bars=bars)
    known = tuple(sides) if labels else None
    return prediction, Section(
        name, f"p-{name}", spots, counts=sparse.csr_matrix(sparse.vstack(counts)), genes=genes, domains=known
    )


def write(folder: Path, n_spots: int, n_genes: int, *, labels: bool) -> None:
    """Prediction, measured section and a calibration."""
    prediction, section = drawn("large", n_spots, n_genes, labels=labels)
    write_prediction(prediction, folder / "large.h5ad", draws=False)
    write_sections([section], folder / "data")
    small = [drawn(f"small{i}", N_SMALL, n_genes, labels=False) for i in range(4)]
    eosin.calibrate([p for p, _ in small], [s for _, s in small], out=folder / "calibration.safetensors")


def commands(folder: Path) -> dict[str, list[str]]:
    """What is measured, by name."""
    made = str(folder / "large.h5ad")
    apply = ["--apply", str(folder / "calibration.safetensors"), "-o", str(folder / "calibrated.h5ad")]
    return {
        "score": ["score", made, str(folder / "data")],
        "calibrate": ["calibrate", made, *apply],
        "zarr": ["export", made, "-o", str(folder / "large.zarr")],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spots", type=int, nargs="+", default=[300_000])
    parser.add_argument("--genes", type=int, default=50)
    parser.add_argument("--what", nargs="+", choices=WHAT, default=list(WHAT))
    parser.add_argument("--labels", action="store_true", help="also domain labels, for their metrics")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    rows = []
    for n_spots in given.spots:
        folder = Path(tempfile.mkdtemp(prefix="eosin-score-"))
        try:
            if shutil.disk_usage(folder).free < n_spots * given.genes * 4 * 12 + 2**30:
                raise SystemExit(f"{folder} has no room")
            write(folder, n_spots, given.genes, labels=given.labels)
            for what in given.what:
                profile = folder / "profile" if given.profile else None
                used = measured(commands(folder)[what], profile, "tottime", 40)
                rows.append({"spots": f"{n_spots:,}", "what": what, **used})
                print(json.dumps(rows[-1]), flush=True)
        finally:
            shutil.rmtree(folder)
    print_table(rows)


if __name__ == "__main__":
    main()
