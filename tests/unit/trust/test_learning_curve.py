"""Misses of a known patient are those of folds, less what the section that was held out would have taken off them."""

from __future__ import annotations

import numpy as np
import pytest

import toy
from eosin.engine import out_of_fold, train
from eosin.models.parts.patients import SpotOrigins
from eosin.trust.learning_curve import share_left
from eosin.types import Batch


@pytest.mark.parametrize("n", [3, 4, 8])
def test_a_curve_of_the_assumed_form_is_continued(n: int) -> None:
    a, c = 0.7, 0.6
    one, two = (np.full(5, a + c / m) for m in (n - 1, n - 2))
    assert share_left(one, two, np.full(5, n)) == pytest.approx((a + c / n) / (a + c / (n - 1)))


def test_patients_with_unequal_numbers_of_sections_share_one_curve() -> None:
    n = np.array([3, 3, 5, 8])
    one, two, full = (0.7 + 0.6 / m for m in (n - 1, n - 2, n))
    assert share_left(one, two, n) == pytest.approx(full.mean() / one.mean())


def test_the_share_has_bounds() -> None:
    n = np.full(4, 4)
    assert share_left(np.ones(4), np.full(4, 0.5), n) == 1  # fewer sections were better: chance
    assert share_left(np.ones(4), np.full(4, 1e6), n) == pytest.approx(3 / 4)  # all of it is what sections tell
    assert share_left(np.zeros(4), np.ones(4), n) == 1


def test_pairs_of_a_patient_are_held_out_and_one_stays() -> None:
    sections = [toy.section(name, 12) for name in ("A1", "B1", "A2", "A3", "B2", "C1", "A4", "A5")]
    batch = Batch.of(sections)
    patients = np.array([section.patient for section in sections])[batch.part_of_spot()]
    names, patient = np.unique(patients, return_inverse=True)
    origins = SpotOrigins(batch.part_of_spot(), patient, tuple(names), patient, batch.xy_um)
    labels, n_sections = origins.pairs_in_folds(3, 8)
    name = np.array([section.name for section in sections])[batch.part_of_spot()]
    assert {(str(a), int(b), int(n)) for a, b, n in zip(name, labels, n_sections)} == {
        ("A1", 0, 5), ("A2", 0, 5), ("A3", 1, 5), ("A4", 1, 5), ("A5", -1, 5),
        ("B1", -1, 0), ("B2", -1, 0), ("C1", -1, 0),
    }  # fmt: skip
    assert (origins.pairs_in_folds(3, 4)[0] == -1).all()


@pytest.mark.parametrize("model", ["ridge", "kernel", "forest"])
def test_three_sections_of_a_patient_narrow_intervals_of_a_fourth(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sections = [toy.serial(name, seed=i) for i, name in enumerate(("A1", "A2", "A3", "B1"))]
    found = []
    for share in (1.0, 0.81):
        monkeypatch.setattr(out_of_fold, "share_left", lambda *_: share)  # noqa: B023
        errors = train(sections, model=model, panel="var:6").errors
        assert errors is not None
        found.append(errors)
    np.testing.assert_allclose(found[1].known.total, 0.9 * found[0].known.total)
    np.testing.assert_array_equal(found[1].new.total, found[0].new.total)


def test_misses_with_one_and_with_two_sections_held_out_are_of_the_same_spots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of serial sections of one patient, which say the same, two held out miss more than one does."""
    seen: list[tuple[np.ndarray, ...]] = []

    def watched(*given: np.ndarray) -> float:
        seen.append(given)
        return share_left(*given)

    monkeypatch.setattr(out_of_fold, "share_left", watched)
    sections = [toy.serial(name, seed=i) for i, name in enumerate(("A1", "A2", "A3", "A4", "A5"))]
    train(sections, model="ridge", panel="var:6")
    ((one, two, n),) = seen
    assert one.shape == two.shape == n.shape == (sum(len(s) for s in sections[:4]),) and (n == 5).all()
    assert two.mean() > one.mean() and np.corrcoef(one, two)[0, 1] > 0.5
