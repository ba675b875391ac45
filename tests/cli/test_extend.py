"""The plug-ins of docs/extend.md, exactly as printed, installed and used by name in a process of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")

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

LOSS_SCRIPT = """
import numpy as np
import toy
from eosin.engine import load, predict, train
from eosin.metrics import pearson_per_gene
from eosin.models import MODELS
from eosin.models.check import check_model

entry = MODELS["stflow-huber"]
training = toy.training(20)
check_model(lambda: entry.build(entry.settings.of({"base": "ridge"}), toy.N_FEATURES, training.panel), training)
*seen, judged = toy.cohort(60)
given = {"model": {"width": 16, "edge_width": 16, "n_layers": 1, "base": False}, "train": {"epochs": 8, "lr": 2e-2}}
made = {name: train(seen, model=name, settings=given, panel="var:6", seed=0, out=OUT + name)
        for name in ("stflow", "stflow-huber")}
plain, huber = (predict(one, judged, draws=4).draws for one in made.values())
assert np.array_equal(huber, predict(load(OUT + "stflow-huber"), judged, draws=4).draws)
assert not np.allclose(plain, huber)
panel = made["stflow"].panel
truth = np.log1p(judged.counts.toarray()[:, [judged.genes.index(g) for g in panel.names]])
print("pcc", pearson_per_gene(truth, huber.mean(0)).mean())
"""


def _install(folder: Path, mark: str, entry_point: int) -> Path:
    """A folder of installed packages that holds the page's plug-in between two marks, and its entry point."""
    block = re.search(rf"<!-- {mark} -->\n```python\n(.*?)```\n<!-- end of {mark} -->", PAGE, re.DOTALL)
    assert block, f"docs/extend.md holds no {mark}"
    entries = re.findall(r'\[project\.entry-points\."(.*?)"\]\n([\w-]+) = "(.*?)"', PAGE)
    assert len(entries) > entry_point, "docs/extend.md does not say how to name the plug-in"
    group, name, target = entries[entry_point]
    module = target.split(":")[0]
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{module}.py").write_text(block[1], encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {target}\n", encoding="utf-8")
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return _install(tmp_path / "site", "plug-in", 0)


@pytest.fixture
def loss_site(tmp_path: Path) -> Path:
    return _install(tmp_path / "loss-site", "loss", 1)


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


def test_the_loss_of_the_page_trains_a_model_that_differs_and_keeps_the_rules(loss_site: Path, tmp_path: Path) -> None:
    out = _run(loss_site, LOSS_SCRIPT.replace("OUT", repr(str(tmp_path / "run-"))))
    assert float(out.split()[-1]) > 0.3
