"""The published HER2+ sections, as they are on disk beside the checkout."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from eosin.data import inner_groups, read, recognise, splits, write_sections
from eosin.types import Section

HER2ST = Path(__file__).resolve().parents[2] / "../shared/data/her2st"
pytestmark = pytest.mark.skipif(not HER2ST.is_dir(), reason="no real sections in ../shared/data/her2st")


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return read(HER2ST)


def test_spots_patients_and_scale(sections: list[Section]) -> None:
    assert recognise(HER2ST)[0].name == "legacy-st"
    found = {one.name: (one.patient, len(one)) for one in sections}
    expected = {"C2": 187, "C3": 180, "C4": 184, "C5": 181, "C6": 178, "B4": 283}
    assert found == {name: (name[0], n) for name, n in expected.items()}
    for one in sections:
        assert one.image and one.image.path.is_file() and one.image.mpp == pytest.approx(0.735, rel=0.01)
        assert one.genes and len(one.genes) > 15000


def test_counts_agree_with_a_line_by_line_reading(sections: list[Section]) -> None:
    import gzip

    one = next(one for one in sections if one.name == "C5")
    with gzip.open(HER2ST / "ST-cnts" / "C5.tsv.gz", "rt") as text:
        genes = text.readline().rstrip("\n").split("\t")[1:]
        for line in text:
            spot, *values = line.rstrip("\n").split("\t")
            if spot not in one.spots.ids:
                continue
            sums: Counter[str] = Counter()
            for gene, value in zip(genes, values):
                sums[gene] += int(value)
            assert one.counts is not None and one.genes is not None
            row = one.counts[one.spots.ids.index(spot)].toarray()[0]
            assert np.array_equal(row, [sums[gene] for gene in one.genes])


def test_positions_lie_on_the_lattice(sections: list[Section]) -> None:
    """Array and pixel positions are one affine map apart: a wrong join would be off by whole pitches."""
    for one in sections:
        array = np.array([[*map(float, key.split("x")), 1.0] for key in one.spots.ids])
        fitted = array @ np.linalg.lstsq(array, one.spots.xy_um, rcond=None)[0]
        assert np.abs(fitted - one.spots.xy_um).max() < 100, one.name  # half the pitch; the array was printed by hand


def test_labels_are_there(sections: list[Section]) -> None:
    for one in sections:
        assert one.domains and 6 <= len(set(one.domains)) <= 9


def test_round_trip_through_the_native_layout(sections: list[Section], tmp_path: Path) -> None:
    from dataclasses import replace

    chosen = [replace(one, image=None) for one in sections[:2]]
    for one, other in zip(chosen, read(write_sections(chosen, tmp_path / "out"))):
        assert one.fingerprint() == other.fingerprint() and one.domains == other.domains


def test_splits_of_the_two_patients(sections: list[Section]) -> None:
    assert [split.test for split in splits("leave-patient-out", sections)] == [("B4",), ("C2", "C3", "C4", "C5", "C6")]
    assert splits("C2,C3,C4,C5:C6", sections)[0].note == "same-patient"
    assert inner_groups(sections)[1] == "patient"
