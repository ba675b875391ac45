"""A patient whom the user names, where the file names none."""

from __future__ import annotations

import pytest

import toy
from eosin.errors import EosinError


def test_a_section_that_names_no_patient_gets_the_one_that_is_said() -> None:
    unknown = toy.section("S1", 12, patient="S1")
    assert unknown.said_to_be_of("P7").patient == "P7" and unknown.said_to_be_of(None) is unknown


def test_a_patient_in_the_file_is_not_overruled() -> None:
    known = toy.section("S1", 12, patient="P1")
    assert known.said_to_be_of("P1") is known
    with pytest.raises(EosinError, match="--patient is 'P7', but section 'S1' is of patient 'P1' by its file"):
        known.said_to_be_of("P7")
