"""Encode, train and predict in any order, on disks that fill up, with files that are damaged or deleted in between.

Whatever happened: a command ends well or in one line; where it ends well its output has the bytes of an undisturbed
run, so that damage is never learned from or predicted with; and after whatever happened the way out that the line
names leads to those bytes.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from cli.conftest import ENCODER, Ground, Run, Said
from cli.test_disturbed import CALLS, contents, disturbed

OUTPUTS = {"encode": "features", "train": "run", "predict": "A1.h5ad"}
"""What each verb writes, in the order in which they build on one another."""


class Disturbed(RuleBasedStateMachine):
    """A folder in which a user works; `eosin`, `ground` and `right` are set by the test."""

    eosin: Run
    ground: Ground
    right: dict[str, dict[str, bytes]]
    """Contents of the outputs of an undisturbed run in the same folder."""

    @initialize()
    def begin(self) -> None:
        empty(Path())

    @rule(verb=st.sampled_from(list(OUTPUTS)))
    def run(self, verb: str) -> None:
        """A command that nothing disturbs."""
        self.judge(verb, command(self.eosin, self.ground, verb), wholly=True)

    @rule(verb=st.sampled_from(list(OUTPUTS)), call=st.sampled_from(CALLS), at=st.integers(1, 8))
    def run_on_a_full_disk(self, verb: str, call: str, at: int) -> None:
        """A command whose n-th write fails: what has a name afterwards is as it was, or whole."""
        before = contents(Path(OUTPUTS[verb]))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, call, disturbed(call, at, [0]))
            said = command(self.eosin, self.ground, verb)
        self.judge(verb, said, wholly=False)
        for name, content in contents(Path(OUTPUTS[verb])).items():
            if verb == "train" or name.endswith(".part"):  # what a rerun goes on from, and checks
                continue
            known = (before.get(name), self.right[verb].get(name))
            assert content in known, f"{name} is neither whole nor as it was"

    @rule(which=st.floats(0, 1), where=st.floats(0, 1), bit=st.integers(0, 7))
    def flip_a_bit(self, which: float, where: float, bit: int) -> None:
        """A disk that forgets."""
        if (file := a_file(which)) is not None and (content := bytearray(file.read_bytes())):
            content[round(where * (len(content) - 1))] ^= 1 << bit
            file.write_bytes(content)

    @rule(which=st.floats(0, 1), where=st.floats(0, 1))
    def cut_a_file(self, which: float, where: float) -> None:
        """A copy that was cut off."""
        if (file := a_file(which)) is not None:
            file.write_bytes(file.read_bytes()[: round(where * file.stat().st_size)])

    @rule(which=st.floats(0, 1))
    def delete_a_file(self, which: float) -> None:
        """A user who tidies up."""
        if (file := a_file(which)) is not None:
            file.unlink()

    def judge(self, verb: str, said: Said, *, wholly: bool) -> None:
        """A line that says what is wrong, or the right output; the former only where something was wrong."""
        if said.code != 0:
            assert said.complaint
            inputs = list(OUTPUTS)[: list(OUTPUTS).index(verb) + 1]
            assert not wholly or any(not self.is_right(name) for name in inputs), said.err
        else:
            assert self.is_right(verb), f"{verb} ended well with another output"

    def is_right(self, verb: str) -> bool:
        return contents(Path(OUTPUTS[verb])) == self.right[verb]

    def teardown(self) -> None:
        """In the end all is made again: what a command refuses is removed, as its line says."""
        for verb, output in OUTPUTS.items():
            said = command(self.eosin, self.ground, verb)
            if said.code != 0:
                assert said.complaint
                remove(Path(output))
                said = command(self.eosin, self.ground, verb)
            assert said.code == 0, said.err
            assert self.is_right(verb), verb
        empty(Path())


def command(eosin: Run, ground: Ground, verb: str) -> Said:
    """One verb, in the folder of now, on the outputs of those before it."""
    features = ("--features", "features", "--encoder", ENCODER)
    if verb == "encode":
        return eosin("encode", ground.data, "--encoder", ENCODER, "--sections", "A1,B1", "-o", "features")
    if verb == "train":
        there = ["--resume"] if Path("run").exists() else []
        chosen = ("--model", "knn", "--genes", "var:6", "--sections", "B1", *features)
        return eosin("train", ground.data, *chosen, "-o", "run", *there)
    return eosin("predict", "run", ground.data, "--section", "A1", "--features", "features", "-o", "A1.h5ad")


def a_file(which: float) -> Path | None:
    """One of the files of now, hidden ones too; None where there is none."""
    files = sorted(file for file in Path().rglob("*") if file.is_file() and "eosin-cache" not in file.parts)
    return files[round(which * (len(files) - 1))] if files else None


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def empty(folder: Path) -> None:
    for child in folder.iterdir():
        remove(child)


def disturb(eosin: Run, ground: Ground, *, n_examples: int, n_steps: int) -> None:
    right = {}
    for verb, output in OUTPUTS.items():
        said = command(eosin, ground, verb)
        assert said.code == 0, said.err
        right[verb] = contents(Path(output))
    machine = type("Here", (Disturbed,), {"eosin": staticmethod(eosin), "ground": ground, "right": right})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=n_examples,
            stateful_step_count=n_steps,
            deadline=None,
            database=None,
            derandomize=n_examples < 10,
            phases=[Phase.generate, Phase.shrink] if n_examples < 10 else [Phase.generate],  # to shrink takes an hour
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_few_disturbances(eosin: Run, ground: Ground) -> None:
    disturb(eosin, ground, n_examples=3, n_steps=6)


@pytest.mark.long
def test_many_disturbances(eosin: Run, ground: Ground) -> None:
    disturb(eosin, ground, n_examples=40, n_steps=12)
