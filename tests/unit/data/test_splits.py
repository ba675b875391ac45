"""Splits: who is on which side, and what leaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from eosin.data import Split, inner_groups, splits
from eosin.errors import EosinError
from eosin.types import Section, Spots
from unit.data.layouts import section

COHORT = [section("A1", "A", 0), section("A2", "A", 1), section("B1", "B", 2), section("C1", "C", 3)]


def test_leave_section_out_tests_each_once_and_says_whose_patient_is_known() -> None:
    made = splits("leave-section-out", COHORT)
    assert [split.test for split in made] == [("A1",), ("A2",), ("B1",), ("C1",)]
    assert made[0].train == ("A2", "B1", "C1")
    assert [split.note for split in made] == ["same-patient", "same-patient", "", ""]


def test_leave_patient_out_holds_all_sections_of_a_patient() -> None:
    made = splits("leave-patient-out", COHORT)
    assert [split.test for split in made] == [("A1", "A2"), ("B1",), ("C1",)]
    assert made[0].train == ("B1", "C1") and not any(split.note for split in made)


def test_given_splits() -> None:
    made = splits(" A1, B1 : A2,C1 ; B1:C1", COHORT)
    assert made == [Split("A1,B1:A2,C1", ("A1", "B1"), ("A2", "C1"), "same-patient"), Split("B1:C1", ("B1",), ("C1",))]


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("A1:A1", "leaks: section 'A1' is on both sides"),
        ("A1,A2:B1,A2", "leaks: section 'A2' is on both sides"),
        ("A1:B2", "no section is called 'B2'; did you mean"),
        ("A1:", "has no section to test on"),
        (":A1", "has no section to train on"),
        ("A1,A1:B1", "names 'A1' twice"),
        ("A1:A2:B1", "has 2 colons"),
        ("leave-one-out", "no split rule is called 'leave-one-out'"),
    ],
)
def test_bad_rules(rule: str, problem: str) -> None:
    with pytest.raises(EosinError, match=problem):
        splits(rule, COHORT)


@pytest.mark.parametrize(
    ("rule", "what"), [("leave-section-out", "section 'A1'"), ("leave-patient-out", "patient 'A'")]
)
def test_nothing_to_leave_out(rule: str, what: str) -> None:
    with pytest.raises(EosinError, match=f"only {what}"):
        splits(rule, COHORT[:1])


def copy_of(one: Section, rows: np.ndarray, genes: np.ndarray) -> Section:
    """The same spots under other names, in another order of spots and genes, moved."""
    taken = one.take(rows)
    assert taken.counts is not None and one.genes is not None
    spots = replace(taken.spots, ids=tuple(f"new{i}" for i in range(len(rows))), xy_um=taken.spots.xy_um + 500)
    names = tuple(one.genes[j] for j in genes)
    return replace(
        taken, name="Z9", patient="Z", spots=spots, counts=sparse.csr_matrix(taken.counts[:, genes]), genes=names
    )


@pytest.mark.parametrize("n_spots", [36, 12])
@pytest.mark.parametrize("rule", ["leave-section-out", "leave-patient-out", "A1:Z9"])
def test_copies_under_another_name_leak(n_spots: int, rule: str) -> None:
    rng = np.random.default_rng(0)
    copied = copy_of(COHORT[0], rng.permutation(36)[:n_spots], rng.permutation(30))
    with pytest.raises(EosinError, match=rf"leaks: {n_spots} spots of test section '(A1|Z9)'"):
        splits(rule, [*COHORT, copied])


@pytest.mark.parametrize(("n_copied", "leaks"), [(3, False), (4, True)])
@pytest.mark.parametrize("rule", ["A1:Z9", "Z9:A1"])
def test_a_crop_is_a_copy_by_its_share_of_the_smaller_section(n_copied: int, rule: str, *, leaks: bool) -> None:
    """30 spots, of which 3 (the limit) or 4 are those of a section of 100."""
    rng = np.random.default_rng(0)
    table = rng.poisson(2.0, (130, 30)) + 1
    rows = np.r_[40 : 40 + n_copied, 100 : 130 - n_copied]
    large, small = (
        replace(
            COHORT[0],
            name=name,
            patient=name[0],
            spots=Spots(rng.uniform(0, 999, (len(counts), 2)), 55.0, tuple(map(str, range(len(counts))))),
            counts=sparse.csr_matrix(counts),
            domains=None,
        )
        for name, counts in (("A1", table[:100]), ("Z9", table[rows]))
    )
    if not leaks:
        assert len(splits(rule, [large, small])) == 1
        return
    with pytest.raises(EosinError, match=f"leaks: {n_copied} spots"):
        splits(rule, [large, small])


def test_copies_on_one_side_do_not_leak() -> None:
    copied = copy_of(COHORT[0], np.arange(36), np.arange(30))
    assert splits("A1,Z9:B1", [*COHORT, copied])[0].train == ("A1", "Z9")


def test_empty_spots_are_no_copies() -> None:
    empty = [replace(one, counts=sparse.csr_matrix((36, 30))) for one in COHORT[:3]]
    assert len(splits("leave-patient-out", empty)) == 2


def test_sections_without_counts_can_be_split() -> None:
    assert len(splits("leave-section-out", [replace(one, counts=None, genes=None) for one in COHORT])) == 4


def test_two_sections_of_one_name_are_refused() -> None:
    with pytest.raises(EosinError, match="two sections are called 'A1'"):
        splits("leave-section-out", [COHORT[0], COHORT[0]])


@pytest.mark.parametrize("rule", ["A1:B1;A1: B1", "leave-section-out(A1,A2,B1);leave-section-out(A1,B1,C1)"])
def test_two_splits_of_one_name_are_refused(rule: str) -> None:
    with pytest.raises(EosinError, match=r"two splits are called '(A1:B1|leave-section-out/A1)'"):
        splits(rule, COHORT)


def test_inner_groups_take_the_widest_level() -> None:
    assert inner_groups(COHORT)[1] == "patient"
    assert inner_groups(COHORT[:2])[1] == "section"
    labels, level = inner_groups(COHORT[:1])
    assert level == "region" and np.bincount(labels[0]).tolist() == [9, 9, 9, 9]


def test_rules_stand_beside_one_another_and_may_name_their_sections():
    made = splits("leave-section-out(A1,A2,B1); C1:A1,A2", COHORT)
    assert [split.name for split in made] == [
        "leave-section-out/A1",
        "leave-section-out/A2",
        "leave-section-out/B1",
        "C1:A1,A2",
    ]
    assert made[0].train == ("A2", "B1")
    with pytest.raises(EosinError, match="no split rule"):
        splits("leave-section-out(A1,A2", COHORT)
    with pytest.raises(EosinError, match="A9"):
        splits("leave-section-out(A1,A9)", COHORT)
