"""Predict very large sections with a trained model: seconds, core-seconds and peak memory of the command line.

    python benchmarks/predict_at_scale.py --spots 100000 300000                       # ridge, kernel and stflow
    python benchmarks/predict_at_scale.py --spots 1000000 --models stflow --export csv parquet geojson
    python benchmarks/predict_at_scale.py --spots 300000 --models stflow --profile    # and where the time goes
    python benchmarks/predict_at_scale.py --spots 1000000 --models ridge --report     # the page of the prediction

The models learn from 8 drawn sections of 1,500 spots, two of each patient (1,024 features, 50 genes), so that the
kernel has its 2,000 landmarks; STFlow is trained for one epoch, and its network takes part whatever validation says of
it. The section to predict is a square lattice, row by row, as float16 in one feature file of eosin, which is written
block by block: 2 KiB a spot. Each prediction is the command `eosin predict` in a process of its own, reading and
writing included; its peak is what the system says of it. Prints a Markdown table; the folder is removed at the end
unless it is named by --folder.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from cohort_at_scale import ABOUT, N_PATTERNS, PITCH_UM, measured, print_table, sections

import eosin
from eosin.features.feature_file import FORMAT
from eosin.storage.files import atomic_hdf5
from eosin.types import Features

N_TRAINING, ROWS = 12_000, 2048


def train(folder: Path, model: str, n_features: int, n_genes: int) -> Path:
    """The checkpoint of a model; it is made once."""
    run = folder / f"{model}-{n_features}-{n_genes}"
    if not (run / "config.json").is_file():
        encoder, key = ABOUT["encoder"], ABOUT["encoder_key"]
        ready = [s.with_features(Features(f, encoder, key)) for s, f in sections(N_TRAINING, n_features, n_genes)]
        fit = {"train": {"epochs": 1}} if model == "stflow" else None
        eosin.train(ready, model=model, genes=f"var:{n_genes}", encoder=encoder, settings=fit, out=run)
        metrics = json.loads((run / "metrics.json").read_text())
        kept = {name: value for name, value in metrics.items() if name not in ("network", "network_note")}
        (run / "metrics.json").write_text(json.dumps(kept))
    return run


def write(path: Path, n_spots: int, n_features: int) -> None:
    """A feature file of one section, in blocks."""
    if path.is_file():
        return
    shared = np.random.default_rng(0)
    to_features = shared.normal(size=(N_PATTERNS, n_features)).astype(np.float32)
    side, rng = int(np.ceil(np.sqrt(n_spots))), np.random.default_rng(5)
    waves = rng.normal(size=(2, N_PATTERNS)) / (10 * PITCH_UM)
    place = np.stack([np.arange(n_spots) % side, np.arange(n_spots) // side], 1) * PITCH_UM + 500
    with atomic_hdf5(path) as file:
        file.attrs["format"] = FORMAT
        for name, value in {**ABOUT, "name": path.stem}.items():
            file.attrs[name] = value
        table = file.create_dataset(
            "features", (n_spots, n_features), np.float16, chunks=(min(ROWS, n_spots), n_features), fletcher32=True
        )
        for start in range(0, n_spots, ROWS):
            rows = slice(start, min(start + ROWS, n_spots))
            patterns = np.sin(place[rows] @ waves).astype(np.float32)
            patterns += rng.normal(size=patterns.shape).astype(np.float32) * 0.5
            noise = rng.standard_normal((len(patterns), n_features), dtype=np.float32)
            table[rows] = (patterns @ to_features + 2 * noise).astype(np.float16)
        origins = np.round(place / ABOUT["mpp"] - ABOUT["patch_size_level0"] / 2).astype(np.int64)
        names = np.array([f"s{i}".encode() for i in range(n_spots)])
        parts = {"coords": origins, "centres_um": place.astype(np.float64), "barcodes": names}
        for name, values in parts.items():
            file.create_dataset(name, data=values, fletcher32=True, chunks=(min(32_768, n_spots), *values.shape[1:]))
        for name in ("patch_size", "patch_size_level0", "level0_width", "level0_height"):
            file["coords"].attrs[name] = ABOUT[name]


def measure(command: list[str], profile: Path | None = None) -> dict[str, str]:
    """What one command of eosin takes."""
    return measured(command, profile, "tottime", 45)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spots", type=int, nargs="+", default=[100_000, 300_000])
    parser.add_argument("--features", type=int, default=1024)
    parser.add_argument("--genes", type=int, default=50)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--models", nargs="+", default=["ridge", "kernel", "stflow"])
    parser.add_argument("--export", nargs="*", default=[], help="suffixes, as csv parquet geojson h5ad")
    parser.add_argument("--report", action="store_true", help="the page of the prediction")
    parser.add_argument("--folder", type=Path, help="keep models and features here")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="eosin-predict-"))
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str]] = []

    def tell(n_spots: int, what: str, used: dict[str, str]) -> None:
        rows.append({"spots": f"{n_spots:,}", "what": what, **used})
        print(rows[-1], flush=True)

    try:
        runs = {model: train(folder, model, given.features, given.genes) for model in given.models}
        for n_spots in given.spots:
            needed = n_spots * (given.features * 2 + given.genes * 4 * (4 + given.draws))
            if shutil.disk_usage(folder).free < needed + 2**30:
                raise SystemExit(f"{folder} has no room for {needed / 2**30:.1f} GiB")
            features = folder / f"slide{n_spots}.h5"
            write(features, n_spots, given.features)
            profile = folder / "profile" if given.profile else None
            for model, run in runs.items():
                made = folder / f"{model}.h5ad"
                command = ["predict", str(run), str(features), "--draws", str(given.draws), "-o", str(made)]
                tell(n_spots, f"predict, {model}", measure(command, profile))
                for suffix in given.export if made.is_file() else ():
                    out = folder / f"export.{suffix}"
                    scale = ["--mpp", str(ABOUT["mpp"])] if suffix == "geojson" else []  # the slide has no image
                    command = ["export", str(made), "-o", str(out), *scale]
                    tell(n_spots, f"export .{suffix}", measure(command, profile))
                    shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
                if given.report and made.is_file():
                    command = ["report", str(made), "-o", str(folder / "page.html")]
                    tell(n_spots, "report", measure(command, profile))
                made.unlink(missing_ok=True)
            if given.folder is None:
                features.unlink()
    finally:
        if given.folder is None:
            shutil.rmtree(folder)
    print_table(rows)


if __name__ == "__main__":
    main()
