"""The plug-in of docs/extend.md, exactly as printed, installed and used by name in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import numpy as np
import toy
from eosin.engine import load, predict, train
from eosin.metrics import pearson_per_gene
from eosin.models import MODELS
from eosin.models.check import check_model

assert "around" in list(MODELS)
entry = MODELS["around"]
training = toy.training(36)
check_model(lambda: entry.build(entry.settings(), toy.N_FEATURES, training.panel), training)
*seen, judged = toy.cohort(60)
made = train(seen, model="around", settings={"model": {"n_neighbours": 8}}, panel="var:6", seed=0, out=OUT)
drawn = predict(made, judged).draws
assert np.array_equal(drawn, predict(load(OUT), judged).draws)
truth = np.log1p(judged.counts.toarray()[:, [judged.genes.index(g) for g in made.panel.names]])
print("pcc", pearson_per_gene(truth, drawn.mean(0)).mean())
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages that holds the plug-in and its entry point."""
    page = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- plug-in -->\n```python\n(.*?)```\n<!-- end of plug-in -->", page, re.DOTALL)
    assert block, "docs/extend.md holds no plug-in"
    folder = tmp_path / "site"
    info = folder / "around-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "around.py").write_text(block[1], encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: around\nVersion: 1.0\n", encoding="utf-8")
    toml = re.search(r'\[project\.entry-points\."(.*?)"\]\n(\w+) = "(.*?)"', page)
    assert toml, "docs/extend.md does not say how to name the plug-in"
    (info / "entry_points.txt").write_text(f"[{toml[1]}]\n{toml[2]} = {toml[3]}\n", encoding="utf-8")
    return folder


def _run(site: Path, *arguments: str) -> str:
    path = f"import sys; sys.path[:0] = [{str(site)!r}, {str(ROOT / 'tests')!r}]\n"
    done = subprocess.run(
        [sys.executable, "-c", path + arguments[0], *arguments[1:]], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_plug_in_of_the_page_trains_predicts_and_keeps_the_rules(site: Path, tmp_path: Path) -> None:
    out = _run(site, SCRIPT.replace("OUT", repr(str(tmp_path / "run"))))
    assert float(out.split()[-1]) > 0.3  # it learned: the features say much of the toy's counts


def test_the_command_line_lists_it(site: Path) -> None:
    out = _run(site, "from eosin.cli import main; main()", "list", "models")
    assert "around" in out and "linear regression with neighbours" in out
