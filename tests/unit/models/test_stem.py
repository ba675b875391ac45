"""Stem: its size, its laws, and that it learns distributions, not means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import toy
from eosin.errors import EosinError
from eosin.generative.diffusion import DDIM, Ancestral, DiffusionSampler, DPMSolver, Schedule
from eosin.metrics import pearson_per_gene
from eosin.models import MODELS, Training
from eosin.models.parts.dit import GeneDiT
from eosin.models.stem import stem_model
from eosin.models.stem.stem_model import Stem
from eosin.types import Batch, GenePanel

ENTRY = MODELS["stem"]
SMALL: dict[str, Any] = {"width": 32, "depth": 2, "n_heads": 2, "condition_width": 64}
PLAIN: dict[str, Any] = {"dropout": 0.0, "feature_dropout": 0.0, "n_components": None}


def build(n_features: int, n_genes: int, *tables: dict[str, Any]) -> Stem:
    torch.manual_seed(0)
    panel = GenePanel(tuple(f"G{j}" for j in range(n_genes)))
    return ENTRY.build(ENTRY.settings.of(*tables), n_features, panel)


def learn(model: Stem, training: Training, n_steps: int, lr: float) -> Stem:
    """Plain steps on the whole training set, weights averaged over the last part as the engine does."""
    rng = torch.Generator().manual_seed(0)
    model.observe(training)
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    goal, context = torch.from_numpy(training.target), model.prepare(training.batch)
    average = [p.detach().clone() for p in model.parameters()]
    for step in range(n_steps):
        loss = model.loss(context, goal, rng)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        for mean, p in zip(average, model.parameters()):
            mean.lerp_(p.detach(), 1 - min(0.98, (1 + step) / (10 + step)))
    with torch.no_grad():
        for mean, p in zip(average, model.parameters()):
            p.copy_(mean)
    return model.eval()


def draw(model: Stem, batch: Batch, k: int, seed: int = 0) -> torch.Tensor:
    with torch.no_grad():
        return model.draw(model.prepare(batch), k, torch.Generator().manual_seed(seed))


def stirred(model: Stem) -> Stem:
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    return model.eval()


# --- size and laws


def test_the_release_has_35_639_042_parameters():
    """200 genes, features of 1024 + 512, noise and variance: the number of the released code."""
    with torch.device("meta"):  # counts need no weights
        model = build(1536, 200, ENTRY.presets["paper"]["model"], {"learned_variance": True})
    assert model.n_parameters == 35_639_042


def test_the_paper_has_one_output_per_gene():
    with torch.device("meta"):
        model = build(1536, 200, ENTRY.presets["paper"]["model"])
    assert model.n_parameters == 35_639_042 - 385


def test_an_untrained_model_draws_the_base_with_the_spread_of_what_it_leaves():
    training = toy.training(60)
    model = build(toy.N_FEATURES, 6, SMALL, {"n_steps": 20, "base": "ridge"})
    model.observe(training)
    model.eval()
    batch = replace(training.batch, training_rows=None)
    drawn = draw(model, batch, 16).numpy()
    assert model.base is not None
    left = drawn - model.base.predict(batch)
    assert np.allclose(left.mean((0, 1)), model.scale.mean.numpy(), atol=0.02)
    assert np.allclose(left.std((0, 1)), model.scale.sd.numpy(), rtol=0.05)


def test_a_mirrored_pair_cancels_in_the_mean_and_single_draws_keep_their_spread():
    model = build(3, 4, SMALL, PLAIN, {"base": False})
    batch = Batch(np.zeros((50, 2)), np.zeros((50, 3), np.float32), np.array([0, 50]))
    pair = draw(model.eval(), batch, 2)
    assert torch.allclose(pair[0], -pair[1], atol=1e-4)
    assert float(pair[0].std()) == pytest.approx(1, abs=0.15)
    free = draw(build(3, 4, SMALL, PLAIN, {"base": False, "mirrored": False}).eval(), batch, 2)
    assert float((free[0] + free[1]).std()) > 1


def test_spots_are_independent_of_one_another():
    """Changing one spot changes that one only: nothing may pass from row to row."""
    model = stirred(build(3, 4, SMALL, PLAIN, {"base": False}))
    features = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    plain = draw(model, Batch(np.zeros((6, 2)), features, np.array([0, 6])), 3)
    features[2] += 5
    changed = draw(model, Batch(np.zeros((6, 2)), features, np.array([0, 6])), 3)
    moved = (plain - changed).abs().amax((0, 2)) > 1e-4
    assert moved.tolist() == [False, False, True, False, False, False]


def test_pieces_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch):
    """Few tokens at once: many pieces of spots, and of draws, give what one piece gives."""
    model = stirred(build(3, 4, SMALL, PLAIN, {"base": False, "sampler": "ancestral", "n_times": 20}))
    features = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    batch = Batch(np.zeros((7, 2)), features, np.array([0, 7]))
    whole = draw(model, batch, 5)
    for tokens in (1, 12, 50):
        monkeypatch.setattr(stem_model, "TOKENS_AT_ONCE", {"cpu": tokens, "cuda": tokens})
        assert torch.allclose(draw(model, batch, 5), whole, atol=1e-5)


def test_genes_have_no_order():
    """Turning values and gene vectors alike turns the answer; without their vectors genes are the same."""
    dit = GeneDiT(5, 16, 2, 2)
    with torch.no_grad():
        for p in dit.parameters():
            torch.nn.init.normal_(p, std=0.3)
    x, condition, order = torch.randn(3, 5), torch.randn(3, 16), torch.tensor([3, 1, 4, 0, 2])
    plain = dit(x, condition)
    with torch.no_grad():
        dit.gene.copy_(dit.gene[order])
    assert torch.allclose(dit(x[:, order], condition), plain[:, order], atol=1e-5)


def test_the_tap_is_the_state_after_that_block():
    """After all blocks but none of the rest: an untrained network leaves the tokens as they came in."""
    dit = GeneDiT(5, 16, 3, 2, tap=3)
    x = torch.randn(2, 3, 5)
    answer, tapped = dit(x, torch.randn(3, 16))
    assert answer.shape == (2, 3, 5, 1) and tapped.shape == (2, 3, 5, 16)
    assert torch.allclose(tapped, dit.value(x[..., None]) + dit.gene, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"width": 64, "n_heads": 5}, {"tap": 4, "depth": 3}])
def test_an_impossible_size_is_refused_in_one_line(wrong: dict[str, int]):
    with pytest.raises(EosinError):
        GeneDiT(5, **wrong)


@pytest.mark.parametrize("learned", [False, True])
def test_the_loss_of_a_perfect_guess_is_that_of_the_formula(*, learned: bool):
    """Data that are all 0 after scaling: the noise is x_t / sqrt(1 - abar), which `precondition` meets untrained."""
    model = build(3, 4, SMALL, PLAIN, {"base": False, "standardise": False, "learned_variance": learned})
    batch = Batch(np.zeros((200, 2)), np.zeros((200, 3), np.float32), np.array([0, 200]))
    loss = model.loss(model.prepare(batch), torch.zeros(200, 4), torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(0)
    t = torch.randint(1000, (200,), generator=rng)
    noise = torch.randn(200, 4, generator=rng)
    wanted = (torch.from_numpy(Schedule.linear().signal)[t][:, None] * noise).square().mean()
    assert float(loss.detach()) >= float(wanted) - 1e-5
    assert learned or float(loss.detach()) == pytest.approx(float(wanted), rel=1e-4)


def test_a_step_uses_at_most_the_spots_it_is_allowed(monkeypatch: pytest.MonkeyPatch):
    model = build(3, 4, SMALL, PLAIN, {"base": False, "spots_per_step": 16})
    seen = []
    look = model.net.look
    monkeypatch.setattr(model.net, "look", lambda features: seen.append(len(features)) or look(features))
    batch = Batch(np.zeros((40, 2)), np.zeros((40, 3), np.float32), np.array([0, 40]))
    model.loss(model.prepare(batch), torch.zeros(40, 4), torch.Generator().manual_seed(0))
    assert seen == [16]


# --- learning


@pytest.mark.long
def test_it_overfits_one_section():
    """No base: the network itself must carry the section's expression (smooth in the features)."""
    whole = toy.training(60)
    one = whole.take(np.flatnonzero(whole.batch.part_of_spot() == 0))
    model = build(toy.N_FEATURES, 6, SMALL, PLAIN, {"base": False, "width": 48})
    learn(model, one, 350, 3e-3)
    drawn = draw(model, replace(one.batch, training_rows=None), 8).mean(0).numpy()
    assert pearson_per_gene(one.target, drawn).mean() > 0.95


@pytest.mark.parametrize("settings", [{}, {"base": False}])
@pytest.mark.long
def test_it_beats_the_gene_mean_on_a_held_out_section(settings: dict[str, Any]):
    training = toy.training(60)
    last = training.batch.part_of_spot() == 3
    inside, held = training.take(np.flatnonzero(~last)), training.take(np.flatnonzero(last))
    model = learn(build(toy.N_FEATURES, 6, SMALL, settings), inside, 150, 3e-3)
    drawn = draw(model, replace(held.batch, training_rows=None), 8).mean(0).numpy()
    flat = np.square(held.target - inside.target.mean(0)).mean()
    assert np.square(held.target - drawn).mean() < 0.7 * flat
    assert pearson_per_gene(held.target, drawn).mean() > 0.5


# --- one image, several answers


def planted(x: np.ndarray, seed: int) -> np.ndarray:
    """Three genes of spots with features x [s 2]: two states, the odds and the distance between them in x."""
    rng = np.random.default_rng(seed)
    side = np.where(rng.random(len(x)) < 0.5 + 0.3 * np.tanh(x[:, 0]), 1.0, -1.0)
    means = [2 + side * (1 + 0.3 * np.tanh(x[:, 1])), 3 - 1.2 * side + 0.5 * x[:, 1], 1 + 0.5 * x[:, 0]]
    return (np.stack(means, 1) + 0.2 * rng.normal(size=(len(x), 3))).astype(np.float32)


def energy_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    n, m = len(a), len(b)
    within = torch.cdist(a, a).sum() / (n * (n - 1)) + torch.cdist(b, b).sum() / (m * (m - 1))
    return float(2 * torch.cdist(a, b).mean() - within)


PLACES = [(-1.0, 0.5), (1.0, -0.5)]
N = 500


@pytest.fixture(scope="module")
def trained() -> Stem:
    x = np.random.default_rng(0).normal(size=(1500, 2)).astype(np.float32)
    y = planted(x, 1)
    batch = Batch(np.zeros((1500, 2)), x, np.array([0, 1500]), np.arange(1500))
    data = Training(batch, y, np.zeros_like(y), np.zeros(1500, int), GenePanel(("A", "B", "C")))
    return learn(build(2, 3, SMALL, PLAIN, {"base": False}), data, 500, 3e-3)


def at_place(model: Stem, place: tuple[float, float], sampler: DiffusionSampler) -> tuple[torch.Tensor, torch.Tensor]:
    x = np.tile(np.array([place], np.float32), (N, 1))
    model.sampler = sampler
    drawn = draw(model, Batch(np.zeros((N, 2)), x, np.array([0, N])), 1)[0]
    return drawn, torch.from_numpy(planted(x, 2))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.long
def test_both_states_of_a_planted_distribution_are_drawn(trained: Stem, place: tuple[float, float]):
    drawn, truth = at_place(trained, place, DPMSolver(20))
    point = truth.mean(0).expand_as(truth)
    assert energy_distance(drawn, truth) < 0.05 * energy_distance(point, truth)
    upper, wanted = ((some[:, 0] > 2).float().mean() for some in (drawn, truth))
    assert float(upper) == pytest.approx(float(wanted), abs=0.12)


@pytest.mark.long
def test_fewer_evaluations_lose_nothing_that_can_be_measured(trained: Stem):
    """Against the same trained network's 1000 ancestral steps: a 50th of the evaluations, or a 20th."""
    full, truth = at_place(trained, PLACES[0], Ancestral())
    of_full = energy_distance(full, truth)
    for sampler, factor in ((DPMSolver(20), 50), (DDIM(50), 20)):
        fast, _ = at_place(trained, PLACES[0], sampler)
        assert sampler.n_evaluations(trained.schedule) * factor == Ancestral().n_evaluations(trained.schedule)
        assert energy_distance(fast, full) < 0.012  # the states are 2.4 apart; by chance alone 0 ± 0.004
        assert energy_distance(fast, truth) < of_full + 0.012


def test_a_learned_variance_learns_and_draws():
    x = np.random.default_rng(0).normal(size=(600, 2)).astype(np.float32)
    y = planted(x, 1)
    batch = Batch(np.zeros((600, 2)), x, np.array([0, 600]), np.arange(600))
    data = Training(batch, y, np.zeros_like(y), np.zeros(600, int), GenePanel(("A", "B", "C")))
    learned = {"base": False, "learned_variance": True, "sampler": "ancestral", "n_times": 100, "beta_last": 0.2}
    model = learn(build(2, 3, SMALL, PLAIN, learned), data, 200, 3e-3)
    drawn, truth = at_place(model, PLACES[0], Ancestral())
    point = truth.mean(0).expand_as(truth)
    assert energy_distance(drawn, truth) < 0.15 * energy_distance(point, truth)
