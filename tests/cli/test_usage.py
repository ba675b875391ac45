"""The command line itself: exit codes, help, weight, and how an interrupted command ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from cli.conftest import Ground, Run, files_below

VERBS = (
    "info",
    "tissue",
    "encode",
    "train",
    "predict",
    "export",
    "score",
    "report",
    "plot",
    "bench",
    "study",
    "fetch",
    "doctor",
    "list",
    "demo",
)


def python(*argv: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv],
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        check=False,
    )


def test_help_names_every_verb_and_loads_nothing_heavy() -> None:
    """Run as users run it; what was imported is written to stderr by the interpreter itself."""
    done = python("-X", "importtime", "-m", "eosin", "--help")
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in VERBS)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "cyclopts" in loaded  # the list is what it is taken for
    heavy = {"torch", "numpy", "scipy", "pandas", "anndata", "scanpy", "matplotlib", "h5py", "sklearn", "PIL"}
    assert not loaded & heavy


def test_a_user_error_in_a_process_of_its_own_is_one_line() -> None:
    done = python("-m", "eosin", "list", "modells")
    assert done.returncode == 1
    assert done.stdout == ""
    assert (
        done.stderr
        == "eosin: there is no list of 'modells'; known lists: models, encoders, readers, protocols, studies\n"
    )


def test_log_and_progress_go_to_stderr_results_to_stdout(ground: Ground) -> None:
    done = python("-m", "eosin", "score", str(ground.prediction), str(ground.data))
    assert done.returncode == 0
    assert "pcc" in done.stdout and "synthetic tissue" not in done.stdout
    assert "synthetic tissue" in done.stderr  # the reader's note
    assert "\x1b" not in done.stdout + done.stderr  # no colours in a file


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_its_first_sentence(eosin: Run, verb: str) -> None:
    said = eosin(verb, "--help")
    assert said.code == 0
    assert "Usage" in said.out
    assert len(said.out.splitlines()) > 5


def test_version(eosin: Run) -> None:
    import eosin as library

    assert eosin("--version").out.strip() == library.__version__


@pytest.mark.parametrize(
    "line",
    [
        ("--nonsense",),
        ("nonsense",),
        ("train", "data", "-o", "run", "--epoch", "3"),
        ("train", "data"),
        ("predict", "run", "image.jpg", "-o", "p.h5ad", "--draws", "many"),
        ("bench", "data", "-o", "out", "--sead", "1"),
        ("info",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_touches_nothing(eosin: Run, line: tuple[str, ...], tmp_path) -> None:
    said = eosin(*line)
    assert said.code == 2
    assert said.err.strip()
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_is_130_and_one_line(eosin: Run, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    from eosin.api import info as facts

    def interrupted(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(facts, "info", interrupted)
    said = eosin("info", ground.data)
    assert said.code == 130
    assert said.err.startswith("eosin: stopped") and said.err.count("\n") == 1


def test_debug_shows_the_trace(eosin: Run) -> None:
    from eosin.errors import EosinError

    with pytest.raises(EosinError):
        eosin("info", "nowhere", "--debug")


def test_a_closed_pipe_is_no_error(eosin: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from eosin.cli import show

    def closed(*given: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(show, "rows", closed)
    assert eosin("list", "models").code == 0


def test_settings_of_one_command_do_not_reach_the_next(eosin: Run, ground: Ground) -> None:
    assert eosin("train", "nowhere", "-o", "run", "--model.width", "16").code == 1
    from eosin.cli.overrides import over

    assert eosin("list", "models").code == 0
    assert over({}) == {}


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (("bench", "nowhere", "-o", "x", "--train.lr", "1"), "'eosin bench' takes no --train.lr"),
        (("predict", "a", "b", "-o", "x", "--train.epochs", "1"), "'eosin predict' takes no --train.epochs"),
        (("info", "nowhere", "--model.n-steps", "1"), "'eosin info' takes no --model.n-steps"),
    ],
)
def test_a_setting_that_a_command_has_no_use_for_is_refused(eosin: Run, line: tuple[str, ...], wrong: str) -> None:
    said = eosin(*line)
    assert said.code == 1 and wrong in said.err


ANSWERED_AT_ONCE = (
    "info absent.svs",
    "encode absent",
    "train absent -o run",
    "train . --settings absent.toml -o run",
    "predict absent . -o p.h5ad",
    "predict . absent -o p.h5ad",
    "tissue absent.svs -o m.geojson",
    "score absent.h5ad .",
    "report absent.h5ad -o r.html",
    "bench absent -o out",
    "study priors absent -o out",
    "export absent.h5ad -o a.csv",
    "list modells",
    "train . --model stflw -o run",
    "train . --model stflow:papr -o run",
    "train . --reader absent -o run",
    "train . --encoder unii -o run",
    "encode . --encoder unii?tile_um=100 -o f",
    "bench . --models ridge,stflw -o out",
    "study priorz . -o out",
    "predict . . --reader absent -o p.h5ad",
    "list models",
    "list encoders",
    "list protocols",
    "list studies",
    "list readers",
    "train . --model.n-layer 3 -o run",
    "train . --model ridge --model.widht 3 -o run",
    "train . --train.epoch 3 -o run",
    "train . --settings settings.toml -o run",
    "train . --genes vr:50 -o run",
    "train . --genes var:many -o run",
    "train . --genes var:50+absent.txt -o run",
    "train . --transform log1pp -o run",
    "train . --missing-genes skp -o run",
    "bench . --genes vr:50 -o out",
    "bench . --transform log1pp -o out",
    "study priors . --genes vr:50 -o out",
    "info ridge",
    "info stflow",
    "info settings.toml",
    "train . --seed x -o run",
    "predict run . --no-such-flag -o p.h5ad",
)

EACH_LINE = """
import contextlib, io, json, os, sys
from eosin.cli import main
os.chdir(sys.argv[1])
answers = {}
for line in json.load(sys.stdin):
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        code = main(line.split())
    answers[line] = (code, "torch" in sys.modules, err.getvalue())
json.dump(answers, sys.stdout)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, ground: Ground) -> dict[str, tuple[int, bool, str]]:
    """Exit code, whether torch was loaded by then, and stderr of each line, of one process that has loaded nothing."""
    folder = tmp_path_factory.mktemp("at-once")
    for run in (ground.ridge, ground.stflow):
        shutil.copytree(run, folder / run.name)
    (folder / "settings.toml").write_text("[modell]\nn_layers = 3\n")
    before = files_below(folder)
    done = python("-c", EACH_LINE, str(folder), given=json.dumps(ANSWERED_AT_ONCE))
    assert done.returncode == 0, done.stderr
    assert files_below(folder) == before
    return json.loads(done.stdout)


@pytest.mark.parametrize("line", ANSWERED_AT_ONCE)
def test_a_wrong_path_is_answered_without_torch(answers: dict[str, tuple[int, bool, str]], line: str) -> None:
    code, torch_is_loaded, err = answers[line]
    assert not torch_is_loaded
    fine = line in ("info ridge", "info stflow") or (line.startswith("list ") and "modells" not in line)
    wrong_usage = "--seed x" in line or "--no-such-flag" in line
    assert code == (0 if fine else 2 if wrong_usage else 1), err
    words = ("absent", "modells", "stflw", "papr", "priorz", "unii", "--seed", "--no-such-flag", "settings.toml")
    words += (
        "'n_layer' in [model]; did you mean 'n_layers'",
        "'widht' in [model]; known settings",
        "'epoch' in [train]; did you",
    )
    words += ("'vr'", "'var:many'", "'log1pp'", "'skp'", "'modell'")
    assert fine or any(word in err for word in words), err
