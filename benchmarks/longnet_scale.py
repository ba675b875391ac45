"""The slide encoder at its published size: seconds and peak memory for sections of growing size.

    python benchmarks/longnet_scale.py                     # 1,000, 10,000 and 50,000 tiles
    python benchmarks/longnet_scale.py --n 10000 --layers 2

Random weights, random tile features of width 1536, all cores that PyTorch takes. Each measurement is a process of its
own, so that peaks do not mix. "mib" is the peak above what weights and inputs take; "core_seconds" counts time on a
core only, which a busy machine lengthens less.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

SEGMENTS, DILATIONS = (1024, 5792, 32768, 185363, 1048576), (1, 2, 4, 8, 16)


def measure(n: int, n_layers: int) -> dict[str, float]:
    import torch

    from eosin.models.gigapath.longnet import SlideEncoder, branches

    torch.manual_seed(0)
    slide = SlideEncoder(1536, 768, 16, n_layers, branches(SEGMENTS, DILATIONS)).eval()
    slide.start_at_random()
    features, side = torch.randn(n, 1536), int(n**0.5) + 1
    cells = torch.stack([torch.arange(n) % side, torch.arange(n) // side], 1)
    slide(features[:200], cells[:200], final_norm=False)  # libraries warm up
    before, started, worked = peak_mib(), time.perf_counter(), time.process_time()
    out = slide(features, cells, final_norm=False)
    seconds, core_seconds = time.perf_counter() - started, time.process_time() - worked
    return {
        "tiles": n,
        "layers": n_layers,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 2),
        "core_seconds": round(core_seconds, 2),
        "mib": round(peak_mib() - before),
        "peak_mib": round(peak_mib()),
        "sum": float(out.double().abs().sum()),
    }


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--child", action="store_true")
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure(given.n[0], given.layers)))
        return
    for n in given.n:
        line = [sys.executable, __file__, "--child", "--n", str(n), "--layers", str(given.layers)]
        environment = {"GOMP_SPINCOUNT": "1000", **os.environ}  # a shared machine: waiting threads must not spin
        done = subprocess.run(line, capture_output=True, text=True, check=True, env=environment)
        print(done.stdout.splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
