"""STFlow's network against the literal formulas: seconds and memory, side by side in one run.

    python benchmarks/stflow_speed.py            # about eight minutes on two cores
    python benchmarks/stflow_speed.py --quick    # without the largest section

Each measurement is a process of its own, so that peaks of memory do not mix; both sides take turns. The literal side
is `tests/reference/stflow_literal.py`, plain batched torch: it rebuilds the graph from all pairs at every evaluation,
as f(C, I, Y_t, t) reads; `literal-knn` gets its neighbours from a k-d tree once instead. The last line is one JSON
object; "ratio" is literal / fast of five evaluations at 10,000 spots, graph building included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
F, G, K, STEPS = 1024, 50, 8, 5


def scene(n: int):
    """A jittered square lattice of n spots with random features; the published network, seeded."""
    import numpy as np
    import torch

    from eosin.models import MODELS
    from eosin.types import Batch, GenePanel

    rng = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(n)))
    lattice = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[:n] * 100.0
    features = rng.standard_normal((n, F), dtype=np.float32)
    batch = Batch(lattice + rng.normal(0, 15, (n, 2)), features, np.array([0, n]))
    torch.manual_seed(0)
    entry = MODELS["stflow"]
    settings = entry.settings.of(entry.presets["paper"]["model"], {"length_um": 100.0})
    net = entry.build(settings, F, GenePanel(tuple(f"G{j}" for j in range(G)))).denoiser.eval()
    y = torch.rand(n, G, generator=torch.Generator().manual_seed(0))
    return net, batch, y


def sample_fast(net, batch, y):
    import torch

    from eosin.generative import LinearPath, euler, even_times

    with torch.no_grad():
        geometry = net.precompute(net.geometry(batch, torch.from_numpy(batch.features)))

        def velocity(x, t):
            return LinearPath().velocity(x, net(geometry, x, torch.tensor([t])), torch.tensor(t))

        return euler(velocity, y[None], even_times(STEPS))[0]


def sample_literal(net, batch, y, *, tree: bool = False):
    import torch

    sys.path.insert(0, str(ROOT / "tests"))
    from reference import stflow_literal as literal

    if tree:
        from eosin.geometry import neighbours

        index = torch.from_numpy(neighbours(batch.xy_um, K).index)
        literal.nearest = lambda xy, k: index
    with torch.no_grad():
        xy = torch.from_numpy(batch.xy_um / 100.0).float()
        return literal.sample(net, torch.from_numpy(batch.features), xy, y, STEPS, K)


def train_step(net, batch, y, *, fast: bool):
    """One gradient step with dropout: forward, backward, clipping, Adam."""
    import torch

    sys.path.insert(0, str(ROOT / "tests"))
    from reference import stflow_literal as literal

    net.train()
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-4)
    features, t = torch.from_numpy(batch.features), torch.tensor([0.4])
    xy = torch.from_numpy(batch.xy_um / 100.0).float()

    def step():
        optimiser.zero_grad()
        geometry = net.geometry(batch, features) if fast else None
        out = net(geometry, y[None], t)[0] if fast else literal.denoise(net, features, xy, y, t, K)
        (out - y).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        return out.detach()

    return step


def measure(side: str, n: int, repeats: int) -> dict[str, float]:
    """Median seconds and the peak of memory above what the inputs take, in this process."""
    net, batch, y = scene(n)
    if side.startswith("train"):
        run = train_step(net, batch, y, fast=side == "train-fast")
    elif side == "fast":
        run = lambda: sample_fast(net, batch, y)  # noqa: E731
    else:
        run = lambda: sample_literal(net, batch, y, tree=side == "literal-knn")  # noqa: E731
    small = scene(400)
    (sample_fast if side == "fast" else sample_literal)(*small)  # libraries warm up on a small section
    before = peak_mib()
    seconds, out = [], None
    for _ in range(repeats):
        started = time.perf_counter()
        out = run()
        seconds.append(time.perf_counter() - started)
    return {
        "seconds": statistics.median(seconds),
        "mib": peak_mib() - before,
        "total_mib": peak_mib(),
        "sum": float(out.double().sum()),
        "first": [float(v) for v in out[:5, 0]],
    }


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(side: str, n: int, repeats: int) -> dict[str, float]:
    line = [sys.executable, __file__, "--child", side, "--n", str(n), "--repeats", str(repeats)]
    environment = {"GOMP_SPINCOUNT": "1000", **os.environ}  # a shared machine: waiting threads must not spin
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=environment)
    result = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{side:12s} {n:7d} spots {result['seconds']:8.3f} s +{result['mib']:6.0f} MiB (peak {result['total_mib']:.0f})"
    )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", choices=["fast", "literal", "literal-knn", "train-fast", "train-literal"])
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure(given.child, given.n, given.repeats)))
        return
    rounds = [{s: child(s, 10_000, 3) for s in ("fast", "literal", "literal-knn")} for _ in range(given.rounds)]
    steps = [{s: child(s, 2_000, 3) for s in ("train-fast", "train-literal")} for _ in range(given.rounds)]
    scaling = {n: child("fast", n, 1) for n in (10_000, 30_000, 100_000, *(() if given.quick else (300_000,)))}

    def middle(runs, side, what):
        return statistics.median(run[side][what] for run in runs)

    fast, literal = rounds[0]["fast"], rounds[0]["literal"]
    print(
        json.dumps(
            {
                "seconds": {side: middle(rounds, side, "seconds") for side in rounds[0]},
                "mib": {side: middle(rounds, side, "mib") for side in rounds[0]},
                "ratio": statistics.median(r["literal"]["seconds"] / r["fast"]["seconds"] for r in rounds),
                "ratio_literal_knn": statistics.median(
                    r["literal-knn"]["seconds"] / r["fast"]["seconds"] for r in rounds
                ),
                "memory_share": middle(rounds, "fast", "mib") / middle(rounds, "literal", "mib"),
                "largest_difference_seen": max(abs(a - b) for a, b in zip(fast["first"], literal["first"])),
                "train_step_seconds": {side: middle(steps, side, "seconds") for side in steps[0]},
                "train_step_ratio": statistics.median(
                    s["train-literal"]["seconds"] / s["train-fast"]["seconds"] for s in steps
                ),
                "scaling": {
                    str(n): {"seconds": r["seconds"], "mib": r["mib"], "peak_mib": r["total_mib"]}
                    for n, r in scaling.items()
                },
            }
        )
    )


if __name__ == "__main__":
    main()
