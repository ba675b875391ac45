from __future__ import annotations

import weakref
from functools import cache

import numpy as np
import pytest
import torch

import toy
from eosin.engine import TrainSettings, load, predict, train
from eosin.errors import EosinError
from eosin.models import MODELS

SMALL = {
    "model": {"width": 16, "edge_width": 16, "n_layers": 1, "n_components": 4, "base": False},
    "train": {"epochs": 4},
}
"""Without a base, no epoch 0 is a candidate; `test_selection` has those with one."""


def small(**train_given):
    return {"model": SMALL["model"], "train": {**SMALL["train"], **train_given}}


def arrays(trained):
    return {k: v.numpy() for k, v in trained.model.arrays().items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.fixture
def sections():
    return toy.cohort(40)


@cache
def trained_once(seed, **train_given):
    """A training that tests compare with, and read only."""
    return train(toy.cohort(40), settings=small(**train_given), panel="var:5", seed=seed)


def test_same_seed_same_weights_and_another_seed_others(sections):
    one, two = trained_once(1), train(sections, settings=small(), panel="var:5", seed=1)
    other = train(sections, settings=small(), panel="var:5", seed=2)
    assert same(arrays(one), arrays(two))
    assert not same(arrays(one), arrays(other))


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_resumed_run_ends_at_the_same_weights(sections, tmp_path, stop_after, monkeypatch):
    """Stopped in either phase, a run continues bit for bit."""
    from eosin.engine import fit

    saves = []
    original = fit.Fitting._save

    def stopping(self, *given):
        original(self, *given)
        saves.append(1)
        if len(saves) == stop_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit.Fitting, "_save", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(sections, settings=small(), panel="var:5", out=tmp_path / "cut")
    monkeypatch.setattr(fit.Fitting, "_save", original)
    torch.rand(17)  # another process has another random state
    resumed = train(sections, settings=small(), panel="var:5", out=tmp_path / "cut", resume=True)
    whole = trained_once(0)
    assert same(arrays(whole), arrays(resumed))
    assert [r["loss"] for r in whole.metrics["history"]] == [r["loss"] for r in resumed.metrics["history"]]


def test_interrupted_run_leaves_a_usable_checkpoint(sections, tmp_path, monkeypatch):
    from eosin.engine import fit

    original = fit.Fitting._save

    def stopping(self, *given):
        original(self, *given)
        raise KeyboardInterrupt

    monkeypatch.setattr(fit.Fitting, "_save", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(sections, settings=small(), panel="var:5", out=tmp_path / "run")
    trained = load(tmp_path / "run")
    assert trained.metrics["finished"] is False
    assert predict(trained, sections[0], draws=2).draws.shape == (2, 40, 5)


def test_resume_refuses_another_run(sections, tmp_path):
    train(sections, settings=small(), panel="var:5", out=tmp_path / "run")
    with pytest.raises(EosinError, match="other data or settings"):
        train(sections, settings=small(lr=0.01), panel="var:5", out=tmp_path / "run", resume=True)


def test_checkpoint_predicts_the_same_and_needs_no_counts(sections, tmp_path):
    from dataclasses import replace

    trained = train(sections[:3], settings=small(), panel="var:5", out=tmp_path / "run")
    bare = replace(sections[3], counts=None, genes=None)
    ours, theirs = (predict(t, bare, draws=3, seed=5) for t in (trained, load(tmp_path / "run")))
    assert np.array_equal(ours.draws, theirs.draws)
    assert ours.provenance["trained_on"] == ["A1", "A2", "B1"]


AT_LENGTH = ("bleep", "e2cnn", "egnn", "flag", "histogene", "stem", "triplex")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.long) if n in AT_LENGTH else n for n in MODELS if n != "gene-mean"],
)
def test_models_learn_what_features_say(name):
    sections = [toy.section(n, 150) for n in ("A1", "A2", "B1", "B2")]
    trained = train(sections[:3], model=name, panel="var:5", settings=None)
    from eosin.scores.scoring import score

    assert score(predict(trained, sections[3], draws=4), sections[3])["pcc"]["mean"] > 0.75


CHANGES = {
    "epochs": 2,
    "regions_per_section": 2,
    "regions_per_step": 1,
    "accumulate": 2,
    "min_region": 0.9,
    "largest_region": 5,
    "lr": 0.01,
    "weight_decay": 0.5,
    "clip": 0.001,
    "ema": 0.5,
    "early_stopping": False,
    "patience": 1,
    "select": "crps",
    "refit": False,
    "validation_draws": 5,
}


def test_every_training_setting_is_listed_here():
    elsewhere = {
        "precision",
        "device",
        "augment",
        "least_gain",
        "calibrate",
        "level_prior",
    }  # `test_augment`, `test_selection`, `test_out_of_fold`
    assert set(CHANGES) | elsewhere == set(TrainSettings.model_fields)


@pytest.mark.parametrize("name", CHANGES)
def test_every_training_setting_changes_the_result(sections, name):
    """`patience` acts where the held-out score stalls, `validation_draws` on the score itself."""
    base = {"epochs": 6, "lr": 1.0} if name == "patience" else {}  # soon as good as it gets
    plain = trained_once(0, **base)
    changed = train(sections, settings=small(**{**base, name: CHANGES[name]}), panel="var:5", seed=0)
    history = [[r.get("pcc_held_out") for r in t.metrics["history"]] for t in (plain, changed)]
    assert history[0] != history[1] or not same(arrays(plain), arrays(changed))


def test_groups_held_out_are_training_groups_and_refit_sees_all():
    trained = trained_once(0)
    phases = {r["phase"] for r in trained.metrics["history"]}
    assert phases == {"select", "refit"}
    assert -1 <= trained.metrics["pcc_held_out"] <= 1


def test_one_section_is_held_out_by_region():
    trained = train([toy.section("A1", 60)], settings=small(), panel="var:5")
    assert {r["phase"] for r in trained.metrics["history"]} == {"select", "refit"}


def test_nothing_of_the_selecting_phase_is_kept_while_the_refit_runs(sections, monkeypatch):
    """Its model holds what a base says of every training spot: at a million spots, a gibibyte."""
    from eosin.engine import fit

    made, alive = [], []

    class Watched(fit.Phase):
        def __init__(self, *given):
            alive.append([one() is not None for one in made])
            super().__init__(*given)
            made.append(weakref.ref(self.model))

    monkeypatch.setattr(fit, "Phase", Watched)
    train(sections, settings=small(), panel="var:5", seed=1)
    assert alive == [[], [False]]
