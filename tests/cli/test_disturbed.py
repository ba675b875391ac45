"""Every verb that writes, disturbed at every write: what is found is whole or absent, and a rerun ends with the same.

What is written is made to last by `fsync` and gets its name by `replace` or `rename`; each of these calls fails in turn
as on a full disk, or the process dies there. `test_bad_input` fails single writes by a limit on the size of files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import ENCODER, SMALL, Ground, Run, Said
from eosin.cli import main

CALLS = ("fsync", "replace", "rename")
EACH = 6
"""Of more calls than this the first, the last and some between are disturbed: a store of many files has hundreds."""
TIMES = re.compile(rb'\\?"?(seconds|peak|cpu|mib|mb)(_\w+)?\\?"?:? ?[-\d.e]+|\d+(\.\d+)? (s|MB|GB|seconds)\b')
"""What differs from run to run."""


def new_patient(ground: Ground) -> Path:
    """A prediction of a patient who was not trained on, made once."""
    path = ground.prediction.parent / "new" / "A1.h5ad"
    if not path.exists():
        chosen = ["--features", ground.features, "--encoder", ENCODER, "--genes", "var:6", "--sections", "B1,B2"]
        run = path.parent / "run"
        assert main([str(w) for w in ("train", ground.data, "--model", "ridge", *chosen, "-o", run)]) == 0
        beside = ["--section", "A1", "--features", ground.features]
        assert main([str(w) for w in ("predict", run, ground.data, *beside, "-o", path)]) == 0
    return path


def command_of(verb: str, ground: Ground) -> tuple[list[Any], str]:
    """The command line of a verb, up to where it writes to; and the name of that."""
    features = ["--features", ground.features]
    chosen = [*features, "--encoder", ENCODER, "--genes", "var:6", "--sections", "A2,B1,B2"]
    commands: dict[str, tuple[list[Any], str]] = {
        "encode": (["encode", ground.data, "--encoder", ENCODER, "--sections", "A1,B1", "-o"], "features"),
        "tissue": (["tissue", ground.image, "--mpp", "2", "-o"], "tissue.geojson"),
        "train ridge": (["train", ground.data, "--model", "ridge", *chosen, "-o"], "run"),
        "train stflow": (["train", ground.data, "--model", "stflow", *chosen, *SMALL, "-o"], "run"),
        "predict": (["predict", ground.ridge, ground.data, "--section", "A1", *features, "-o"], "A1.h5ad"),
        "adapt": (["adapt", ground.ridge, ground.data, "--section", "A1", "--spots", "8", *features, "-o"], "run"),
        "calibrate": (["calibrate", new_patient(ground), "--truth", ground.data, "-o"], "calibration.safetensors"),
        "report": (["report", ground.prediction, "--truth", ground.data, "-o"], "page.html"),
        "bench": (
            ["bench", ground.data, "--models", "gene-mean", "--split", "A2,B1:A1", *chosen[:-2], "-o"],
            "grid",
        ),
        **{
            f"export {suffix}": (["export", ground.prediction, "-o"], f"A1{suffix}")
            for suffix in (".csv", ".parquet", ".geojson", ".zarr", ".h5ad")
        },
    }
    return commands[verb]


VERBS = [
    *("encode", "tissue", "train ridge", "train stflow", "predict", "adapt", "calibrate", "report", "bench"),
    *(f"export {suffix}" for suffix in (".csv", ".parquet", ".geojson", ".zarr", ".h5ad")),
]


def contents(path: Path) -> dict[str, bytes]:
    """Everything that has a name at `path` or below; times are struck out. What begins with a dot is not for people."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else []
    return {
        str(file.relative_to(path.parent)): without_times(file)
        for file in sorted(files)
        if not any(part.startswith(".") for part in file.relative_to(path.parent).parts) or path.suffix == ".zarr"
    }


def without_times(file: Path) -> bytes:
    """What a file says but for times; a safetensors file pads its header to whole words."""
    content = file.read_bytes()
    if file.suffix == ".safetensors":
        n = int.from_bytes(content[:8], "little")
        content = content[8 : 8 + n].rstrip(b" ") + content[8 + n :]
    return TIMES.sub(b"", content) if file.suffix not in {".h5", ".h5ad", ".parquet"} else content


def disturbed(name: str, at: int, calls: list[int]) -> Callable[..., Any]:
    """A function of the system whose call number `at` says that the disk is full."""
    real = getattr(os, name)

    def call(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == at:
            raise OSError(28, "No space left on device")
        return real(*arguments, **named)

    return call


def chosen(n_calls: int) -> list[int]:
    """Which of some calls to disturb, counted from 1."""
    if n_calls <= EACH:
        return list(range(1, n_calls + 1))
    return sorted({1, 2, *(round(1 + i * (n_calls - 1) / (EACH - 2)) for i in range(EACH - 1))})


LONG = {"train stflow", "bench", "export .zarr"}


@pytest.mark.parametrize("verb", [pytest.param(v, marks=pytest.mark.long) if v in LONG else v for v in VERBS])
def test_a_full_disk_at_any_write(verb: str, eosin: Run, ground: Ground, tmp_path: Path) -> None:
    command, name = command_of(verb, ground)

    def run(folder: Path, *more: str, at: dict[str, int] | None = None) -> tuple[Said, dict[str, list[int]]]:
        folder.mkdir(exist_ok=True)
        calls = {call: [0] for call in CALLS}
        with pytest.MonkeyPatch.context() as patch:
            for call in CALLS:
                patch.setattr(os, call, disturbed(call, (at or {}).get(call, 0), calls[call]))
            return eosin(*command, folder / name, *more), calls

    said, n_calls = run(tmp_path / "undisturbed")
    assert said.code == 0, said.err
    right = contents(tmp_path / "undisturbed" / name)
    assert right
    n_failed = 0
    for call in CALLS:
        for at in chosen(n_calls[call][0]):
            folder = tmp_path / f"{call}-{at}"
            said, _ = run(folder, at={call: at})
            n_failed += said.code != 0
            found = contents(folder / name)
            if said.code == 0:
                assert found == right, f"{call} {at}: a failed write is not told"
            else:
                assert "space" in said.complaint or "full" in said.complaint, said.err
            strangers = [path.name for path in folder.iterdir() if not path.name.startswith(".") and path.name != name]
            assert strangers == [], f"{call} {at} leaves {strangers}"
            there = ["--resume"] if verb.startswith("train") and (folder / name).exists() else []
            said, _ = run(folder, *there)
            assert said.code == 0, said.err
            again = contents(folder / name)
            unlike = [file for file in {*again, *right} if again.get(file) != right.get(file)]
            assert unlike == [], f"{call} {at}: a rerun ends otherwise"
            shutil.rmtree(folder)
    assert n_failed > 0


def dies(command: list[str], names: list[str], folders: list[str]) -> None:
    """Run in a process of its own: a child for each folder, which is killed at its number of a `fsync` or `replace`."""
    from eosin.api import bench, encode, predict, train  # once, not in every child

    del bench, encode, predict, train
    for at, folder in enumerate(folders, start=1):
        child = os.fork()
        if child == 0:
            n_calls = 0

            def call(*arguments: Any, real: Callable[..., Any], at: int = at, **named: Any) -> Any:
                nonlocal n_calls
                n_calls += 1
                if n_calls == at:
                    os._exit(9)
                return real(*arguments, **named)

            for name in CALLS:
                setattr(os, name, partial(call, real=getattr(os, name)))
            os._exit(main([*command, str(Path(folder) / names[0])]))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (0, 9)


@pytest.mark.parametrize(
    "verb", [*(pytest.param(v, marks=pytest.mark.long) for v in ("encode", "train stflow", "bench")), "predict"]
)
def test_a_kill_at_any_write(verb: str, eosin: Run, ground: Ground, tmp_path: Path) -> None:
    words, name = command_of(verb, ground)
    command = [str(word) for word in words]
    folders = [tmp_path / f"killed-{at}" for at in range(1, 7)]
    for folder in [tmp_path / "undisturbed", *folders]:
        folder.mkdir()
    assert main([*command, str(tmp_path / "undisturbed" / name)]) == 0
    right = contents(tmp_path / "undisturbed" / name)
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); from cli.test_disturbed import dies; "
        "dies(*json.loads(sys.argv[2]))"
    )
    given = json.dumps([command, [name], [str(folder) for folder in folders]])
    tests = str(Path(__file__).parents[1])
    environment = os.environ | {
        "OMP_NUM_THREADS": "1"
    }  # a child of threads may wait for ever for one that is not there
    subprocess.run([sys.executable, "-c", code, tests, given], check=True, timeout=300, env=environment)
    n_killed = 0
    for folder in folders:
        found = contents(folder / name)
        n_killed += found != right
        if not verb.startswith(("train", "bench", "encode")):
            assert found in ({}, right)
        there = ["--resume"] if verb.startswith("train") and (folder / name).exists() else []
        said = eosin(*command, folder / name, *there)
        assert said.code == 0, said.err
        again = contents(folder / name)
        assert [file for file in {*again, *right} if again.get(file) != right.get(file)] == []
    assert n_killed >= 1
