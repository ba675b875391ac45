"""Error bars of trained models: every model has them, they survive a checkpoint, and they see no fitted miss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eosin
import toy
from eosin.engine import load, predict, train
from eosin.engine.out_of_fold import errors_of
from eosin.errors import EosinError
from eosin.genes import target
from eosin.models import MODELS
from eosin.types import Section

SMALL: dict[str, dict[str, Any]] = {
    "histogene": {"width": 8, "n_heads": 2, "head_width": 4, "base": "none"},
    "stflow": {"width": 8, "edge_width": 8, "n_layers": 1, "n_heads": 2, "n_steps": 2, "base": "ridge"},
}


def cohort() -> list[Section]:
    return [toy.section(name, 50) for name in ("A1", "A2", "B1", "B2", "C1")]


@pytest.mark.parametrize("model", ["gene-mean", "ridge", "kernel", "forest", "stflow", "histogene"])
def test_every_kind_of_model_has_error_bars_that_a_checkpoint_keeps(model: str, tmp_path: Path) -> None:
    settings = {"model": SMALL.get(model, {}), "train": {"epochs": 1} if model in SMALL else {}}
    *training, judged = cohort()
    trained = train(training, model=model, settings=settings, panel="var:6", out=tmp_path / "run")
    prediction = predict(trained, judged, draws=2)
    bars = prediction.error_bars
    assert bars is not None and bars.kind == "new patient" and bars.n_patients == 2
    truth = target(judged, trained.panel)
    inside = (truth >= prediction.quantile(0.05)) & (truth <= prediction.quantile(0.95))
    assert inside.mean() > 0.75
    again = predict(load(tmp_path / "run"), judged, draws=2)
    assert np.array_equal(again.sd, prediction.sd) and np.array_equal(again.quantile(0.05), prediction.quantile(0.05))
    known = predict(trained, replace(judged, patient="A"), draws=2).error_bars
    assert known is not None and known.kind == "known patient"


@pytest.mark.parametrize("model", ["ridge", "histogene"])
def test_a_point_model_draws_what_could_be_measured(model: str) -> None:
    *training, judged = [toy.serial(name, seed=i) for i, name in enumerate(("A1", "A2", "A3", "B1"))]
    settings = {"model": SMALL.get(model, {}), "train": {"epochs": 1} if model in SMALL else {}}
    trained = train(training, model=model, settings=settings, panel="var:6")
    assert trained.errors is not None
    made = predict(trained, replace(judged, patient="A"), draws=200)
    bars = made.error_bars
    assert bars is not None and made.draws.shape[0] == 200 and (made.draws >= 0).all() and not made.mirrored
    assert np.array_equal(made.mean, predict(trained, replace(judged, patient="A"), draws=1).mean)
    high = made.mean > 1.5 * bars.scale.max()  # where clipping at 0 takes nothing away
    np.testing.assert_allclose(made.draws.std(0)[high], made.sd[high], rtol=0.3)
    noise = (made.draws - made.mean) / bars.scale
    levels = noise.mean(1, keepdims=True)
    assert levels.std() > 0.1  # a slide is shifted as a whole
    assert np.array_equal(
        predict(trained, judged, draws=3, seed=4).draws, predict(trained, judged, draws=3, seed=4).draws
    )
    assert not np.array_equal(
        predict(trained, judged, draws=3, seed=4).draws, predict(trained, judged, draws=3, seed=5).draws
    )


def test_a_network_that_draws_gets_levels_on_top_and_keeps_its_mean() -> None:
    *training, judged = cohort()
    settings = {"model": {**SMALL["stflow"], "base": "none"}, "train": {"epochs": 1}}
    trained = train(training, model="stflow", settings=settings, panel="var:6")
    assert trained.errors is not None
    own, made = predict(replace(trained, errors=None), judged, draws=16), predict(trained, judged, draws=16)
    np.testing.assert_allclose(made.mean, own.mean, atol=1e-6)
    kept = (made.draws > 0).all(1)  # [k g] where nothing was clipped at 0
    gene = int(kept.sum(0).argmax())
    assert kept[:, gene].sum() > 2
    noise, levels = made.draws - made.mean, (made.draws - made.mean).mean(1)
    theirs = own.draws - own.mean
    stretch = noise.std(1) / theirs.std(1)  # [k g] one number for each gene
    assert np.ptp(stretch[:, gene][kept[:, gene]]) < 1e-3 * stretch.max()
    within = noise - noise.mean(1, keepdims=True) - stretch[:, None] * (theirs - theirs.mean(1, keepdims=True))
    assert np.abs(within.transpose(0, 2, 1)[kept]).max() < 1e-3 * made.sd.max()
    assert levels[kept].std() > 0.1
    assert not made.mirrored


@pytest.mark.parametrize("draws", [1, 3])
def test_the_mean_of_a_network_that_draws_does_not_depend_on_few_draws(draws: int) -> None:
    *training, judged = cohort()
    settings = {"model": {**SMALL["stflow"], "base": "none"}, "train": {"epochs": 1}}
    trained = train(training, model="stflow", settings=settings, panel="var:6")
    few, many = (eosin.predict(trained, judged, draws=n) for n in (draws, 16))
    assert few.n_draws == draws and np.array_equal(few.mean, many.mean)
    assert np.array_equal(few.draws, many.draws[:draws])
    assert not np.array_equal(predict(trained, judged, draws=draws).mean, many.mean)  # a grid takes what it asks for


def test_conformal_intervals_of_a_training_need_nine_patients() -> None:
    settings = {"train": {"calibrate": "conformal"}}
    sections = [toy.section(f"{letter}1", 30) for letter in "ABCDEFGHI"]
    with pytest.raises(EosinError, match="need at least 9 patients, here are 8"):
        train(sections[:8], model="ridge", panel="var:6", settings=settings)
    bars = predict(train(sections, model="ridge", panel="var:6", settings=settings), toy.section("Z1", 30)).error_bars
    assert bars is not None and bars.basis.startswith("distribution-free (conformal) up to 90%")
    levels = predict(train(sections, model="ridge", panel="var:6"), toy.section("Z1", 30)).error_bars
    assert levels is not None and not np.allclose(
        levels.quantile(np.zeros((1, 6)), 0.95), bars.quantile(np.zeros((1, 6)), 0.95)
    )


def test_misses_are_out_of_fold() -> None:
    """A model that learns its training spots by heart must not look exact."""
    sections = cohort()[:4]
    trained = train(sections, model="knn", panel="var:6", settings={"model": {"n_neighbours": [1]}})
    assert trained.errors is not None
    fitted = predict(trained, sections[0]).mean
    assert np.abs(fitted - target(sections[0], trained.panel)).mean() < 1e-5
    noise = np.std(target(sections[0], trained.panel), axis=0)
    assert (trained.errors.new.scale > 0.5 * noise).all()


def test_a_patient_with_several_sections_is_judged_twice() -> None:
    calls = []
    training = toy.training(30)

    class Watched(MODELS["ridge"].build):  # type: ignore[misc, name-defined]
        def some_out_of_fold(self, training: Any, rows: np.ndarray) -> np.ndarray:
            calls.append(np.array(training.groups))
            return super().some_out_of_fold(training, rows)

    model = Watched(MODELS["ridge"].settings.of(), training.batch.features.shape[1], training.panel)
    model.solve(training)
    named = replace(training, batch=replace(training.batch, patients=("A", "A", "B", "B")))
    model.solve(named)
    errors_of(model, lambda: model, named, None)
    by_patient, by_section = calls
    part = named.batch.part_of_spot()
    assert [by_patient[part == p][0] for p in range(4)] == [0, 0, 1, 1]
    assert [by_section[part == p][0] for p in range(4)] == [0, 1, 0, 1]
    calls.clear()
    errors_of(model, lambda: model, replace(training, batch=replace(training.batch, patients=("A",) * 4)), None)
    both, pairs = calls  # sections are held out for both kinds; then two at a time, to see what one section takes off
    assert [both[part == p][0] for p in range(4)] == [0, 1, 2, 3]
    assert [pairs[part == p][0] for p in range(4)] == [0, 0, 1, 1]


def test_unfinished_training_has_none(tmp_path: Path) -> None:
    trained = train(cohort()[:2], model="gene-mean", panel="var:6")
    bare = replace(trained, errors=None)
    bare.save(tmp_path / "run")
    again = load(tmp_path / "run")
    assert again.errors is None and predict(again, cohort()[2]).error_bars is None


def test_a_network_that_adds_nothing_has_the_bars_of_its_base() -> None:
    sections = cohort()[:4]
    base = train(sections, model="ridge", panel="var:6").errors
    settings = {"model": SMALL["stflow"], "train": {"epochs": 1, "least_gain": 1.0}}
    idle = train(sections, model="stflow", panel="var:6", settings=settings)
    assert base is not None and idle.metrics["network"] == "added nothing" and idle.errors is not None
    assert np.allclose(idle.errors.new.scale, base.new.scale)


def test_a_slide_unlike_training_is_told_in_the_prediction_and_refused_where_asked(tmp_path: Path) -> None:
    *training, judged = cohort()
    trained = train(training, model="ridge", panel="var:6", out=tmp_path / "run")
    seen = predict(load(tmp_path / "run"), judged)
    assert seen.likeness is not None and seen.likeness.verdict != "unlike training"
    features = judged.need_features()
    odd = judged.with_features(replace(features, values=3 * features.values + 2))
    told = predict(trained, odd)
    assert told.likeness is not None and told.likeness.verdict == "unlike training"
    assert "unlike training" in told.provenance["remarks"]["slide"]
    with pytest.raises(EosinError, match="unlike training"):
        eosin.predict(trained, odd, strict=True)
    assert eosin.predict(trained, odd).likeness is not None


def test_a_handful_of_training_spots_gives_no_error_bars(caplog: pytest.LogCaptureFixture) -> None:
    """Rather than bars of width 0, or of two misses."""
    few = train([toy.section("A1", 4), toy.section("B1", 5)], model="ridge", panel="var:4")
    assert few.errors is None and "9 training spots: too few to learn error bars from" in caplog.text
    assert not predict(few, toy.section("C1", 30)).has_spread
    assert train([toy.section("A1", 5), toy.section("B1", 5)], model="ridge", panel="var:4").errors is not None


def test_a_prior_of_ones_own_stands_in_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    own = {"source": "my lungs", "patients_common": 9.0, "patients_own": 16.0, "slides_common": 1.0, "slides_own": 3.0}
    *training, judged = [s for s in cohort() if s.patient != "B"]
    one_patient = {"model": "ridge", "panel": "var:6"}
    shipped = train(training, **one_patient)
    mine = train(training, **one_patient, settings={"train": {"level_prior": own}}, out=tmp_path / "run")
    assert len({s.patient for s in training}) == 1
    assert shipped.errors is not None and mine.errors is not None
    ratio = np.square(mine.errors.new.level / shipped.errors.new.level)
    assert np.allclose(ratio, (9 + 16) / (0.26 + 0.53)) and mine.errors.new.common == pytest.approx(9 / 25)
    assert (mine.errors.known.level > 1.5 * shipped.errors.known.level).all()
    bars = predict(load(tmp_path / "run"), judged).error_bars
    assert bars is not None and "(my lungs)" in bars.basis
    weak = train(training, **one_patient, settings={"train": {"level_prior": {**own, "worth": 0.1}}})
    assert weak.errors is not None and (weak.errors.known.level < mine.errors.known.level).all()


@pytest.mark.parametrize("wrong", [{"source": ""}, {"patients_own": -1}, {"worth": 0}, {"patients_all": 1}])
def test_an_impossible_prior_is_refused(wrong: dict[str, Any]) -> None:
    own = {"source": "x", "patients_common": 1, "patients_own": 1, "slides_common": 1, "slides_own": 1, **wrong}
    with pytest.raises(EosinError, match=next(iter(wrong))):
        train(cohort(), model="ridge", panel="var:6", settings={"train": {"level_prior": own}})
