"""`eosin view`, as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from cli.conftest import Ground, Run
from eosin.data import read_prediction


def test_a_folder_that_opens_without_a_server(eosin: Run, ground: Ground) -> None:
    said = eosin("view", ground.prediction, "--truth", ground.data, "--export", "page")
    assert said.code == 0 and said.out == "page/index.html written; it opens without a server\n"
    n_genes = len(read_prediction(ground.prediction).panel)
    measured = "".join(script.read_text() for script in Path("page/data").glob("gene_1_*.js"))
    assert measured.count("eosin.receive(") == n_genes


def test_it_serves_until_ctrl_c_and_ends_well(ground: Ground) -> None:
    flags = ["view", str(ground.prediction), "--compare", str(ground.prediction), "--no-browser"]
    command = [sys.executable, "-m", "eosin", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None and run.stderr is not None
        address = run.stdout.readline().strip()
        try:
            assert address.startswith("http://127.0.0.1:") and "/?token=" in address, run.stderr.read()
            with urllib.request.urlopen(address, timeout=20) as answer:
                assert b'id="eosin"' in answer.read()
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(address.partition("?")[0], timeout=20)
        finally:
            run.send_signal(signal.SIGINT)
        try:
            out, err = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 0 and out == "" and "Traceback" not in err, err


def test_what_cannot_be_viewed_is_one_line(eosin: Run, ground: Ground, tmp_path: Path) -> None:
    assert "no such file" in eosin("view", "gone.h5ad").complaint
    assert "no such file" in eosin("view", ground.prediction, "--compare", "gone.h5ad").complaint
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    assert "holds other files" in eosin("view", ground.prediction, "--export", "home").complaint
    assert "is no port" in eosin("view", ground.prediction, "--port", "99999", "--no-browser").complaint
    assert os.listdir("home") == ["thesis.txt"]


def test_without_its_packages(eosin: Run, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert 'pip install "eosin[view]"' in eosin("view", ground.prediction, "--no-browser").complaint


def test_help_needs_none_of_it() -> None:
    code = "import sys; from eosin.cli import main; main(['view', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {"starlette", "uvicorn", "torch", "numpy.random"} & set(done.stdout.split())
