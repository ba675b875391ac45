"""The plug-ins of docs/extend.md, exactly as printed, installed together and used by name in a process of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import ENCODER, Ground

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")

IN_ONE_PROCESS = """
import contextlib, io, json, os, sys, traceback

out, score, bench, report = json.loads(sys.argv[1])


def command(words):
    from eosin.cli import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(words) == 0, words
    return said.getvalue()


def learned(model):
    import numpy as np
    import toy
    from eosin.metrics import pearson_per_gene

    judged = toy.cohort(60)[-1]
    truth = np.log1p(judged.counts.toarray()[:, [judged.genes.index(g) for g in model[0].panel.names]])
    return float(pearson_per_gene(truth, model[1].mean(0)).mean())


def trained(name, draws, **given):
    import numpy as np
    import toy
    from eosin.engine import load, predict, train

    *seen, judged = toy.cohort(60)
    made = train(seen, model=name, panel="var:6", seed=0, out=os.path.join(out, name), **given)
    drawn = predict(made, judged, draws=draws).draws
    assert np.array_equal(drawn, predict(load(os.path.join(out, name)), judged, draws=draws).draws)
    return made, drawn


def keeps_the_rules(name, n_spots, **given):
    import toy
    from eosin.models import MODELS
    from eosin.models.check import check_model

    entry, training = MODELS[name], toy.training(n_spots)
    check_model(lambda: entry.build(entry.settings.of(given), toy.N_FEATURES, training.panel), training)


def a_model():
    from eosin.models import MODELS

    assert "around" in list(MODELS)
    keeps_the_rules("around", 36)
    return learned(trained("around", 1, settings={"model": {"n_neighbours": 8}}))


def a_loss():
    import numpy as np

    keeps_the_rules("stflow-huber", 20, base="ridge")
    small = {"model": {"width": 16, "edge_width": 16, "n_layers": 1, "base": False}, "train": {"epochs": 8, "lr": 2e-2}}
    plain, huber = (trained(name, 4, settings=small) for name in ("stflow", "stflow-huber"))
    assert not np.allclose(plain[1], huber[1])
    return learned(huber)


answers = {}
for name, ask in {
    "models": lambda: command(["list", "models"]),  # first: before anything has loaded the registry
    "score": lambda: command(score),
    "bench": lambda: command(bench),
    "report": lambda: command(report),
    "model": a_model,
    "loss": a_loss,
}.items():
    try:
        answers[name] = ask()
    except BaseException:
        answers[name] = {"raised": traceback.format_exc()}
print(json.dumps(answers))
"""

PLUG_INS = {"plug-in": "around", "loss": "stflow_huber", "metric plug-in": "hot_spots"}
"""The page's marks of what is installed, and the module that holds it."""


def install(folder: Path, mark: str, module: str) -> None:
    """Put the page's plug-in between two marks, and its entry point, into a folder of installed packages."""
    block = re.search(rf"<!-- {mark} -->\n```python\n(.*?)```\n<!-- end of {mark} -->", PAGE, re.DOTALL)
    entry = re.search(rf'\[project\.entry-points\."(.*?)"\]\n([\w-]+) = "({module}:.*?)"', PAGE)
    assert block and entry, f"docs/extend.md holds no {mark}, or does not say how to name it"
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{module}.py").write_text(block[1], encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2]} = {entry[3]}\n", encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("extended")


@pytest.fixture(scope="module")
def answers(ground: Ground, folder: Path) -> dict[str, Any]:
    """What a process in which all plug-ins are installed says to each question; loading libraries is paid once."""
    site = folder / "site"
    for mark, module in PLUG_INS.items():
        install(site, mark, module)
    beside = ("--features", ground.features, "--encoder", ENCODER, "--models", "ridge", "--genes", "var:5")
    given = (
        folder,
        ("score", ground.prediction, ground.data),
        ("bench", ground.data, *beside, "--split", "A1,A2:B1", "-o", folder / "bench"),
        ("report", folder / "bench" / "scores.json", "-o", folder / "page.html"),
    )
    paths = (site, ROOT / "src", ROOT / "tests")
    done = subprocess.run(
        [sys.executable, "-c", IN_ONE_PROCESS, json.dumps(given, default=str)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def answer(answers: dict[str, Any], name: str) -> Any:
    assert not isinstance(answers[name], dict), answers[name]["raised"]
    return answers[name]


def test_the_command_line_lists_the_model(answers: dict[str, Any]) -> None:
    said = answer(answers, "models")
    assert "around" in said and "linear regression with neighbours" in said


def test_the_model_of_the_page_trains_predicts_and_keeps_the_rules(answers: dict[str, Any]) -> None:
    assert answer(answers, "model") > 0.3  # it learned: the features say much of the toy's counts


def test_the_loss_of_the_page_trains_a_model_that_differs_and_keeps_the_rules(answers: dict[str, Any]) -> None:
    assert answer(answers, "loss") > 0.3


def test_score_bench_and_report_show_the_metric_of_the_page(answers: dict[str, Any], folder: Path) -> None:
    assert re.search(r"^hot_spots: 0\.\d+$", answer(answers, "score"), re.MULTILINE)
    answer(answers, "bench")
    scores = json.loads((folder / "bench" / "scores.json").read_text())
    value = scores["cells"][0]["metrics"]["hot_spots"]
    assert 0 <= value <= 1
    answer(answers, "report")
    table = (folder / "page.html").read_text().split("<h2>Hot spots</h2>")[1].split("</section>")[0]
    assert f"{value:.3f}" in table and "top tenth" in table
