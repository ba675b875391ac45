"""Test data that is known before the test: every kind is found, refused, and stamped where it is allowed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toy
from eosin.benchmark import measure
from eosin.benchmark.leak import MAX_SHARED_TILES, Known, find_leaks, given_panel
from eosin.data import Split, splits
from eosin.errors import EosinError
from eosin.types import Features, GenePanel, Section
from unit.benchmark.asking import bench

A_TO_B = Split("A1,A2:B1", ("A1", "A2"), ("B1",))


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return toy.cohort(30)


def run(sections: list[Section], out: Path, split: Split, **given: Any) -> list[dict[str, Any]]:
    given = {"models": ["gene-mean"], "genes": "var:4", "draws": 1, **given}
    return bench({"toy": sections}, splits=[split], out=out, **given)["cells"]


def with_tiles_of(taker: Section, giver: Section, n: int) -> Section:
    """The same tissue again: other counts, and the tiles of another section in some spots."""
    assert taker.features is not None and giver.features is not None
    values = np.array(taker.features.values)
    values[:n] = giver.features.values[5 : 5 + n]
    return replace(taker, features=Features(values, "toy", "toy-1"))


def leaky(sections: list[Section], tmp_path: Path) -> dict[str, tuple[list[Section], Split, dict[str, Any]]]:
    file = tmp_path / "genes.json"
    file.write_text(json.dumps({"genes": ["GENE1", "GENE2"], "chosen_on": ["A1", "B1"]}))
    twin = replace(sections[0], name="Z9", patient="Z")
    tiles = [*sections[:2], with_tiles_of(sections[2], sections[0], 10), sections[3]]
    return {
        "same-section": (sections, Split("A1:A1", ("A1",), ("A1",), allow_leak=True), {}),
        "identical-spots": ([*sections, twin], Split("A1:Z9", ("A1",), ("Z9",)), {}),
        "identical-tiles": (tiles, A_TO_B, {}),
        "panel": (sections, A_TO_B, {"genes": GenePanel(("GENE1",), chosen_on=("A1", "B1"))}),
        "panel of a file": (sections, A_TO_B, {"genes": str(file)}),
    }


KINDS = ["same-section", "identical-spots", "identical-tiles", "panel", "panel of a file"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_leak_is_refused_before_training_or_stamped(
    sections: list[Section], tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, split, given = leaky(sections, tmp_path)[kind]
    with monkeypatch.context() as patch:
        patch.setattr(measure, "train", lambda *_, **__: pytest.fail("trained"))
        with pytest.raises(EosinError, match=r"leaks: .*; mend it, or go on with --allow-leak"):
            run(data, tmp_path / "out", split, **given)
    assert not (tmp_path / "out").exists()
    (cell,) = run(data, tmp_path / "out", split, allow_leak=True, **given)
    assert cell["status"] == "done"
    assert any(text.startswith(kind.removesuffix(" of a file")) for text in cell["leak"])


def test_an_honest_split_has_no_stamp_and_another_key_than_a_leaky_one(sections: list[Section], tmp_path: Path) -> None:
    (honest,) = run(sections, tmp_path, A_TO_B, genes="GENE1")
    assert "leak" not in honest
    leak = GenePanel(("GENE1",), chosen_on=("B1",))
    (stamped,) = run(sections, tmp_path, A_TO_B, genes=leak, allow_leak=True)
    assert stamped["key"] != honest["key"]


def test_blank_glass_is_no_leak(sections: list[Section]) -> None:
    """Tiles that repeat within a section, and a single one, may be equal by chance."""
    assert sections[0].features is not None
    blank = sections[0].features.values[3]
    glass = []
    for section in sections:
        assert section.features is not None
        values = np.array(section.features.values)
        values[:8] = blank
        glass.append(replace(section, features=Features(values, "toy", "toy-1")))
    assert find_leaks(A_TO_B, Known([glass])) == []
    one = [*sections[:2], with_tiles_of(sections[2], sections[0], 1), sections[3]]
    assert find_leaks(A_TO_B, Known([one])) == []


def test_several_kinds_of_blank_glass_are_no_leak(sections: list[Section]) -> None:
    """Each kind repeats within its section, also a tile that is there only twice."""
    giver = sections[0].need_features().values
    glass = []
    for section in sections:
        values = np.array(section.need_features().values)
        for kind in range(5):
            values[2 * kind : 2 * kind + 2] = giver[20 + kind]
        glass.append(replace(section, features=Features(values, "toy", "toy-1")))
    assert find_leaks(Split("A2:B1", ("A2",), ("B1",)), Known([glass])) == []


@pytest.mark.parametrize(("n_small", "leaks"), [(150, True), (200, False)])
@pytest.mark.parametrize("small_is_tested", [True, False])
def test_the_share_is_that_of_the_smaller_section(n_small: int, *, leaks: bool, small_is_tested: bool) -> None:
    """A crop of a large section is nearly all in it, however small its part of it; the limit itself is allowed."""
    n_shared, n_large = 2, 500
    assert (n_shared > MAX_SHARED_TILES * n_small) == leaks and n_shared < MAX_SHARED_TILES * n_large
    large = toy.section("A1", n_large)
    small = with_tiles_of(toy.section("B1", n_small), large, n_shared)
    split = Split("x", ("A1",), ("B1",)) if small_is_tested else Split("x", ("B1",), ("A1",))
    found = find_leaks(split, Known([[large, small]]))
    assert [leak.kind for leak in found] == ["identical-tiles"] * leaks


def test_a_patient_who_is_only_in_validation_is_known(sections: list[Section]) -> None:
    split = Split("x", ("B1",), ("A2",), validation=("A1",))
    assert [leak.kind for leak in find_leaks(split, Known([sections]), unseen_patients=True)] == ["same-patient"]


def test_the_genes_of_a_hest_task_were_chosen_on_all_its_sections(sections: list[Section], tmp_path: Path) -> None:
    file = tmp_path / "var_50genes.json"
    file.write_text(json.dumps({"genes": ["GENE1", "GENE2"]}))
    names = [section.name for section in sections]
    assert given_panel(str(file), names) is None
    (tmp_path / "splits").mkdir()
    panel = given_panel(str(file), names)
    assert panel is not None and panel.names == ("GENE1", "GENE2") and panel.chosen_on == ("A1", "A2", "B1", "B2")
    assert [leak.kind for leak in find_leaks(A_TO_B, Known([sections]), panel=panel)] == ["panel"]


def test_validation_sections_are_a_side_of_their_own(sections: list[Section]) -> None:
    tiles = [*sections[:2], with_tiles_of(sections[2], sections[1], 10), sections[3]]
    split = Split("x", ("A1",), ("B1",), validation=("A2",))
    assert [leak.kind for leak in find_leaks(split, Known([tiles]))] == ["identical-tiles"]
    with pytest.raises(EosinError, match="for validation and on another side"):
        Split("x", ("A1",), ("B1",), validation=("A1",))


def test_known_patients_are_stamped_or_refused_where_the_protocol_claims_none(sections: list[Section]) -> None:
    split = Split("A1:A2", ("A1",), ("A2",))
    assert find_leaks(split, Known([sections])) == []
    assert [leak.kind for leak in find_leaks(split, Known([sections]), unseen_patients=True)] == ["same-patient"]
    assert find_leaks(A_TO_B, Known([sections]), unseen_patients=True) == []


def test_a_hand_made_split_is_noted_too(sections: list[Section], tmp_path: Path) -> None:
    assert run(sections, tmp_path, Split("A1:A2", ("A1",), ("A2",)))[0]["note"] == "same-patient"
    assert run(sections, tmp_path, A_TO_B)[0]["note"] == ""


def test_a_rule_makes_leaky_splits_only_when_told_to(sections: list[Section]) -> None:
    with pytest.raises(EosinError, match="is on both sides"):
        splits("A1,A2:A2", sections)
    (made,) = splits("A1,A2:A2", sections, allow_leak=True)
    assert (made.train, made.test) == (("A1", "A2"), ("A2",))
    twin = replace(sections[0], name="Z9", patient="Z")
    assert splits("A1:Z9", [*sections, twin], allow_leak=True)[0].test == ("Z9",)
