"""Train on a synthetic cohort that lies on disk: seconds, core-seconds and peak memory of `eosin train`.

    python benchmarks/cohort_at_scale.py --spots 50000 200000                  # the ridge
    python benchmarks/cohort_at_scale.py --spots 1000000 --models ridge kernel
    python benchmarks/cohort_at_scale.py --spots 100000 --genes 50 --models stflow --train.epochs 1 --model.base ridge
    python benchmarks/cohort_at_scale.py --spots 50000 --profile               # and where the time goes

Flags that it does not know are handed to `eosin train`.

The cohort: sections of at most 50,000 spots on a square lattice, two of each patient; features of 16 slow patterns in
noise, as float16 in feature files of eosin; Poisson counts of these patterns. It is written into a temporary folder
(2 KiB a spot of 1,024 features) and removed at the end. Each training is the command `eosin train` in a process of its
own, reading data and writing the checkpoint included; its peak is what the system says of it. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import sparse

from eosin.data import write_sections
from eosin.features import write_features
from eosin.types import Section, Spots

N_PATTERNS, PER_SECTION, PITCH_UM = 16, 50_000, 100.0
ABOUT = {"mpp": 0.5, "tile_um": 112.0, "patch_size": 224, "patch_size_level0": 224, "encoder": "drawn"}
ABOUT |= {"encoder_key": "drawn;version=1", "level0_width": 10**6, "level0_height": 10**6}


def sections(n_spots: int, n_features: int, n_genes: int) -> Iterator[tuple[Section, np.ndarray]]:
    """Sections with counts, and their features."""
    n_sections = max(8, -(-n_spots // PER_SECTION))
    shared = np.random.default_rng(0)
    to_features = shared.normal(size=(N_PATTERNS, n_features)).astype(np.float32)
    to_genes = shared.normal(size=(N_PATTERNS, n_genes)).astype(np.float32) * 0.2
    levels = shared.normal(-0.5, 0.7, n_genes)
    for number in range(n_sections):
        rng = np.random.default_rng([1, number])
        n = n_spots // n_sections + (number < n_spots % n_sections)
        side = int(np.ceil(np.sqrt(n)))
        xy = np.stack([np.arange(n) % side, np.arange(n) // side], 1) * PITCH_UM
        waves = rng.normal(size=(2, N_PATTERNS)) / (10 * PITCH_UM)
        patterns = np.sin(xy @ waves + rng.uniform(0, 6, N_PATTERNS)).astype(np.float32)
        patterns += rng.normal(size=patterns.shape).astype(np.float32) * 0.5
        shift = np.random.default_rng([2, number // 2]).normal(size=(1, n_features)).astype(np.float32) * 0.3
        features = patterns @ to_features + rng.normal(size=(n, n_features)).astype(np.float32) * 2 + shift
        counts = sparse.csr_matrix(rng.poisson(np.exp(patterns @ to_genes + levels)).astype(np.float32))
        ids, genes = tuple(f"s{i}" for i in range(n)), tuple(f"GENE{j}" for j in range(n_genes))
        spots = Spots(xy.astype(np.float64), PITCH_UM, ids)
        yield Section(f"S{number:03d}", f"P{number // 2:03d}", spots, counts=counts, genes=genes), features


def write(folder: Path, n_spots: int, n_features: int, n_genes: int) -> None:
    """The cohort, section by section."""
    made = []
    for section, features in sections(n_spots, n_features, n_genes):
        write_sections([section], folder / "data")
        path = folder / "features" / f"{section.name}.h5"
        write_features(
            path, section.spots.ids, section.spots.xy_um, features, {**ABOUT, "name": section.name}, half=True
        )
        made.append(section.name)
    (folder / "data" / "index.json").unlink()  # lists the last section only; without it all are read


def train(folder: Path, model: str, n_genes: int, more: list[str], *, profile: bool) -> dict[str, str]:
    """What one training takes, as a row of the table."""
    command = ["train", str(folder / "data"), "--features", str(folder / "features"), "--encoder", "drawn"]
    command += ["--model", model, "--genes", f"var:{n_genes}", "-o", str(folder / model), "--overwrite", *more]
    return {"model": model, **measured(command, folder / "profile" if profile else None, "cumulative", 60)}


def measured(command: list[str], profile: Path | None, order: str, n_lines: int) -> dict[str, str]:
    """What one command of eosin takes, in a process of its own; with a profile, also where its time goes."""
    watched = [] if profile is None else ["-m", "cProfile", "-o", str(profile)]
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *watched, "-m", "eosin", *command], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if profile is not None:
        import pstats

        pstats.Stats(str(profile)).sort_stats(order).print_stats(n_lines)
    return {
        "seconds": f"{seconds:,.0f}" if process.returncode == 0 else f"failed ({process.returncode})",
        "core-seconds": f"{used.ru_utime + used.ru_stime:,.0f}",
        "peak GiB": f"{used.ru_maxrss / 2**20:.2f}",
    }


def print_table(rows: Sequence[Mapping[str, str]]) -> None:
    """Rows of the same columns, as a Markdown table."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([row[key] for key in head] for row in rows)]
    print("\n".join("| " + " | ".join(line) + " |" for line in lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spots", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--features", type=int, default=1024)
    parser.add_argument("--genes", type=int, default=200)
    parser.add_argument("--models", nargs="+", default=["ridge"])
    parser.add_argument("--profile", action="store_true")
    given, more = parser.parse_known_args()
    rows = []
    for n_spots in given.spots:
        folder = Path(tempfile.mkdtemp(prefix="eosin-cohort-"))
        try:
            needed = n_spots * given.features * 2 * 1.5
            if shutil.disk_usage(folder).free < needed + 2**30:
                raise SystemExit(f"{folder} has no room for {needed / 2**30:.1f} GiB")
            write(folder, n_spots, given.features, given.genes)
            print(f"{n_spots:,} spots written, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")
            for model in given.models:
                row = {"spots": f"{n_spots:,}", **train(folder, model, given.genes, more, profile=given.profile)}
                print(row, flush=True)
                rows.append(row)
        finally:
            shutil.rmtree(folder)
    print_table(rows)


if __name__ == "__main__":
    main()
