from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

import toy
from eosin.engine import load, predict, train
from eosin.metrics import pearson_per_gene
from eosin.models import MODELS
from eosin.models.bleep import BleepSettings, Head, SoftContrast, build
from eosin.models.check import check_model
from eosin.models.parts import retrieval
from eosin.types import GenePanel

PAPER = MODELS["bleep"].presets["paper"]["model"]


def made(training, **settings):
    torch.manual_seed(0)
    model = build(BleepSettings.of(settings), training.batch.features.shape[1], training.panel)
    model.observe(training)
    return model.eval()


def drawn(model, batch):
    return model.draw(model.prepare(batch), 1, torch.Generator())[0].numpy()


def fit(model, training, n_steps, lr=3e-3):
    rng, goal = torch.Generator().manual_seed(0), torch.from_numpy(training.target)
    optimiser = torch.optim.Adam(model.train().parameters(), lr=lr)
    losses = []
    for _ in range(n_steps):
        loss = model.loss(model.prepare(training.batch), goal, rng)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    model.eval()
    return losses


def embeddings(n=9, width=6):
    rng = torch.Generator().manual_seed(1)
    return (torch.randn(n, width, generator=rng).double().requires_grad_() for _ in range(2))


@pytest.fixture(scope="module")
def training():
    return toy.training()


def test_published_number_of_parameters():
    """STFlow's table gives BLEEP 0.670 million: heads of width 256 on 2048 features and 50 genes."""
    panel = GenePanel(tuple(f"G{i}" for i in range(50)))
    model = MODELS["bleep"].build(BleepSettings.of(PAPER), 2048, panel)
    assert model.n_parameters == 670_208
    assert MODELS["bleep"].build(BleepSettings.of(PAPER), 1024, panel).n_parameters == 408_064


def test_paper_settings_hold_to_the_interface(training):
    check_model(lambda: build(BleepSettings.of(PAPER, {"width": 16}), toy.N_FEATURES, training.panel), training)


def test_head_is_the_formula():
    head = Head(5, 4, 0.5).eval()
    x = torch.randn(3, 5)
    p = x @ head.project.weight.T + head.project.bias
    inner = p + torch.nn.functional.gelu(p) @ head.mix.weight.T + head.mix.bias
    centred = inner - inner.mean(1, keepdim=True)
    assert torch.allclose(head(x), centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt(), atol=1e-5)


@pytest.mark.parametrize("transposed", [True, False])
def test_loss_is_the_formula_in_loops(transposed):
    image, spot = (e.detach().numpy() for e in embeddings())
    n, t, total = len(image), 1.7, 0.0
    logits, inner = spot @ image.T / t, (image @ image.T + spot @ spot.T) / (2 * t)
    soft = np.exp(inner) / np.exp(inner).sum(1, keepdims=True)
    for i in range(n):
        for j in range(n):
            total -= soft[i, j] * (logits[i, j] - np.log(np.exp(logits[i]).sum())) / n / 2
            back = soft[j, i] if transposed else soft[i, j]
            total -= back * (logits[j, i] - np.log(np.exp(logits[:, i]).sum())) / n / 2
    found = SoftContrast(t, True, transposed)(torch.from_numpy(image), torch.from_numpy(spot))
    assert float(found) == pytest.approx(total, rel=1e-9)


def test_both_conventions_have_one_value_and_two_gradients():
    def gradient(*, through):
        image, spot = embeddings()
        loss = SoftContrast(2.0, through, True)(image, spot)
        loss.backward()
        return float(loss.detach()), image.grad, spot.grad

    flowing, stopped = gradient(through=True), gradient(through=False)
    assert flowing[0] == stopped[0]
    assert not torch.allclose(flowing[1], stopped[1], rtol=0.05)
    image, spot = embeddings()  # the flowing one is the derivative of the value itself
    torch.autograd.gradcheck(SoftContrast(2.0, True, True), (image, spot))
    with torch.no_grad():
        soft = torch.softmax((image @ image.T + spot @ spot.T) / 4, 1)
    logits = spot @ image.T / 2
    hard = -(soft * logits.log_softmax(1)).sum(1).mean() / 2 - (soft.T * logits.T.log_softmax(1)).sum(1).mean() / 2
    hard.backward()
    assert torch.allclose(image.grad, stopped[1]) and torch.allclose(spot.grad, stopped[2])


def test_transposed_targets_do_not_sum_to_one():
    """Sameness of the two settings would mean that the paper's quirk is not reproduced."""
    image, spot = embeddings()
    assert not torch.allclose(SoftContrast(1.0, False, True)(image, spot), SoftContrast(1.0, False, False)(image, spot))


def test_every_spot_is_contrasted_once_within_its_section(training):
    model, rng = made(training, batch_size=25), torch.Generator().manual_seed(0)
    part = training.batch.part_of_spot()
    batches = [b.numpy() for b in model._batches(part, rng)]
    assert sorted(np.concatenate(batches)) == list(range(len(part)))
    assert max(map(len, batches)) <= 25 and min(map(len, batches)) >= 20
    assert all(len(set(part[b])) == 1 for b in batches)
    mixed = [b.numpy() for b in made(training, batch_size=25, mix_sections=True)._batches(part, rng)]
    assert any(len(set(part[b])) > 1 for b in mixed)
    assert not np.array_equal(batches[0], next(iter(model._batches(part, rng))).numpy())


def test_retrieval_is_the_definition(training, monkeypatch):
    """Cosine between a spot's image and every training spot's expression; the first k; their plain mean."""
    model = made(training, n_retrieved=4, standardise=False)
    new = training.batch.regions([np.arange(10)])
    with torch.no_grad():
        image = model.image_head(model.prepare(new).features).numpy()
        keys = model.spot_head(torch.from_numpy(training.target)).numpy()
    expected = []
    for spot in image:
        cosine = keys @ spot / np.linalg.norm(keys, axis=1) / np.linalg.norm(spot)
        expected.append(training.target[np.argsort(-cosine)[:4]].mean(0))
    assert np.allclose(drawn(model, new), expected, atol=1e-5)
    monkeypatch.setattr(retrieval, "_ENTRIES", 3 * len(training.batch))
    assert np.allclose(drawn(model, new), expected, atol=1e-5)


def test_weights_favour_the_nearest(training):
    near, plain, first = (
        drawn(made(training, n_retrieved=k, weights=w), training.batch)
        for k, w in ((200, "distance"), (200, "uniform"), (1, "uniform"))
    )
    assert np.abs(near - first).mean() < np.abs(plain - first).mean()


def test_one_spot_has_no_contrast(training):
    model = made(training)
    one = training.batch.regions([np.array([3])])
    loss = model.loss(model.prepare(one), torch.from_numpy(training.target[3:4]), torch.Generator())
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_constant_genes_and_features_are_no_obstacle(training):
    flat = replace(training, batch=replace(training.batch, features=np.ones_like(training.batch.features)))
    flat = replace(flat, target=np.zeros_like(flat.target))
    model = made(flat)
    assert np.isfinite(fit(model, flat, 2)).all()
    assert np.array_equal(drawn(model, flat.batch), flat.target)


def test_overfits_one_section(training):
    one = training.take(np.arange(60))
    model = made(one, dropout=0.0, n_retrieved=1, temperature=2.0)
    before = np.nan_to_num(pearson_per_gene(one.target, drawn(model, one.batch))).mean()
    losses = fit(model, one, 150)
    assert losses[-1] < losses[0]
    assert pearson_per_gene(one.target, drawn(model, one.batch)).min() > 0.95 > 0.5 > before


@cache
def trained():
    sections = [toy.section(name, 150) for name in ("A1", "A2", "B1")]
    return train(sections, model="bleep:small", settings={"train": {"epochs": 12}}, panel="var:6")


def test_beats_the_gene_mean_on_a_held_out_section():
    judged = toy.section("B2", 150)
    found = predict(trained(), judged).mean
    truth = np.log1p(judged.expression(trained().panel.names))
    assert pearson_per_gene(truth, found).mean() > 0.4
    assert ((found - truth) ** 2).mean() < 0.9 * truth.var(0).mean()


def test_a_checkpoint_holds_the_reference(tmp_path):
    """Its number of rows is only known after training; a fresh model has another."""
    judged = toy.section("B2", 40)
    trained().save(tmp_path)
    assert trained().model.arrays()["reference"].shape == (450, 6)
    assert np.array_equal(predict(load(tmp_path), judged).draws, predict(trained(), judged).draws)


def test_only_training_expression_is_retrieved():
    """One retrieved spot is a row of the training target, exactly."""
    model = trained().model
    kept, model.n_retrieved = model.n_retrieved, 1
    found = predict(trained(), toy.section("B2", 40)).mean
    model.n_retrieved = kept
    rows = {row.tobytes() for row in model.arrays()["reference"].numpy()}
    assert all(row.tobytes() in rows for row in found)
