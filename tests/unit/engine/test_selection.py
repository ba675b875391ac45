"""Which epoch is kept: the rules, the untrained model as a candidate, and sections that choose from outside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch

import toy
from eosin.engine import TrainSettings, Validation, predict, train
from eosin.engine.epochs import SELECT, Progress
from eosin.engine.selection import RULES, HeldOut
from eosin.errors import EosinError
from eosin.metrics import crps, mean_defined, pcc_counted
from eosin.models import MODELS, Learned
from eosin.types import Batch, Features, Section

NETWORK = {"width": 16, "edge_width": 16, "n_layers": 1, "n_components": 4}
ALONE = {**NETWORK, "base": False}


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return toy.cohort(30)


def run(sections: list[Section], model: dict[str, Any], given: dict[str, Any], **more: Any) -> Any:
    settings = {"model": model, "train": {"epochs": 4, "regions_per_section": 2, **given}}
    return train(sections, settings=settings, panel="var:4", seed=2, **more)


def same_weights(one: Any, other: Any) -> bool:
    ours, theirs = one.model.arrays(), other.model.arrays()
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[k].numpy(), theirs[k].numpy()) for k in ours)


def test_every_rule_can_be_asked_for() -> None:
    assert set(get_args(TrainSettings.model_fields["select"].annotation)) == set(RULES)


def test_rules_prefer_what_is_better() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(80, 3))
    truth = signal + rng.normal(0, 0.5, (80, 3))
    good, noisy = (signal + rng.normal(0, sd, (16, 80, 3)) for sd in (0.5, 3.0))
    for rule in RULES.values():
        assert rule.score(rule.measure(truth, good)) > rule.score(rule.measure(truth, noisy))
    narrow = np.repeat(signal[None], 16, 0)  # the same mean without its error bars
    by_crps = RULES["crps"]
    assert by_crps.score(by_crps.measure(truth, good)) > by_crps.score(by_crps.measure(truth, narrow))
    assert RULES["pcc"].measure(truth, np.ones((2, 80, 3))) == 0  # what cannot be told counts as 0


def test_the_first_of_equals_is_best_and_an_untrained_best_does_not_end_the_search() -> None:
    progress = Progress(SELECT, 9)
    assert progress.note(0.5)
    for progress.epoch, score in ((1, 0.2), (2, 0.4), (3, 0.5)):
        assert not progress.note(score)
    assert (progress.best_epoch, progress.gain_epoch) == (0, 3)
    progress.epoch = 4
    assert progress.note(0.6) and progress.best_epoch == 4


def test_an_untrained_model_stays_the_best_until_an_epoch_is_better_by_the_least_gain() -> None:
    progress = Progress(SELECT, 9)
    progress.note(0.5, 0.1)
    for progress.epoch, score in ((1, 0.55), (2, 0.6)):
        assert not progress.note(score, 0.1)
    assert progress.best_epoch == 0 and progress.gain_epoch == 2
    for progress.epoch, score in ((3, 0.61), (4, 0.62)):  # among trained ones any gain counts
        assert progress.note(score, 0.1)
    assert Progress(SELECT, 9, epoch=1).note(0.2, 0.1)  # without a base the first epoch is the best


@pytest.mark.parametrize(("least_gain", "is_idle"), [(0.0, False), (10.0, True)])
def test_the_least_gain_decides_whether_a_network_takes_part(
    sections: list[Section], monkeypatch: pytest.MonkeyPatch, least_gain: float, *, is_idle: bool
) -> None:
    left = [0.5, 0.51, *[0.4] * 20]
    monkeypatch.setattr(HeldOut, "measure", lambda *_: {"pcc": left.pop(0)})
    trained = run(sections[:3], {**NETWORK, "base": "ridge"}, {"epochs": 3, "least_gain": least_gain})
    assert (trained.metrics.get("network") == "added nothing") == is_idle


@pytest.mark.parametrize(("patience", "scores", "n_epochs"), [(1, [3, 3], 2), (2, [3, 2, 4, 1, 1], 5), (3, [1], 4)])
def test_patience_counts_the_epochs_without_a_gain(
    sections: list[Section], monkeypatch: pytest.MonkeyPatch, patience: int, scores: list[float], n_epochs: int
) -> None:
    """The run ends after so many epochs that are no better than the best before them."""
    left = [*scores, *[0.0] * 9]
    monkeypatch.setattr(HeldOut, "measure", lambda *_: {"pcc": float(left.pop(0))})
    given = {"epochs": 9, "patience": patience, "refit": False}
    history = run(sections, ALONE, given).metrics["history"]
    assert [r["epoch"] for r in history] == list(range(1, n_epochs + 1))


def test_a_rule_is_given_the_draws_that_it_needs() -> None:
    """`crps` of two draws would prefer the narrowest distribution."""
    training, asked = toy.training(12), []
    model = toy.solved("gene-mean", training)

    class Counting:
        prepare = staticmethod(model.prepare)

        def eval(self) -> None:
            pass

        def draw(self, context: Any, n_draws: int, rng: torch.Generator) -> torch.Tensor:
            asked.append(n_draws)
            return model.draw(context, n_draws, rng)

    for name in ("pcc", "crps"):
        HeldOut.group(training, RULES[name], 2).measure(Counting())  # pyright: ignore[reportArgumentType]
    assert asked == [2, 16]


def test_candidates_are_spread_evenly_and_end_at_the_last_epoch() -> None:
    assert Validation([], candidates=3).epochs(11) == {4, 7, 11}  # 3.7, 7.3, 11
    assert Validation([], candidates=9).epochs(4) == {1, 2, 3, 4}
    assert Validation([]).epochs(4) is None


def test_history_has_what_chose(sections: list[Section]) -> None:
    by = {name: run(sections, ALONE, {"select": name}).metrics for name in RULES}
    for name, metrics in by.items():
        judged = [r for r in metrics["history"] if r["phase"] == "select"]
        best = max(judged, key=lambda r: RULES[name].score(r[f"{name}_held_out"]))
        assert metrics["selected_by"] == name
        assert (metrics["epochs"], metrics[f"{name}_held_out"]) == (best["epoch"], best[f"{name}_held_out"])
        assert metrics["pcc_held_out"] == best["pcc_held_out"]
    assert "crps_held_out" not in by["pcc"]
    unjudged = run(sections, ALONE, {"early_stopping": False, "epochs": 1}).metrics
    assert unjudged["selected_by"] is None and unjudged["pcc_held_out"] is None


@pytest.mark.parametrize("after", ["refit", "keep"])
def test_a_network_that_only_harms_is_refused(
    sections: list[Section], after: str, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """With a step as wide as this one, every epoch is worse than the base; then the base is what is left, and said."""
    harmed = {"lr": 30.0, "ema": 0.0, "clip": 1e6, "refit": after == "refit", "patience": 2}
    trained = run(sections[:3], NETWORK, harmed, out=tmp_path / "run")
    first, *others = [r["pcc_held_out"] for r in trained.metrics["history"] if r["phase"] == "select"]
    assert trained.metrics["history"][0]["epoch"] == 0 and trained.metrics["history"][0]["loss"] is None
    assert others and max(others) < first == trained.metrics["pcc_held_out"]
    assert trained.metrics["epochs"] == 0
    ours, base = predict(trained, sections[3], draws=16), train(sections[:3], model="kernel", panel=trained.panel)
    if after == "refit":  # else the base has seen fewer sections; one number per gene is added in either case
        assert np.ptp(ours.mean - predict(base, sections[3]).mean, axis=0).max() < 1e-3
    note = trained.metrics["network_note"]
    assert trained.metrics["network"] == "added nothing" and "its base 'kernel'" in note
    assert note in (tmp_path / "run" / "README.md").read_text() and note in caplog.text
    assert ours.provenance["remarks"]["network"] == note
    again = run(sections[:3], NETWORK, harmed, out=tmp_path / "run", resume=True)
    assert same_weights(trained, again)


def test_a_network_that_helps_is_not_called_idle(sections: list[Section]) -> None:
    for model, train_settings in ((ALONE, {}), (NETWORK, {"early_stopping": False})):
        trained = run(sections[:3], model, train_settings)
        assert trained.metrics["epochs"] > 0 and "network" not in trained.metrics


@pytest.mark.parametrize("name", [n for n in MODELS if "base" in MODELS[n].settings.model_fields])
def test_what_starts_from_a_base_does(name: str, sections: list[Section]) -> None:
    """An untrained one predicts its ridge, whatever the network, and without a base it does not claim to."""
    training, entry = toy.training(30), MODELS[name]
    few = {"base": "ridge"} | ({"n_steps": 2} if "n_steps" in entry.settings.model_fields else {})
    model: Any = entry.build(entry.settings.of(few), training.batch.features.shape[1], training.panel)
    bare: Any = entry.build(entry.settings.of({"base": False}), training.batch.features.shape[1], training.panel)
    assert isinstance(model, Learned) and model.starts_from_base and not bare.starts_from_base
    model.observe(training)
    model.eval()
    with torch.no_grad():
        drawn = model.draw(model.prepare(replace(training.batch, training_rows=None)), 2, torch.Generator())
    ridge = model.base.predict(training.batch)
    assert pcc_counted(ridge, drawn.mean(0).numpy()).min() > 0.99


@pytest.mark.parametrize("model", [ALONE, NETWORK])
def test_one_run_chooses_as_a_run_for_each_candidate_would(sections: list[Section], model: dict[str, Any]) -> None:
    inside, outside = sections[:2], sections[2:]
    validate = Validation(outside, candidates=2, draws=3, seed=5)
    found = run(inside, model, {"lr": 0.02}, validate=validate)
    scores = {}
    for epochs in (2, 4):
        alone = run(inside, model, {"lr": 0.02, "epochs": epochs, "early_stopping": False})
        each = [predict(alone, section, draws=3, seed=5).mean for section in outside]
        truth = [section.expression(alone.panel.names) for section in outside]
        scores[epochs] = np.mean([mean_defined(pcc_counted(np.log1p(t), p)) for t, p in zip(truth, each)])
        if epochs == found.metrics["epochs"]:
            assert same_weights(found, alone)
    judged = {r["epoch"]: r["pcc_held_out"] for r in found.metrics["history"] if "pcc_held_out" in r}
    assert {epoch: judged[epoch] for epoch in scores} == pytest.approx(scores, abs=1e-6)
    assert set(judged) == ({0, 2, 4} if "base" not in model else {2, 4})
    assert found.metrics["epochs"] == max(judged, key=lambda epoch: judged[epoch])
    assert found.metrics["pcc_held_out"] == max(judged.values())


def test_sections_outside_may_choose_by_crps_among_all_epochs(sections: list[Section]) -> None:
    found = run(sections[:2], ALONE, {"select": "crps"}, validate=Validation(sections[2:3], draws=16, seed=1))
    judged = {r["epoch"]: r["crps_held_out"] for r in found.metrics["history"]}
    assert list(judged) == [1, 2, 3, 4]
    assert found.metrics["epochs"] == min(judged, key=lambda epoch: judged[epoch])
    drawn = predict(replace(found, errors=None), sections[2], draws=16, seed=1).draws  # without levels of the slide
    truth = np.log1p(sections[2].expression(found.panel.names))
    assert crps(truth, drawn) == pytest.approx(found.metrics["crps_held_out"], abs=1e-6)


def test_sections_that_cannot_choose_are_refused(sections: list[Section]) -> None:
    features = sections[2].need_features().values
    other = sections[2].with_features(Features(features, "toy", "toy-2"))
    bare = replace(sections[2], counts=None, genes=None)
    for validate, says in (
        (Validation([]), "no sections to choose the epoch on"),
        (Validation([other]), "which is to choose the epoch, has features of encoder 'toy' \\(toy-2\\)"),
        (Validation([bare]), "section 'B1' has no counts"),
        (Validation(sections[2:], candidates=0), "0 candidates"),
    ):
        with pytest.raises(EosinError, match=says):
            run(sections[:2], ALONE, {}, validate=validate)


def test_the_scale_of_misses_is_their_sd_within_parts_and_not_their_level(sections: list[Section]) -> None:
    """Misses of 3, sd 2 in one part, of -40, sd 1 in a part half as long: pooled over spots, each mean costs one."""
    rng = np.random.default_rng(4)
    misses = [3 + 2 * rng.normal(size=(30, 4)), -40 + rng.normal(size=(15, 4))]
    batches = [Batch.of([section]) for section in sections[:2]]

    class Tens:
        def eval(self) -> None:
            pass

        def prepare(self, batch: Batch) -> int:
            return next(i for i, each in enumerate(batches) if each is batch)

        def draw(self, part: int, n_draws: int, rng: torch.Generator) -> torch.Tensor:
            around = torch.linspace(-1, 1, n_draws)[:, None, None]  # the mean of the draws is 10
            return torch.full((n_draws, *misses[part].shape), 10.0) + around

    held_out = HeldOut(tuple((b, 10 + m) for b, m in zip(batches, misses)), RULES["pcc"], draws=3)
    found = held_out.scale_of_misses(Tens())  # pyright: ignore[reportArgumentType]
    squares = sum(np.square(m - m.mean(0)).sum(0) for m in misses)
    np.testing.assert_allclose(found, np.sqrt(squares / (30 - 1 + 15 - 1)), rtol=1e-5)
