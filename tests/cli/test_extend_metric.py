"""The metric of docs/extend.md, exactly as printed, installed and shown by score, bench and report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import ENCODER, Ground

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "extend.md"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages that holds the metric and its entry point."""
    text = PAGE.read_text(encoding="utf-8")
    block = re.search(r"<!-- metric plug-in -->\n```python\n(.*?)```\n<!-- end of metric plug-in -->", text, re.DOTALL)
    toml = re.search(r'\[project\.entry-points\."(eosin\.metrics)"\]\n(\w+) = "(.*?)"', text)
    assert block and toml, "docs/extend.md holds no metric, or does not say how to name it"
    folder = tmp_path / "site"
    info = folder / "hot_spots-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "hot_spots.py").write_text(block[1], encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hot-spots\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{toml[1]}]\n{toml[2]} = {toml[3]}\n", encoding="utf-8")
    return folder


COMMANDS = """
import contextlib, io, json, sys
from eosin.cli import main
for words in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = main(words)
    print(json.dumps([code, said.getvalue()]))
"""


def _eosin(site: Path, *commands: tuple[object, ...]) -> list[str]:
    """What the commands print, in a process in which the metric is installed."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT / "src")])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [code for code, _ in answers] == [0] * len(commands), done.stderr[-2000:]
    return [said for _, said in answers]


def test_score_bench_and_report_show_the_metric_of_the_page(ground: Ground, site: Path, tmp_path: Path) -> None:
    given = ("--features", ground.features, "--encoder", ENCODER, "--models", "ridge", "--genes", "var:5")
    scored, *_ = _eosin(
        site,
        ("score", ground.prediction, ground.data),
        ("bench", ground.data, *given, "--split", "A1,A2:B1", "-o", tmp_path / "bench"),
        ("report", tmp_path / "bench" / "scores.json", "-o", tmp_path / "page.html"),
    )
    assert re.search(r"^hot_spots: 0\.\d+$", scored, re.MULTILINE)
    scores = json.loads((tmp_path / "bench" / "scores.json").read_text())
    value = scores["cells"][0]["metrics"]["hot_spots"]
    assert 0 <= value <= 1
    page = (tmp_path / "page.html").read_text()
    table = page.split("<h2>Hot spots</h2>")[1].split("</section>")[0]
    assert f"{value:.3f}" in table and "top tenth" in table
