"""Windows per second of an encoder on synthetic tiles in memory, and of reading them from an image. One JSON line last.

python benchmarks/encode_speed.py [ENCODER] [--spots 256] [--batch 64] [--threads 2] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from eosin.encoders import Encoder, get_encoder
from eosin.slide import open_slide


def synthetic_tiles(encoder: Encoder, n: int, seed: int = 0) -> list[torch.Tensor]:
    """Blotches in the colours of H&E with pixel noise [n px px 3], one tensor per view."""
    rng = np.random.default_rng(seed)
    tiles = []
    for view in encoder.views:
        blotch = torch.from_numpy(rng.random((n, 1, 28, 28), dtype=np.float32))
        share = torch.nn.functional.interpolate(blotch, size=(view.px, view.px), mode="bilinear").permute(0, 2, 3, 1)
        colour = share * torch.tensor([90.0, 60.0, 150.0]) + (1 - share) * torch.tensor([225.0, 170.0, 205.0])
        noise = torch.from_numpy(rng.normal(0, 8, (n, view.px, view.px, 3)).astype(np.float32))
        tiles.append((colour + noise).clamp(0, 255).to(torch.uint8))
    return tiles


def encode_rate(encoder: Encoder, n: int, batch: int, repeats: int) -> dict[str, float]:
    """Best windows per second over `repeats`, and processor time per window; a window is one view of one spot."""
    tiles = synthetic_tiles(encoder, n)
    encoder.encode([tile[:batch] for tile in tiles])
    best, cpu_ms = 0.0, float("inf")
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        for first in range(0, n, batch):
            encoder.encode([tile[first : first + batch] for tile in tiles])
        best = max(best, n * len(tiles) / (time.perf_counter() - start))
        cpu_ms = min(cpu_ms, (time.process_time() - start_cpu) * 1e3 / (n * len(tiles)))
    return {"encode_windows_per_s": best, "cpu_ms_per_window": cpu_ms}


def read_rate(encoder: Encoder, n: int) -> dict[str, float]:
    """Seconds to decode a 36-megapixel JPEG, and windows per second read from it afterwards."""
    from PIL import Image

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slide.jpg"
        coarse = Image.fromarray(rng.integers(90, 255, (300, 300, 3), dtype=np.uint8))
        coarse.resize((6000, 6000), Image.Resampling.BICUBIC).save(path, quality=90)
        with open_slide(path, mpp=0.5) as slide:
            start = time.perf_counter()
            slide.read((1500, 1500), 100, 64)
            decode_s = time.perf_counter() - start
            xy = rng.uniform(200, 2800, (n, 2))
            start = time.perf_counter()
            for view in encoder.views:
                slide.read_many(xy, view.width_um, view.px)
            return {"decode_s": decode_s, "read_per_s": n * len(encoder.views) / (time.perf_counter() - start)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder", nargs="?", default="stain")
    for name, default in (("spots", 256), ("batch", 64), ("threads", 2), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    encoder = get_encoder(args.encoder)
    result = {
        "encoder": encoder.spec,
        "n_features": encoder.n_features,
        "threads": args.threads,
        "batch": args.batch,
        **{name: round(value, 2) for name, value in encode_rate(encoder, args.spots, args.batch, args.repeats).items()},
        **{name: round(value, 2) for name, value in read_rate(encoder, args.spots).items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
