"""Intervals for any tool's predictions: learned from patients whose truth is known, refused where they do not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from eosin.errors import EosinError
from eosin.genes import target
from eosin.metrics import coverage_of_bars
from eosin.trust import Calibration
from eosin.types import ErrorBars, GenePanel, Prediction, Section, Spots

GENES = tuple(f"G{j}" for j in range(6))


def measured(name: str, patient: str, seed: int, n: int = 80, level: float = 0.4) -> Section:
    """Counts around a smooth map, and a level of each gene that is the patient's own."""
    rng, of_patient = np.random.default_rng(seed), np.random.default_rng(sum(map(ord, patient)) * 7)
    xy = np.stack(np.meshgrid(np.arange(10), np.arange(n // 10)), -1).reshape(-1, 2) * 100.0
    rates = np.exp(2.0 + signal(xy) + of_patient.normal(0, level, size=len(GENES)))
    spots = Spots(xy, 55.0, tuple(f"{name}-{i}" for i in range(n)))
    return Section(name, patient, spots, counts=sparse.csr_matrix(rng.poisson(rates)), genes=GENES)


def signal(xy: np.ndarray) -> np.ndarray:
    return 0.6 * np.sin(np.outer(xy[:, 0] / 300, np.arange(1, 7)) + xy[:, 1:] / 400)


def predicted(section: Section, offset: float = 0.0, **facts: object) -> Prediction:
    """What a tool says that knows the map and is `offset` too low."""
    values = np.log1p(np.exp(2.0 + signal(section.spots.xy_um))) - offset
    return Prediction(section.name, section.spots, GenePanel(GENES), values[None], "tool", 0, provenance=facts)


def cohort(n_patients: int, first: int = 0) -> list[tuple[Prediction, Section]]:
    sections = [measured(f"S{p}", f"patient {p}", seed=p) for p in range(first, first + n_patients)]
    return [(predicted(s, 0.7), s) for s in sections]


def test_new_patients_are_covered_and_the_mean_is_mended() -> None:
    calibration = Calibration.learn(cohort(8))
    inside, before, after = [], [], []
    for prediction, section in cohort(12, first=50):
        done = calibration.apply(prediction)
        truth = target(section, calibration.panel)
        assert done.error_bars is not None and done.error_bars.n_patients == 8
        inside.append(coverage_of_bars(truth, done.mean, done.error_bars, 0.9))
        before.append(np.square(truth - prediction.mean).mean())
        after.append(np.square(truth - done.mean).mean())
    assert 0.85 < np.mean(inside) < 0.97
    assert np.mean(after) < 0.6 * np.mean(before)
    np.testing.assert_allclose(calibration.offset, 0.7, atol=0.3)


def test_conformal_needs_nine_patients_and_says_how_many_there_are() -> None:
    with pytest.raises(EosinError, match="need at least 9 patients, here are 8"):
        Calibration.learn(cohort(8), conformal=True)
    calibration = Calibration.learn(cohort(9), conformal=True)
    assert calibration.errors.new.basis == "distribution-free (conformal) up to 90%, patients as units: 9 of them"
    inside = []
    for prediction, section in cohort(12, first=50):
        done = calibration.apply(prediction)
        assert done.error_bars is not None
        inside.append(coverage_of_bars(target(section, calibration.panel), done.mean, done.error_bars, 0.9))
    assert np.mean(inside) > 0.9
    levels = Calibration.learn(cohort(9)).apply(cohort(1, first=50)[0][0])
    assert np.abs(levels.sd - done.sd).max() > 1e-3


def test_one_patient_is_told_as_a_prior() -> None:
    calibration = Calibration.learn(cohort(1))
    assert "one calibration patient does not tell" in calibration.errors.new.basis


def test_two_slides_of_a_patient_count_as_one_patient() -> None:
    pairs = [(predicted(s), s) for s in (measured(f"S{i}", f"p{i // 2}", seed=i) for i in range(18))]
    with pytest.raises(EosinError, match="need at least 9 patients, here are 8"):
        Calibration.learn(pairs[:16], conformal=True)
    assert Calibration.learn(pairs, conformal=True).made_of["patients"] == [f"p{i}" for i in range(9)]


def test_verdicts_say_which_maps_hold() -> None:
    pairs = cohort(4)
    shuffled = []
    for prediction, section in pairs:
        values = prediction.draws.copy()
        values[0, :, 2] = np.random.default_rng(0).permutation(values[0, :, 2])
        shuffled.append((replace(prediction, draws=values), section))
    done = Calibration.learn(shuffled).apply(cohort(1, first=50)[0][0])
    assert done.trust is not None
    assert done.trust.verdicts[2] == "no" and done.trust.verdicts.count("map") >= 4


@pytest.mark.parametrize(
    ("facts", "other", "message"),
    [
        ({"encoder_key": "a"}, {"encoder_key": "b"}, "differ in their encoder"),
        ({"model": "stem"}, {"model": "flag"}, "differ in their model"),
    ],
)
def test_predictions_made_in_two_ways_are_refused(facts: dict, other: dict, message: str) -> None:
    (_, one), (_, two) = cohort(2)
    pairs = [(predicted(one, **facts), one), (predicted(two, **other), two)]
    with pytest.raises(EosinError, match=message):
        Calibration.learn(pairs)
    with pytest.raises(EosinError, match="the calibration is of"):
        Calibration.learn(pairs[:1]).apply(pairs[1][0])


def test_what_cannot_be_calibrated_is_refused() -> None:
    (prediction, section), (other, second) = cohort(2)
    with pytest.raises(EosinError, match="no prediction to calibrate"):
        Calibration.learn([])
    with pytest.raises(EosinError, match="given twice"):
        Calibration.learn([(prediction, section)] * 2)
    with pytest.raises(EosinError, match="was trained on"):
        Calibration.learn([(replace(prediction, provenance={"trained_on": [section.name]}), section)])
    scaled = replace(prediction, panel=GenePanel(GENES, "log1p_cp10k"))
    with pytest.raises(EosinError, match="differ in their scale"):
        Calibration.learn([(scaled, section), (other, second)])
    renamed = other.of_genes([0], GenePanel(("ELSE",)))
    with pytest.raises(EosinError, match="no gene in common"):
        Calibration.learn([(prediction, section), (renamed, second)])
    with pytest.raises(EosinError, match="first 'ELSE'"):
        Calibration.learn([(prediction, section)]).apply(renamed)


def test_order_of_spots_and_genes_does_not_matter() -> None:
    pairs = cohort(3)
    turned = [(p.of_spots(np.arange(len(p.spots))[::-1]), s) for p, s in pairs]
    one, other = Calibration.learn(pairs), Calibration.learn(turned)
    np.testing.assert_allclose(one.offset, other.offset, atol=1e-9)
    np.testing.assert_allclose(one.errors.new.total, other.errors.new.total, atol=1e-9)
    new = cohort(1, first=50)[0][0]
    columns = [5, 0, 3]
    some = one.apply(new.of_genes(columns, GenePanel(tuple(GENES[j] for j in columns))))
    np.testing.assert_allclose(some.mean, one.apply(new).mean[:, columns])
    np.testing.assert_allclose(some.sd, one.apply(new).sd[:, columns])


def test_it_comes_back_from_its_arrays() -> None:
    calibration, new = Calibration.learn(cohort(9), conformal=True), cohort(1, first=50)[0][0]
    again = Calibration.of(calibration.arrays(), calibration.facts())
    assert np.array_equal(again.apply(new).mean, calibration.apply(new).mean)
    assert np.array_equal(again.apply(new).quantile(0.05), calibration.apply(new).quantile(0.05))


def test_what_is_calibrated_is_not_calibrated_again() -> None:
    pairs = cohort(3)
    calibration = Calibration.learn(pairs[:2])
    done = calibration.apply(pairs[2][0])
    with pytest.raises(EosinError, match="'S2' is calibrated already"):
        calibration.apply(done)
    with pytest.raises(EosinError, match="'S2' is calibrated already"):
        Calibration.learn([(done, pairs[2][1])])


def test_adapted_and_unadapted_predictions_are_two_kinds() -> None:
    (_, one), (_, two) = cohort(2)
    plain = predicted(one, model="kernel")
    adapted = predicted(two, model="kernel", adapted_to=[{"name": "S9", "patient": "patient 1", "n_spots": 10}])
    more = predicted(two, model="kernel", adapted_to=[{"name": "S9", "patient": "patient 1", "n_spots": 30}])
    with pytest.raises(EosinError, match="'not adapted' and 'adapted to 10 measured spots'"):
        Calibration.learn([(plain, one), (adapted, two)])
    for learned, other in ((plain, adapted), (adapted, plain), (adapted, more)):
        section = one if learned is plain else two
        with pytest.raises(EosinError, match="the calibration is of way"):
            Calibration.learn([(learned, section)]).apply(other)


def test_a_patient_who_was_trained_on_is_no_new_one() -> None:
    prediction, section = cohort(2)[0]
    bars = ErrorBars(np.ones(len(GENES)), np.array([0.1, 0.9]), np.array([-1.0, 1.0]), 0.0, "known patient", 2)
    known = replace(prediction, error_bars=bars)
    with pytest.raises(EosinError, match="patient 'patient 0' of section 'S0' was trained on"):
        Calibration.learn([(known, section)])
    adapted = replace(known, provenance={"adapted_to": [{"name": "S7", "patient": "patient 0", "n_spots": 9}]})
    assert Calibration.learn([(adapted, section)]).errors.new.basis  # known by its measured spots only


def test_a_known_patient_is_said_where_a_calibration_is_applied(caplog: pytest.LogCaptureFixture) -> None:
    pairs = cohort(3)
    bars = ErrorBars(np.ones(len(GENES)), np.array([0.1, 0.9]), np.array([-1.0, 1.0]), 0.0, "known patient", 2)
    calibration = Calibration.learn(pairs[:2])
    calibration.apply(pairs[2][0])
    assert "was trained on" not in caplog.text
    calibration.apply(replace(pairs[2][0], error_bars=bars))
    assert "S2: its patient was trained on" in caplog.text


@pytest.mark.parametrize("n", [1, 9])
def test_a_handful_of_spots_is_not_calibrated_on(n: int) -> None:
    pairs = cohort(2)
    few = [(p.of_spots(np.arange(n)), s) for p, s in pairs]
    with pytest.raises(EosinError, match=f"{n} spots? of section 'S0' cannot be calibrated on"):
        Calibration.learn(few)
    enough = Calibration.learn([(p.of_spots(np.arange(10)), s) for p, s in pairs])
    assert (enough.errors.new.total > 0.05).all()


def test_genes_that_were_not_calibrated_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    pairs = cohort(3)
    calibration = Calibration.learn([(p.of_genes([1, 3], GenePanel(("G1", "G3"))), s) for p, s in pairs[:2]])
    done = calibration.apply(pairs[2][0])
    assert done.panel.names == ("G1", "G3")
    np.testing.assert_allclose(done.mean, np.maximum(pairs[2][0].mean[:, [1, 3]] + calibration.offset, 0), rtol=1e-6)
    assert "S2: 4 genes left out that the calibration lacks, first 'G0'" in caplog.text


def test_several_draws_are_drawn_again_around_the_new_mean() -> None:
    pairs = cohort(4)
    calibration = Calibration.learn(pairs[:3])
    prediction = pairs[3][0]
    several = replace(prediction, draws=np.repeat(prediction.draws, 200, axis=0), centre=prediction.mean)
    turned = several.of_genes([4, 0], GenePanel(("G4", "G0")))
    done = calibration.apply(turned)
    assert done.n_draws == 200
    np.testing.assert_allclose(done.draws.std((0, 1)) ** 2, done.sd[0] ** 2 + done.mean.std(0) ** 2, rtol=0.35)
    assert np.abs(done.draws.mean(0) - done.mean).max() < 0.5
    assert calibration.apply(prediction).n_draws == 1


def test_the_basis_speaks_of_calibration_patients() -> None:
    assert "levels of 3 calibration patients" in Calibration.learn(cohort(3)).errors.new.basis
