"""Encoding a whole slide: tiles per second of reading, encoding and both; memory; what twenty kills leave behind.

python benchmarks/encode_slide.py FOLDER [--encoder stain] [--tiles 1024] [--rounds 3] [--batch 64] [--kills 20]

FOLDER takes the synthetic slide (40,000 x 30,000 px, JPEG, pyramid) and keeps it. Reading, encoding and both are timed
twice: with one core for reading and one for encoding, where both together can be as fast as the slower one; and with
all cores for each, which both together have to share. Rounds are interleaved, so that other work on the machine meets
all alike; the table has medians and, as the steadier measure, processor time per tile. An encoder's name after
`untrained:` builds it without weights. One JSON line last. The folder should be on a local disk.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import tifffile
import torch
from PIL import Image as Picture

from eosin.encoders import Encoder, get_encoder
from eosin.encoders.zoo import build_untrained
from eosin.features import encode, encode_all, feature_path
from eosin.features.devices import devices_of, in_order, replicas
from eosin.features.read_ahead import read_ahead
from eosin.features.stream import encode_tiles
from eosin.features.turns import UNTURNED
from eosin.slide import Slide, open_slide, reading_order
from eosin.types import Image, Section, Spots

WIDTH, HEIGHT, MPP, TILE = 40_000, 30_000, 0.25, 512
PERIOD = 4096


def make_slide(path: Path) -> None:
    """Blotches in the colours of H&E with dark nuclei, repeated every 4096 px; written tile by tile."""
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.random((64, 64)), np.ones((64, 64)))[..., None]
    colour = coarse * [150, 90, 170] + (1 - coarse) * [230, 180, 210]
    nuclei = np.kron(rng.random((256, 256)) < 0.15, np.ones((16, 16)))[..., None] * [70, 80, 40]
    texture = np.clip(colour - nuclei + rng.normal(0, 8, (PERIOD, PERIOD, 3)), 0, 255).astype(np.uint8)
    partial = path.with_suffix(".part")
    with tifffile.TiffWriter(partial, bigtiff=True) as file:
        for factor in (1, 4, 16):
            small = texture.reshape(PERIOD // factor, factor, PERIOD // factor, factor, 3).mean((1, 3)).astype(np.uint8)
            small = np.asarray(Picture.fromarray(small).convert("YCbCr"))  # tifffile stores what it is given
            height, width = -(-HEIGHT // factor), -(-WIDTH // factor)
            scale = {"resolution": (1e4 / MPP, 1e4 / MPP), "resolutionunit": 3} if factor == 1 else {}
            file.write(
                _tiles(small, height, width),
                shape=(height, width, 3),
                dtype=np.uint8,
                tile=(TILE, TILE),
                photometric="ycbcr",
                compression="jpeg",
                subfiletype=int(factor > 1),
                **scale,
            )
    partial.rename(path)


def _tiles(texture: np.ndarray, height: int, width: int) -> Iterator[np.ndarray]:
    for y in range(0, height, TILE):
        rows = np.arange(y, y + TILE) % len(texture)
        for x in range(0, width, TILE):
            yield texture[rows[:, None], np.arange(x, x + TILE) % len(texture)]


def lattice(n: int) -> Spots:
    """Spots 100 µm apart in whole rows across the middle of the slide, at least `n`: neighbours share tiles."""
    x = np.arange(300, WIDTH * MPP - 300, 100.0)
    y = HEIGHT * MPP / 2 + 100.0 * np.arange(-(-n // len(x)))
    xy = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    return Spots(xy, 100.0, tuple(map(str, range(len(xy)))))


def measured(work: Callable[[], int]) -> dict[str, float]:
    """Tiles per second, and milliseconds of processor per tile, of one run."""
    start, cpu = time.perf_counter(), time.process_time()
    n = work()
    return {
        "per_s": n / (time.perf_counter() - start),
        "cpu_ms": (time.process_time() - cpu) * 1e3 / n,
    }


def speeds(path: Path, encoder: Encoder, spots: Spots, batch: int, rounds: int, cores: int) -> dict[str, object]:
    """Medians over interleaved rounds, with so many threads for reading and as many for encoding."""
    torch.set_num_threads(cores)
    encoders = replicas(encoder, devices_of("auto", encoder))
    found: dict[str, list[dict[str, float]]] = {"reading": [], "encoding": [], "both": []}
    xy = spots.xy_um[reading_order(spots.xy_um, MPP)]
    with open_slide(path) as slide:
        few = [tiles.windows for tiles in read_ahead(slide, xy[: 2 * batch], encoder.views, batch)]

    def read(slide: Slide) -> int:
        return sum(len(tiles.readable) for tiles in read_ahead(slide, xy, encoder.views, batch, readers=cores))

    def both(slide: Slide) -> int:
        return len(encode_tiles("", slide, spots, encoders, ways=(UNTURNED,), batch=batch, readers=cores).values)

    for _ in range(rounds):
        for name, work in (
            ("reading", read),
            ("encoding", lambda _: _encode_only(encoders, few, len(xy))),
            ("both", both),
        ):
            with open_slide(path) as slide:  # anew, so that no round profits from another's cache
                found[name].append(measured(lambda work=work, slide=slide: work(slide)))
    shares = [
        both["per_s"] / min(read["per_s"], made["per_s"])
        for read, made, both in zip(found["reading"], found["encoding"], found["both"], strict=True)
    ]
    medians = {name: _median(runs) for name, runs in found.items()}
    return {**medians, "both_of_slower": statistics.median(shares)}


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def _encode_only(encoders: list[Encoder], few: list[list[torch.Tensor]], n: int) -> int:
    """As many tiles as `n`, of the few batches that are in memory."""

    def work(encoder: Encoder) -> Callable[[int], int]:
        def one(i: int) -> int:
            with torch.inference_mode():
                return len(encoder.encode(few[i % len(few)]).cpu())

        return one

    n_batches = max(1, round(n / len(few[0][0])))
    return sum(in_order(range(n_batches), [work(encoder) for encoder in encoders]))


def together(path: Path, first: Encoder, second: Encoder, spots: Spots, folder: Path, batch: int, rounds: int):
    """Two encoders one after the other, and in one run: medians of seconds and of processor time per spot."""
    section = Section("slide", "p", spots, image=Image(path, MPP))
    found: dict[str, list[dict[str, float]]] = {"apart": [], "together": []}
    for _ in range(rounds):
        for name, groups in (("apart", [[first], [second]]), ("together", [[first, second]])):
            cache = folder / name
            shutil.rmtree(cache, ignore_errors=True)

            def work(groups: list[list[Encoder]] = groups, cache: Path = cache) -> int:
                for group in groups:
                    encode_all(section, group, cache=cache, batch=batch)
                return len(spots)

            found[name].append(measured(work))
    return {name: _median(runs) for name, runs in found.items()}


_OPEN: list[Slide] = []


def _open_here(path: Path) -> None:
    _OPEN.append(open_slide(path))


def _read_here(xy_um: np.ndarray, views: list[tuple[float, int]]) -> int:
    for width, px in views:
        slide = _OPEN[0].sharing(xy_um, width, px)
        for spot in xy_um:
            slide.read(spot, width, px)
    return len(xy_um)


def readers(path: Path, encoder: Encoder, spots: Spots, batch: int, rounds: int) -> dict[str, float]:
    """Tiles per second read by as many threads and processes as there are processors.

    The processes keep what they read, and their start is not counted: handing tiles over would only add to it.
    """
    n = os.cpu_count() or 1
    views = [(view.width_um, view.px) for view in encoder.views]
    xy = spots.xy_um[reading_order(spots.xy_um, MPP)]
    pieces = [xy[i : i + batch] for i in range(0, len(xy), batch)]
    found: dict[str, list[float]] = {"threads": [], "processes": []}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n, spawn, initializer=_open_here, initargs=(path,)) as pool:
        list(pool.map(_read_here, [pieces[0][:2]] * 4 * n, [views] * 4 * n))
        for _ in range(rounds):
            start = time.perf_counter()
            with open_slide(path) as slide:
                for _ in read_ahead(slide, xy, encoder.views, batch, readers=n):
                    pass
            found["threads"].append(len(spots) / (time.perf_counter() - start))
            start = time.perf_counter()
            sum(pool.map(_read_here, pieces, [views] * len(pieces)))
            found["processes"].append(len(spots) / (time.perf_counter() - start))
    return {"n": n, **{name: statistics.median(runs) for name, runs in found.items()}}


def kills(path: Path, encoder: Encoder, spots: Spots, folder: Path, batch: int, times: int) -> dict[str, object]:
    """Encode a section in processes that are killed at random moments; then finish and compare with one in one go."""
    section = Section("slide", "p", spots, image=Image(path, MPP))
    torch.set_num_threads(1)  # a fork has none of its parent's threads
    whole, broken = folder / "whole", folder / "broken"
    for one in (whole, broken):
        shutil.rmtree(one, ignore_errors=True)
    start = time.perf_counter()
    encode(section, encoder, cache=whole, batch=batch)
    in_one_go = time.perf_counter() - start
    fork, done = multiprocessing.get_context("fork"), 0
    target = feature_path(broken, section.name, encoder)
    for _ in range(times):
        child = fork.Process(target=encode, args=(section, encoder), kwargs={"cache": broken, "batch": batch})
        child.start()
        time.sleep(random.uniform(0, 2 * in_one_go / times))
        if child.pid is not None and child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
            done += 1
        child.join()
        if target.exists():
            break
    resumed = encode(section, encoder, cache=broken, batch=batch)
    equal = _tables(feature_path(whole, section.name, encoder)) == _tables(target)
    left = [file.name for file in broken.rglob("*") if file.is_file() and file != target]
    return {"killed": done, "equal": equal, "left_over": left, "spots": len(resumed)}


def _tables(path: Path) -> dict[str, bytes]:
    with h5py.File(path) as file:
        return {name: np.asarray(file[name]).tobytes() for name in file}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", default="stain")
    for name, default in (("tiles", 1024), ("rounds", 3), ("batch", 64), ("kills", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--readers", action="store_true", help="also compare threads and processes")
    parser.add_argument("--together", metavar="ENCODER", help="also compare two encoders in one run with two runs")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.folder / "slide-40000x30000.tif"
    if not path.exists():
        writer = multiprocessing.get_context("spawn").Process(target=make_slide, args=(path,))
        writer.start()  # in a process of its own: its memory is not what is measured
        writer.join()
    name = args.encoder.removeprefix("untrained:")
    encoder, spots = (get_encoder if name == args.encoder else build_untrained)(name), lattice(args.tiles)
    result: dict[str, object] = {"encoder": encoder.card.name, "tiles": len(spots), "windows": len(encoder.views)}
    if args.kills:
        result["kills"] = kills(path, encoder, spots, args.folder, args.batch, args.kills)
        torch.set_num_threads(os.cpu_count() or 1)
        print(json.dumps(result["kills"]), file=sys.stderr, flush=True)
    if args.rounds:
        for label, cores in (("one_core_each", 1), ("all_cores", os.cpu_count() or 1)):
            result[label] = speeds(path, encoder, spots, args.batch, args.rounds, cores)
            print(json.dumps({label: result[label]}), file=sys.stderr, flush=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result["peak_mib"] = peak / (2**20 if sys.platform == "darwin" else 2**10)
    if args.together:
        second = get_encoder(args.together)
        result["together"] = together(path, encoder, second, spots, args.folder, args.batch, max(args.rounds, 3))
    if args.readers:
        result["readers"] = readers(path, encoder, spots, args.batch, args.rounds)
    result["threads"] = torch.get_num_threads()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
