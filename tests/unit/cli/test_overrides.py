"""Settings on the command line: what belongs to a setting, and what is the next flag."""

from __future__ import annotations

import pytest

from eosin.cli.overrides import over, take


@pytest.mark.parametrize(
    ("line", "kept", "tables"),
    [
        ("--model.move-positions -o run", "-o run", {"model": {"move_positions": True}}),
        ("d --model.move-positions --seed 1", "d --seed 1", {"model": {"move_positions": True}}),
        ("d --model.move-positions", "d", {"model": {"move_positions": True}}),
        ("--model.move-positions false -o run", "-o run", {"model": {"move_positions": False}}),
        ("--model.a --model.b", "", {"model": {"a": True, "b": True}}),
        ("--train.lr -1e-3 -o run", "-o run", {"train": {"lr": -1e-3}}),
        ("--model.n -2 run", "run", {"model": {"n": -2}}),
        ("--model.name=-o run", "run", {"model": {"name": "-o"}}),
        ("train d --calibrate conformal -o r", "train d -o r", {"train": {"calibrate": "conformal"}}),
        ("train d --calibrate=levels", "train d", {"train": {"calibrate": "levels"}}),
        ("calibrate p --calibrate conformal", "calibrate p --calibrate conformal", {}),
        ("--model.n 2 --train.epochs 3 d", "d", {"model": {"n": 2}, "train": {"epochs": 3}}),
    ],
)
def test_a_setting_takes_no_flag_for_its_value(line: str, kept: str, tables: dict) -> None:
    assert take(line.split()) == kept.split()
    assert over({}) == tables
    take([])
