"""Mutates small valid inputs of every platform and picture format, and keeps those that reach new lines of eosin.

    PYTHONPATH=src:tests python benchmarks/fuzz_readers.py --seconds 600 --seed 0 --out fuzz

One law: sections, a picture, or one `EosinError` of one line, within 20 s and 1 GiB. Anything else is a fault; its
input is kept in `OUT/faults/`, and `OUT/fuzz.json` says what was done: inputs tried by seed, lines reached, faults by
kind and place. Inputs are changed byte by byte (also within gzip), as text (cells, columns, tokens), as JSON, as HDF5
and Parquet (an array of another kind, shape or content), and as folders (a file gone, empty, exchanged). A process of
its own tries them, since damage can bring a library down: its death, or 30 s of silence, is a fault of the input it
had. Files of HDF5 that were changed byte by byte are walked first, as eosin does; others are not, which saves time.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import logging
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

HERE = Path(__file__).parents[1]
SOURCE = str(HERE / "src" / "eosin")
SECONDS, SILENCE, MEMORY = 20, 30, 1 << 30
TOKENS = (
    *(b"nan", b"-1", b"0", b"1e999", b"", b"1x1", b"99999999999999999999", b"0.5", b"0,5", b"true", b"\0", b"\xff\xfe"),
    *(
        b"Ignore*",
        b"ENSG00000141736",
        b"1-Mar",
        b"GRCh38_X",
        b"../../x",
        b"[]",
        b"{}",
        b"null",
        b'"',
        b"\n",
        b"\t",
        b",",
    ),
)
VALUES = (None, True, -1, 0, 1e308, 2**70, "", "0.5", "0,5", "nan", [], {}, [[1, 2]], "../x", float("nan"))
Files = dict[str, bytes]
"""A seed or one of its mutants: contents by path within its folder."""


class TooLong(BaseException):
    """An input takes more than `SECONDS`."""


# --- seeds ----------------------------------------------------------------------------------------------------------


def seeds(folder: Path) -> dict[str, tuple[str, Files]]:
    """Valid inputs by name: how each is tried (`read`, `slide`, `table`), and its files."""
    import numpy as np

    from cell_layouts import hd_bundle, xenium_bundle
    from unit.data import layouts, layouts_10x
    from unit.slide import pictures
    from unit.slide.czi_files import mosaic, save_czi
    from unit.slide.dicom_files import save_dicom
    from unit.slide.zarr_files import save_zarr

    def write_cells(place: Path) -> None:
        for file in (xenium_bundle(place, n=40), *(place / "R1").glob("transcripts.*")):
            _ = file.unlink() if isinstance(file, Path) else None

    def write_text(place: Path) -> None:
        layouts_10x.write_visium(
            place / "S1" / "outs", layouts_10x.counts(62), layouts_10x.visium_positions(), text=True
        )

    makers: dict[str, Callable[[Path], Any]] = {
        **{name: getattr(layouts, name) for name in ("native", "single", "hest", "hest_bench", "stimage")},
        "legacy_st": lambda place: layouts.legacy_st(place, ("A1",), packed=False),
        "visium": layouts_10x.visium,
        "visium_text": write_text,
        "visium_hd": lambda place: layouts_10x.visium_hd(place, ((8, 16),)),
        "hd_cells": lambda place: hd_bundle(place, n=40),
        "xenium": lambda place: layouts_10x.xenium(place, ("R1",)),
        "xenium_cells": write_cells,
    }
    made = {}
    for name, make in makers.items():
        make(folder / name)
        made[name] = ("read", load(folder / name))
    pixels = pictures.painted(300, 260, 0.5)
    place = folder / "pictures"
    place.mkdir()
    written = (
        pictures.save_pyramid(place / "pyramid.tif", pixels, 0.5),
        pictures.save_ome(place / "a.ome.tif", pixels, 0.5),
        pictures.save_plain(place / "plain.tif", pixels, 0.5),
        *(pictures.save_image(place / name, pixels) for name in ("a.jpg", "a.png", "a.webp", "a.jp2", "a.gif")),
    )
    for file in written:
        made[file.name] = ("slide", {file.name: file.read_bytes()})
    with contextlib.suppress(ImportError):  # an extra
        store_of_tables = load(layouts.spatialdata(place / "s"))
        made["spatialdata"] = ("read", {f"s.zarr/{name}": body for name, body in store_of_tables.items()})
    (place / "dicom").mkdir()
    save_dicom(place / "dicom", pixels, 0.5)
    made["dicom"] = ("slide", {f"dicom/{name}": body for name, body in load(place / "dicom").items()})
    made["a.czi"] = ("slide", {"a.czi": save_czi(place / "a.czi", mosaic(pixels), 0.5).read_bytes()})
    save_zarr(place / "a.ome.zarr", pixels, 0.5)
    made["a.ome.zarr"] = ("slide", {f"a.ome.zarr/{k}": v for k, v in load(place / "a.ome.zarr").items()})
    ring = [[10, 10], [200, 10], [200, 200], [10, 200], [10, 10]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    drawn = {"type": "Feature", "geometry": shape, "properties": {"classification": {"name": "Tumor"}}}
    png = (place / "a.png").read_bytes()
    outlines = json.dumps({"type": "FeatureCollection", "features": [drawn]}).encode()
    made["tissue"] = ("table", {"a.png": png, "a.geojson": outlines})
    rows = "".join(
        f"p{i},{x:.1f},{y:.1f}\n" for i, (x, y) in enumerate(np.random.default_rng(0).uniform(0, 250, (20, 2)))
    )
    made["points"] = ("table", {"a.png": png, "a.csv": f"id,x,y\n{rows}".encode()})
    made["manifest"] = ("table", {"a.png": png, "b.tsv": b"path\tmpp\tpatient\na.png\t0.5\tP1\n"})
    return made


def load(folder: Path) -> Files:
    """The files of a folder."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def store(files: Files, folder: Path) -> None:
    """A folder of these files."""
    for name, body in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)


# --- mutants --------------------------------------------------------------------------------------------------------


def mutate(files: Files, rng: random.Random) -> tuple[Files, bool]:
    """A mutant, one to three changes away; and whether an HDF5 file in it was changed byte by byte."""
    files, is_raw = dict(files), False
    for _ in range(rng.choice((1, 1, 2, 3))):
        name = rng.choice(sorted(files))
        if rng.random() < 0.06:
            _change_folder(files, name, rng)
            continue
        body = files[name]
        ways = [way for way, suits in STRUCTURES if suits(name, body)]
        way = rng.choice(ways) if ways and rng.random() < 0.75 else _bytes
        is_raw |= way is _bytes and body[:4] == b"\x89HDF"
        try:
            files[name] = way(body, rng)
        except Exception:  # a mutant that its own format's library can no longer open: byte by byte then
            is_raw |= body[:4] == b"\x89HDF"
            files[name] = _bytes(body, rng)
    return files, is_raw


def _change_folder(files: Files, name: str, rng: random.Random) -> None:
    other = rng.choice(sorted(files))
    if (way := rng.randrange(4)) == 0 and len(files) > 1:
        del files[name]
    elif way == 1:
        files[name] = b""
    elif way == 2:
        files[name], files[other] = files[other], files[name]
    else:
        files[f"{name}.gz"] = gzip.compress(files.pop(name))


def _bytes(body: bytes, rng: random.Random) -> bytes:
    data = bytearray(body)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(data) + 1) if rng.random() < 0.5 else rng.randrange(min(len(data), 512) + 1)
        way = rng.randrange(6)
        if way == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif way == 1:
            data[at : at + 4] = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 256)).to_bytes(
                4, rng.choice(("little", "big"))
            )
        elif way == 2:
            del data[at : at + rng.choice((1, 4, 64, 4096))]
        elif way == 3:
            data[at:at] = data[at : at + rng.choice((1, 16, 256))]
        elif way == 4:
            del data[at:]
        else:
            data[at:at] = rng.choice(TOKENS)
    return bytes(data)


def _gzip(body: bytes, rng: random.Random) -> bytes:
    inner = gzip.decompress(body)
    return gzip.compress((_text if b"\0" not in inner else _bytes)(inner, rng), 1)


def _text(body: bytes, rng: random.Random) -> bytes:
    separator = max((b",", b"\t", b";"), key=body.count)
    lines = [line.split(separator) for line in body.split(b"\n")]
    row = rng.choice(lines) if rng.random() < 0.7 else lines[0]
    column = rng.randrange(len(row))
    way = rng.randrange(7)
    if way < 3:
        row[column] = rng.choice(TOKENS)
    elif way == 3:
        lines = [[cell for j, cell in enumerate(line) if j != column] for line in lines]
    elif way == 4:
        lines = [line[column:] + line[:column] for line in lines]
    elif way == 5:
        lines.insert(rng.randrange(len(lines) + 1), list(rng.choice(lines)))
    else:
        separator = rng.choice((b",", b"\t", b";", b" "))
    return b"\n".join(separator.join(line) for line in lines)


def _json(body: bytes, rng: random.Random) -> bytes:
    value = json.loads(body)
    places: list[tuple[Any, Any]] = []
    pending = [value]
    while pending:
        one = pending.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        places += [(one, key) for key in keys]
        pending += [one[key] for key in keys]
    owner, key = rng.choice(places)
    if rng.random() < 0.2:
        del owner[key]
    else:
        owner[key] = rng.choice((*VALUES, rng.choice(places)[0]))
    return json.dumps(value).encode()


def _hdf5(body: bytes, rng: random.Random) -> bytes:
    import h5py
    import numpy as np

    buffer = io.BytesIO(body)
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = rng.choice(names)
        place = file[name]
        if rng.random() < 0.15 or isinstance(place, h5py.Group):
            if len(place.attrs) and rng.random() < 0.6:
                key = rng.choice(sorted(place.attrs))
                place.attrs[key] = rng.choice(("", "array", "csc_matrix", "categorical", -1, 2**40))
            else:
                del file[name]
            return _closed(file, buffer)
        old = place[()]
        n = int(np.size(old))
        attributes = dict(place.attrs)
        new = rng.choice(
            (
                lambda: np.full(np.shape(old), np.nan),
                lambda: np.full(np.shape(old), -1),
                lambda: np.zeros((0,)),
                lambda: np.arange(n + rng.choice((-1, 1, 7))),
                lambda: np.array([rng.choice(TOKENS).replace(b"\0", b"") for _ in range(max(n, 1))], dtype="S"),
                lambda: np.atleast_1d(old)[::-1],
                lambda: np.concatenate([np.atleast_1d(old)] * 2),
                lambda: np.atleast_1d(old)[None],
                lambda: np.float64(0.5),
                lambda: np.full(np.shape(old), 2**40),
                lambda: np.random.default_rng(rng.randrange(99)).permutation(np.atleast_1d(old)),
            )
        )()
        del file[name]
        file.create_dataset(name, data=new)
        for key, value in attributes.items():
            file[name].attrs[key] = value
        return _closed(file, buffer)


def _closed(file: Any, buffer: io.BytesIO) -> bytes:
    file.close()
    return buffer.getvalue()


def _parquet(body: bytes, rng: random.Random) -> bytes:
    import pandas as pd

    table = pd.read_parquet(io.BytesIO(body))
    column = rng.choice(list(table.columns))
    way = rng.randrange(7)
    if way == 0:
        table = table.drop(columns=column)
    elif way == 1:
        table[column] = table[column].astype(str)
    elif way == 2:
        table[column] = rng.choice((None, -1, 1e300, "x", b"\xff", True, float("inf")))
    elif way == 3:
        table = pd.concat([table, table.head(rng.choice((1, 50)))])
    elif way == 4:
        table[column] = table[rng.choice(list(table.columns))]
    elif way == 5:
        table = table.head(rng.choice((0, 1, 2)))
    else:
        table.loc[table.index[rng.randrange(len(table))], column] = None
    out = io.BytesIO()
    table.to_parquet(out, index=False)
    return out.getvalue()


STRUCTURES: tuple[tuple[Callable[[bytes, random.Random], bytes], Callable[[str, bytes], bool]], ...] = (
    (_gzip, lambda name, body: body[:2] == b"\x1f\x8b"),
    (_text, lambda name, body: name.endswith((".csv", ".tsv", ".mtx", ".txt"))),
    (_json, lambda name, body: body[:1] in (b"{", b"[")),
    (_hdf5, lambda name, body: body[:4] == b"\x89HDF"),
    (_parquet, lambda name, body: body[:4] == b"PAR1"),
)


# --- one try --------------------------------------------------------------------------------------------------------


def attempt(way: str, folder: Path) -> None:
    """What a user does with an input: readers with both units, windows of a slide, tissue, points and tables."""
    import numpy as np

    from eosin import data
    from eosin.data.slide_entries import entries_of
    from eosin.errors import EosinError
    from eosin.slide import find_tissue, open_slide, read_points, read_tissue

    if way == "read":
        sections = data.read(folder)
        for section in sections:
            _ = section.counts is None or section.counts.sum()
        if any((folder / one).exists() for one in ("R1", "H1")):
            data.read(folder, unit="cells")
        return
    if way == "table":
        for table in folder.glob("*.tsv"):
            entries_of(table)
        for table, use in ((folder / "a.geojson", read_tissue), (folder / "a.csv", read_points)):
            if table.exists():
                with open_slide(folder / "a.png", mpp=0.5) as slide:
                    use(table, slide)
        return
    file = next(iter(sorted(folder.iterdir())))
    with contextlib.suppress(EosinError):
        open_slide(file).close()
    with open_slide(file, mpp=0.5) as slide:
        for centre, width in (((60.0, 50.0), 40.0), ((0.0, 0.0), 90.0), ((75.0, 65.0), 300.0)):
            slide.read(np.array(centre), width, 32)
        find_tissue(slide)


def outcome(way: str, folder: Path) -> tuple[str, str] | None:
    """Kind and place of a fault, or None."""
    from eosin.errors import EosinError

    signal.alarm(SECONDS)
    try:
        attempt(way, folder)
    except EosinError as error:
        return ("an error of several lines", str(error)[:200]) if "\n" in str(error) else None
    except TooLong as late:
        return f"more than {SECONDS} s", _place(late)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:200].replace("\n", " "), _place(error)
    finally:
        signal.alarm(0)
    return None


def _place(error: BaseException) -> str:
    """The innermost line of eosin."""
    ours = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(SOURCE)]
    return f"{Path(ours[-1].filename).relative_to(SOURCE)}:{ours[-1].lineno}" if ours else "outside"


class Lines:
    """The lines of eosin that were run, by a trace function that looks at no other code."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()

    def __call__(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        """Trace a new frame, if it is eosin's."""
        return self._line if frame.f_code.co_filename.startswith(SOURCE) else None

    def _line(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
        if event == "line":
            self.seen.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


# --- the process that tries -----------------------------------------------------------------------------------------


def work(out: Path, seed: int, until: float) -> None:
    """Try mutants until the time is over; what was found goes to `out`, line by line."""
    from eosin.storage import hdf5

    warnings.simplefilter("ignore")
    logging.disable()
    probe, rng, place = hdf5.probe, random.Random(seed), out / "now"
    hdf5._PATIENCE_S = 10.0
    corpus = [(name, way, files) for name, (way, files) in _seeds_of(out).items()]
    corpus += [(name, way, load(out / "corpus" / key)) for key, name, way in _kept(out)]
    lines, journal = Lines(), (out / "journal.jsonl").open("a", buffering=1)

    signal.signal(signal.SIGALRM, _raise_late)
    names = sorted({name for name, _, _ in corpus})
    for name, way, files in corpus:  # what they reach is known; libraries are loaded before memory is measured
        _try(name, way, files, place, lines)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + 6 * MEMORY, mapped + 6 * MEMORY))
    while time.time() < until:
        wanted = rng.choice(names)
        name, way, files = rng.choice([one for one in corpus if one[0] == wanted])
        mutant, is_raw = mutate(files, rng)
        hdf5.probe = probe if is_raw else (lambda path: None)
        before, began = len(lines.seen), time.time()
        journal.write(json.dumps({"name": name, "way": way, "began": began}) + "\n")
        fault = _try(name, way, mutant, place, lines)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > base + MEMORY:
            fault = fault or ("more than 1 GiB", name)
        record = {"seconds": round(time.time() - began, 3), "lines": len(lines.seen), "fault": fault}
        if fault is not None or len(lines.seen) > before:
            key = f"{seed}-{rng.randrange(1 << 40):x}"
            store(mutant, out / ("faults" if fault else "corpus") / key)
            record |= {"key": key}
            if fault is None:
                corpus.append((name, way, mutant))
                (out / "corpus.jsonl").open("a").write(json.dumps([key, name, way]) + "\n")
        journal.write(json.dumps(record) + "\n")
        if fault is not None and fault[0] == "more than 1 GiB":
            return  # the peak stays: another process goes on


def _raise_late(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  as `signal` calls it
    raise TooLong


def _try(name: str, way: str, files: Files, place: Path, lines: Lines) -> tuple[str, str] | None:
    shutil.rmtree(place, ignore_errors=True)
    (place / name).mkdir(parents=True)
    store(files, place / name)
    sys.settrace(lines)
    try:
        return outcome(way, place / name)
    finally:
        sys.settrace(None)


def _seeds_of(out: Path) -> dict[str, tuple[str, Files]]:
    facts = json.loads((out / "seeds.json").read_text())
    return {name: (way, load(out / "seeds" / name)) for name, way in facts.items()}


def _kept(out: Path) -> list[tuple[str, str, str]]:
    file = out / "corpus.jsonl"
    return [tuple(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


# --- the process that watches ---------------------------------------------------------------------------------------


def watch(out: Path, seconds: float, seed: int) -> None:
    """Start the process that tries, again where it died or fell silent, until the time is over."""
    until, journal = time.time() + seconds, out / "journal.jsonl"
    while time.time() < until:
        command = [sys.executable, __file__, "--out", str(out), "--seed", str(seed), "--until", str(until)]
        child, loud, size = subprocess.Popen(command), time.time(), -1
        while child.poll() is None:
            time.sleep(0.5)
            if (now := journal.stat().st_size if journal.exists() else 0) != size:
                loud, size = time.time(), now
            if time.time() - loud > SILENCE + (30 if size <= 0 else 0):
                child.kill()
                child.wait()
        if child.returncode:
            _say_death(out, journal, child.returncode, seed)
        seed += 1000


def _say_death(out: Path, journal: Path, status: int, seed: int) -> None:
    lines = journal.read_text().splitlines() if journal.exists() else []
    began = json.loads(lines[-1]) if lines else {}
    key = f"death-{seed}"
    if (out / "now").is_dir():
        shutil.copytree(out / "now", out / "faults" / key, dirs_exist_ok=True)
    fault = [f"the process ended with {status}", str(began.get("name"))]
    with journal.open("a") as file:
        file.write(json.dumps({"seconds": 0, "lines": 0, "fault": fault, "key": key}) + "\n")


def summary(out: Path) -> dict[str, Any]:
    """What was done, as `fuzz.json` has it."""
    records = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    done = [one for one in records if "lines" in one]
    faults: dict[str, list[str]] = {}
    for one in done:
        if one["fault"]:
            faults.setdefault(" @ ".join(one["fault"]), []).append(one["key"])
    return {
        "inputs": len(done),
        "inputs_of": dict(Counter(one["name"] for one in records if "name" in one)),
        "lines": max((one["lines"] for one in done), default=0),
        "kept": len(_kept(out)),
        "slowest_s": max((one["seconds"] for one in done), default=0),
        "faults": {kind: [len(keys), keys[0]] for kind, keys in sorted(faults.items())},
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fuzz"))
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.until is not None:
        work(given.out, given.seed, given.until)
        return
    shutil.rmtree(given.out, ignore_errors=True)
    for name in ("faults", "corpus"):
        (given.out / name).mkdir(parents=True)
    made = seeds(given.out / "made")
    (given.out / "seeds.json").write_text(json.dumps({name: way for name, (way, _) in made.items()}))
    for name, (_, files) in made.items():
        store(files, given.out / "seeds" / name)
    os.environ["PYTHONHASHSEED"] = "0"
    watch(given.out, given.seconds, given.seed)
    text = json.dumps(summary(given.out), indent=2)
    (given.out / "fuzz.json").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
