"""Turned tiles on the command line: encoded, trained on, and missed in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from cli.conftest import ENCODER, SMALL, Ground, Run
from eosin.features import read_features


def test_files_are_completed_and_trained_on(eosin: Run, ground: Ground, tmp_path: Path) -> None:
    features = Path(shutil.copytree(ground.features, tmp_path / "f"))
    two = ("--sections", "A1", "--sections", "B2")
    given = (ground.data, "--encoder", ENCODER, *two)
    train = ("train", *given, "--features", features, "--genes", "var:4", *SMALL, "--train.augment", "0.5", "-o", "run")
    lacking = eosin(*train).complaint
    assert "train.augment is 0.5" in lacking and "--symmetries" in lacking

    assert eosin("encode", *given, "-o", features, "--symmetries").code == 0
    found = {path.stem: read_features(path, turned=True) for path in features.rglob("*.h5")}
    before = {path.stem: read_features(path) for path in ground.features.rglob("*.h5")}
    assert {name for name, file in found.items() if file.turned is not None} == {"A1", "B2"}
    assert all(np.array_equal(found[name].values, before[name].values) for name in before)

    said = eosin(*train)
    assert said.code == 0, said.err
    assert "augment" in Path("run/config.json").read_text()


def test_a_share_beyond_one_is_refused(eosin: Run, ground: Ground) -> None:
    said = eosin("train", ground.data, "--features", ground.features, "--train.augment", "1.5", "-o", "run")
    assert "augment" in said.complaint
