"""Which sections are learned from and which are judged on; and the refusal of splits that leak."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from eosin.config import need_known
from eosin.errors import EosinError
from eosin.geometry import grouped
from eosin.types import Section, first_repeat

LEAVE_SECTION_OUT = "leave-section-out"
LEAVE_PATIENT_OUT = "leave-patient-out"
SAME_PATIENT = "same-patient"
_RULES = (
    f"{LEAVE_SECTION_OUT}, {LEAVE_PATIENT_OUT}, both also as RULE(C2,C3), or TRAIN:TEST as 'C2,C3:C6' (several by ';')"
)

MIN_GENES = 10
"""A spot is recognised by its counts only if it has this many genes: fewer may agree by chance."""
MAX_SHARED = 0.1
"""Share of a section's spots that may have equal counts in another section before it is called a copy."""


@dataclass(frozen=True)
class Split:
    """Sections to train on and sections to test on, by name.

    `validation` are sections that neither side holds; a protocol may choose a model's epoch on them. With `allow_leak`
    a section may be on both sides: for showing what a leak does, and whoever runs it stamps the result.

    `note` is `"same-patient"` where a test section's patient is also in training: scores are then of a new section of
    a known patient, which is easier than a new patient.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    note: str = ""
    validation: tuple[str, ...] = ()
    allow_leak: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "train", tuple(self.train))
        object.__setattr__(self, "test", tuple(self.test))
        object.__setattr__(self, "validation", tuple(self.validation))
        for side, names in (("train", self.train), ("test", self.test)):
            if not names:
                raise EosinError(f"split '{self.name}' has no section to {side} on", fix=f"rules are {_RULES}")
            if len(set(names)) != len(names):
                raise EosinError(f"split '{self.name}' names '{first_repeat(names)}' twice", fix="name it once")
        if not self.allow_leak and (both := sorted(set(self.train) & set(self.test))):
            raise EosinError(f"split '{self.name}' leaks: section '{both[0]}' is on both sides", fix="take it off one")
        if not self.allow_leak and (both := sorted(set(self.validation) & {*self.train, *self.test})):
            raise EosinError(
                f"split '{self.name}' leaks: section '{both[0]}' is for validation and on another side",
                fix="take it off one",
            )


def splits(rule: str, sections: Sequence[Section], *, allow_leak: bool = False) -> list[Split]:
    """Make the splits that a rule stands for.

    Parameters
    ----------
    rule
        `leave-section-out` or `leave-patient-out`, of all sections or of some as `leave-section-out(C2,C3,C4)`;
        or `C2,C3,C4,C5:C6` (train:test). Several by `;`.
    sections
        All sections; names, patients and counts are used.
    allow_leak
        Make the split although test data is also in training; what leaks is for `copies` to say.

    Raises
    ------
    EosinError
        The rule or a section is unknown, there is too little to split, or test data is also in training: the same
        section, or the same spots under another name.
    """
    names = [section.name for section in sections]
    if len(set(names)) != len(names):
        raise EosinError(f"two sections are called '{first_repeat(names)}'", fix="give each its own name")
    made = [
        split
        for part in rule.split(";")
        if part.strip()
        for split in _part(part.strip(), sections, allow_leak=allow_leak)
    ]
    if not made:
        raise EosinError("no split is given", fix=f"rules are {_RULES}")
    need_own_names(made)
    if not allow_leak:
        refuse_copies(made, sections)
    return [noted(split, {section.name: section.patient for section in sections}) for split in made]


def need_own_names(made: Sequence[Split]) -> None:
    """Refuse two splits of one name: their results would be one file.

    Raises
    ------
    EosinError
        Two splits have one name.
    """
    names = [split.name for split in made]
    if len(set(names)) != len(names):
        raise EosinError(f"two splits are called '{first_repeat(names)}'", fix="give each once")


def member_name(split: Split) -> str:
    """Name of a split without its rule: the section or patient left out, whatever slashes its name holds."""
    rule, _, member = split.name.partition("/")
    return member if rule in (LEAVE_SECTION_OUT, LEAVE_PATIENT_OUT) else split.name


def _part(rule: str, sections: Sequence[Section], *, allow_leak: bool) -> list[Split]:
    """The splits of one rule."""
    names = [section.name for section in sections]
    head, bracket, inside = rule.partition("(")
    if ":" in rule:
        return [_given(rule, names, allow_leak=allow_leak)]
    if head not in (LEAVE_SECTION_OUT, LEAVE_PATIENT_OUT) or (bracket and not inside.endswith(")")):
        raise EosinError(f"no split rule is called '{rule}'", fix=f"rules are {_RULES}")
    chosen = [name.strip() for name in inside.removesuffix(")").split(",")] if bracket else names
    for name in chosen:
        need_known(name, names, "section")
    kept = [section for section in sections if section.name in chosen]
    by = "section" if head == LEAVE_SECTION_OUT else "patient"
    owners = [section.name if by == "section" else section.patient for section in kept]
    return _leave_out(owners, [section.name for section in kept], by)


def _given(part: str, names: Sequence[str], *, allow_leak: bool) -> Split:
    sides = [[name.strip() for name in side.split(",") if name.strip()] for side in part.split(":")]
    if len(sides) != 2:
        raise EosinError(f"split '{part}' has {len(sides) - 1} colons", fix="write TRAIN:TEST, several splits by ';'")
    for name in (*sides[0], *sides[1]):
        need_known(name, names, "section")
    return Split(part.replace(" ", ""), tuple(sides[0]), tuple(sides[1]), allow_leak=allow_leak)


def _leave_out(owners: Sequence[str], names: Sequence[str], by: str) -> list[Split]:
    owners_in_order = list(dict.fromkeys(owners))
    if len(owners_in_order) < 2:
        available = f"only {by} '{owners_in_order[0]}'" if owners_in_order else "no sections"
        raise EosinError(
            f"leave-{by}-out needs two {by}s, there is {available}", fix=f"give more {by}s or another rule"
        )
    return [
        Split(
            f"leave-{by}-out/{held_out}",
            tuple(name for name, owner in zip(names, owners) if owner != held_out),
            tuple(name for name, owner in zip(names, owners) if owner == held_out),
        )
        for held_out in owners_in_order
    ]


def noted(split: Split, patient: Mapping[str, str]) -> Split:
    """The split with its note: whether a test section's patient is also in training."""
    known = {patient[name] for name in split.train}
    shared = any(patient[name] in known for name in split.test)
    return replace(split, note=SAME_PATIENT if shared else "")


def refuse_copies(wanted: Sequence[Split], sections: Sequence[Section]) -> None:
    """Raise an `EosinError` where a test section holds the same spots as a training section of another name."""
    prints = count_prints(sections)
    for split in wanted:
        if leaks := copies(split, prints):
            raise EosinError(f"split '{split.name}' leaks: {leaks[0]}", fix="leave one of the two out")


def count_prints(sections: Sequence[Section]) -> dict[str, np.ndarray]:
    """Per section, one number for each spot from its counts; what `copies` compares."""
    return {section.name: _prints(section) for section in sections}


def copies(split: Split, prints: Mapping[str, np.ndarray]) -> list[str]:
    """In words, every pair of a test and another section with the same counts in many spots."""
    leaks = []
    for test in split.test:
        for other, role in (*((n, "training") for n in split.train), *((n, "validation") for n in split.validation)):
            shared = len(np.intersect1d(prints[test], prints[other]))
            if other != test and shared and shared > MAX_SHARED * min(len(prints[test]), len(prints[other])):
                leaks.append(
                    f"{shared} spots of test section '{test}' have the same counts as spots of {role} section '{other}'"
                )
    return leaks


def _prints(section: Section) -> np.ndarray:
    """One number per spot from its counts by gene name; equal for equal spots whatever the order of spots and genes."""
    if section.counts is None or section.genes is None:
        return np.empty(0, dtype=np.uint64)
    digests = [hashlib.blake2b(gene.encode(), digest_size=8).digest() for gene in section.genes]
    weights = np.frombuffer(b"".join(digests), dtype=np.uint64)
    counts = section.counts.astype(np.uint64)
    counts.eliminate_zeros()
    known = np.diff(counts.indptr) >= MIN_GENES
    return np.unique((counts @ weights)[known])  # sums wrap around, which is what a hash may do


def inner_groups(sections: Sequence[Section]) -> tuple[list[np.ndarray], str]:
    """Groups for inner validation (`eosin.geometry.grouping.grouped`) of training sections."""
    return grouped(
        [section.patient for section in sections],
        [section.name for section in sections],
        [section.spots.xy_um for section in sections],
    )
