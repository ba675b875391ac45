"""Several processes train the model that one process trains with as many batches a step."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from cli.conftest import ENCODER, Ground, Run

SETTINGS = ["--model.base", "ridge", "--train.epochs", "2", "--train.regions-per-section", "3", "--encoder", ENCODER]
SETTINGS += ["--train.early-stopping", "false", "--train.device", "cpu", "--train.precision", "no"]


def trained(eosin: Run, ground: Ground, out: Path, *more: str) -> tuple[dict[str, np.ndarray], dict]:
    """Weights and metrics of a small training on three sections."""
    given = ["--features", ground.features, "--sections", "A1,A2,B1", "--genes", "var:5", *SETTINGS, *more]
    said = eosin("train", ground.data, "--model", "egnn", "-o", out, *given)
    assert said.code == 0, said.err
    return load_file(out / "model.safetensors"), json.loads((out / "metrics.json").read_text())


def test_two_processes_train_what_one_does_with_two_batches_a_step(eosin: Run, ground: Ground, tmp_path: Path) -> None:
    """Regions, noise, dropout, losses and weights; also on an odd number of regions, whose last batches are unequal."""
    one, of_one = trained(eosin, ground, tmp_path / "one", "--train.accumulate", "2")
    two, of_two = trained(eosin, ground, tmp_path / "two", "--on", "torchrun:2", "--train.accumulate", "2")
    assert set(one) == set(two)
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, atol=1e-5, err_msg=name)
    losses = [[r["loss"] for r in m["history"] if r["loss"] is not None] for m in (of_one, of_two)]
    assert len(losses[0]) >= 2
    np.testing.assert_allclose(*losses, rtol=1e-5)
    single, _ = trained(eosin, ground, tmp_path / "single")
    assert any(np.abs(single[name] - values).max() > 1e-4 for name, values in one.items() if "denoiser" in name)


@pytest.mark.parametrize("on", ["torchrun:0", "torchrun:two", "cluster", "torchrun:"])
def test_another_place_is_refused(on: str, eosin: Run, ground: Ground, tmp_path: Path) -> None:
    said = eosin(
        "train", ground.data, "--features", ground.features, "--encoder", ENCODER, "--on", on, "-o", tmp_path / "out"
    )
    assert said.code == 1 and "--on" in said.err and not (tmp_path / "out").exists()


def test_the_line_of_a_failing_process_is_told_once(ground: Ground, tmp_path: Path) -> None:
    """A model without steps has nothing to share out."""
    given = ["--features", ground.features, "--encoder", ENCODER, "--genes", "var:5", "-o", tmp_path / "out"]
    command = [sys.executable, "-m", "eosin", "train", ground.data, *given, "--model", "ridge", "--on", "torchrun:2"]
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.count("model 'ridge' is solved in one step") == 1 and "Traceback" not in ended.stderr
    assert not (tmp_path / "out").exists()
