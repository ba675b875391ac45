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


def _eosin(site: Path, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "eosin", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT / "src")])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_score_bench_and_report_show_the_metric_of_the_page(ground: Ground, site: Path, tmp_path: Path) -> None:
    assert re.search(r"^hot_spots: 0\.\d+$", _eosin(site, "score", ground.prediction, ground.data), re.MULTILINE)
    given = ("--features", ground.features, "--encoder", ENCODER, "--models", "ridge", "--genes", "var:5")
    _eosin(site, "bench", ground.data, *given, "--split", "A1,A2:B1", "-o", tmp_path / "bench")
    scores = json.loads((tmp_path / "bench" / "scores.json").read_text())
    value = scores["cells"][0]["metrics"]["hot_spots"]
    assert 0 <= value <= 1
    _eosin(site, "report", tmp_path / "bench" / "scores.json", "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    table = page.split("<h2>Hot spots</h2>")[1].split("</section>")[0]
    assert f"{value:.3f}" in table and "top tenth" in table
