"""Turned tiles in training: a share of a step's spots, from a stream of its own, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import toy
from eosin.engine import fit, predict, train
from eosin.engine.augment import Turning
from eosin.engine.train import gather
from eosin.errors import EosinError
from eosin.genes import choose_panel
from eosin.types import Batch, Features, Section

MODEL = {"width": 16, "edge_width": 16, "n_layers": 1, "n_components": 4, "base": False}


def turned(section: Section) -> Section:
    """The section with features of turned tiles that are a little off."""
    have = section.need_features()
    noise = np.random.default_rng(len(section)).normal(0, 0.3, (len(section), 7, have.values.shape[1]))
    return section.with_features(Features(have.values, "toy", "toy-1", have.values[:, None] + noise))


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return [turned(section) for section in toy.cohort(30)]


def run(sections, out=None, *, resume: bool = False, model: str = "stflow", **given):
    settings = {"model": MODEL if model == "stflow" else {}, "train": {"epochs": 3, **given}}
    return train(sections, model=model, settings=settings, panel="var:4", seed=1, out=out, resume=resume)


def same(one, other) -> bool:
    ours, theirs = one.model.arrays(), other.model.arrays()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def numbered(n: int = 4000) -> Batch:
    """Every spot's features tell its number; its turned ones also which turn."""
    spots = np.arange(n, dtype=np.float32)[:, None]
    ways = np.arange(1, 8, dtype=np.float32)[None, :, None] / 10
    return Batch(np.zeros((n, 2)), spots, np.array([0, n]), np.arange(n), spots[:, None] + ways)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.8, 1.0])
def test_the_share_of_spots_is_seen_turned_each_way_alike(share: float) -> None:
    batch = numbered()
    rows = [np.arange(3000)[::-1], np.array([7, 7, 3999])]
    seen = Turning(batch, share, seed=0).regions(rows)
    number, way = np.divmod(np.round(seen.features[:, 0].astype(np.float64) * 10), 10)
    assert np.array_equal(number, np.concatenate(rows))  # no spot is shown another's tile
    assert abs((way > 0).mean() - share) < 0.03
    if share:
        assert np.bincount(way.astype(int), minlength=8)[1:].min() > 0.8 * share * 3000 / 7
    assert np.array_equal(seen.training_rows, np.concatenate(rows)) and seen.starts.tolist() == [0, 3000, 3003]
    assert np.array_equal(batch.features, numbered().features)  # untouched


def test_turned_features_alone_change_no_number(sections) -> None:
    assert same(run(sections), run(toy.cohort(30)))


def test_augmenting_changes_the_weights_and_repeats(sections) -> None:
    one, again, plain = run(sections, augment=0.5), run(sections, augment=0.5), run(sections)
    assert same(one, again)
    assert not same(one, plain)


@pytest.mark.parametrize("stop_after", [1, 4])
def test_a_resumed_run_ends_at_the_same_weights(sections, tmp_path, stop_after: int, monkeypatch) -> None:
    whole = run(sections, augment=0.7)
    saves, original = [], fit.Fitting._save

    def stopping(self, *given) -> None:
        original(self, *given)
        saves.append(1)
        if len(saves) == stop_after:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit.Fitting, "_save", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(sections, tmp_path, augment=0.7)
    monkeypatch.setattr(fit.Fitting, "_save", original)
    assert same(whole, run(sections, tmp_path, resume=True, augment=0.7))


def test_prediction_looks_at_no_turned_tile(sections) -> None:
    trained = run(sections[:3], augment=0.5)
    bare = toy.cohort(30)[3]
    assert np.array_equal(predict(trained, sections[3], draws=2).draws, predict(trained, bare, draws=2).draws)


def test_the_ridge_below_is_that_of_the_tiles_as_they_lie(sections) -> None:
    """Augmentation is of what the network sees; the base's out-of-fold predictions go by spot."""
    plain, other = (run(sections, model="stem:small", augment=share, epochs=1) for share in (0.0, 1.0))
    base = [{k: v for k, v in one.model.arrays().items() if k.startswith("base.")} for one in (plain, other)]
    assert base[0] and all(torch.equal(base[0][name], base[1][name]) for name in base[0])
    training = gather(sections, choose_panel("var:4", sections))
    model = other.model
    model.observe(training)
    rows = [np.array([4, 60, 2])]
    seen, lying = Turning(training.batch, 1.0, 0).regions(rows), Turning(training.batch, 0.0, 0).regions(rows)
    assert not np.array_equal(seen.features, lying.features)
    assert torch.equal(model.enter(seen)[1], model.enter(lying)[1])


def test_without_turned_tiles_one_line_says_what_to_do(sections) -> None:
    mixed = [*sections[:3], toy.cohort(30)[3]]
    says = r"train.augment is 0.5, but not all .* turned; encode them with --symmetries, or leave --train.augment at 0"
    with pytest.raises(EosinError, match=says):
        run(mixed, augment=0.5)
    assert run([replace(one) for one in mixed]).metrics["finished"]
