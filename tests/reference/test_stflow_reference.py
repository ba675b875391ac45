"""The fast STFlow equals the literal formulas, and has the published size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eosin.generative import LinearPath, euler, even_times
from eosin.models import MODELS
from eosin.models.stflow.stflow_net import Denoiser, STFlowNetwork
from eosin.types import Batch, GenePanel
from reference import stflow_literal as literal


def net(n_features=24, n_genes=7, *, absolute=False, **given):
    torch.manual_seed(0)
    wide = {"width": 32, "edge_width": 32, "n_layers": 3, "n_heads": 4, "dropout": 0.2, **given}
    settings = STFlowNetwork.of(wide, {"absolute_expression": absolute, "length_um": 1.0, "min_gap": 0.0})
    return Denoiser(n_features, n_genes, settings).eval()


def scene(n=150, f=24, g=7):
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 10, (n, 2))
    batch = Batch(xy, rng.normal(size=(n, f)).astype(np.float32), np.array([0, n]))
    return batch, torch.from_numpy(rng.random((n, g)).astype(np.float32))


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("cached", [False, True])
def test_one_evaluation_equals_the_formulas(absolute, cached):
    denoiser, (batch, y) = net(absolute=absolute), scene()
    features, t = torch.from_numpy(batch.features), torch.tensor([0.3])
    with torch.no_grad():
        geometry = denoiser.geometry(batch, features)
        if cached:
            denoiser.precompute(geometry)
        fast = denoiser(geometry, y[None], t)[0]
        slow = literal.denoise(denoiser, features, torch.from_numpy(batch.xy_um).float(), y, t, 8)
    assert torch.allclose(fast, slow, atol=1e-5)


def test_five_steps_of_sampling_equal_algorithm_2():
    denoiser, (batch, y) = net(), scene()
    features = torch.from_numpy(batch.features)
    with torch.no_grad():
        geometry = denoiser.precompute(denoiser.geometry(batch, features))

        def velocity(x, t):
            return LinearPath().velocity(x, denoiser(geometry, x, torch.tensor([t])), torch.tensor(t))

        fast = euler(velocity, y[None], even_times(5))[0]
        slow = literal.sample(denoiser, features, torch.from_numpy(batch.xy_um).float(), y, 5, 8)
    assert torch.allclose(fast, slow, atol=1e-4)


def test_gradients_equal_those_of_the_formulas():
    denoiser, (batch, y) = net(dropout=0.0), scene(60)
    features, t = torch.from_numpy(batch.features), torch.tensor([0.3])
    grads = []
    for literally in (False, True):
        denoiser.zero_grad()
        if literally:
            out = literal.denoise(denoiser, features, torch.from_numpy(batch.xy_um).float(), y, t, 8)
        else:
            out = denoiser(denoiser.geometry(batch, features), y[None], t)[0]
        out.square().mean().backward()
        grads.append({name: p.grad.clone() for name, p in denoiser.named_parameters()})
    for name, grad in grads[0].items():
        assert torch.allclose(grad, grads[1][name], atol=1e-5, rtol=1e-3), name


def test_chunks_and_draws_do_not_change_the_answer(monkeypatch):
    denoiser, (batch, y) = net(), scene()
    features, t = torch.from_numpy(batch.features), torch.tensor([0.3])
    with torch.no_grad():
        whole = denoiser(denoiser.geometry(batch, features), y[None], t)
        monkeypatch.setattr("eosin.models.stflow.edge_geometry._CHUNK_EDGES", 64)
        many = denoiser(denoiser.geometry(batch, features), torch.stack([y, 2 * y, y]), t)
    assert torch.allclose(many[0], whole[0], atol=1e-5)
    assert torch.allclose(many[2], whole[0], atol=1e-5)
    assert not torch.allclose(many[1], whole[0], atol=1e-3)


def test_published_parameter_counts():
    panel = GenePanel(tuple(f"G{i}" for i in range(50)))
    entry = MODELS["stflow"]
    settings = entry.settings.of(entry.presets["paper"]["model"])
    sizes = {f: entry.build(settings, f, panel).n_parameters for f in (512, 1024, 1536)}
    assert sizes == {512: 1_082_188, 1024: 1_147_724, 1536: 1_213_260}


def test_recomputed_chunks_give_the_same_gradients(monkeypatch):
    """Training on a region too large to keep."""
    denoiser, (batch, y) = net(), scene(60)
    grads = []
    for kept in (10**6, 64):
        monkeypatch.setattr("eosin.models.stflow.edge_geometry._KEPT_EDGES", kept)
        denoiser.zero_grad()

        features = torch.from_numpy(batch.features)
        denoiser(denoiser.geometry(batch, features), y[None], torch.tensor([0.3]))[0].square().mean().backward()
        grads.append({name: p.grad.clone() for name, p in denoiser.named_parameters()})
    for name, grad in grads[0].items():
        assert torch.allclose(grad, grads[1][name], atol=1e-6, rtol=1e-4), name


def test_dropout_keeps_the_mean_and_drops_the_stated_share():
    from eosin.models.stflow.edge_ops import Dropout

    torch.manual_seed(0)
    dropout = Dropout(0.2).train()
    out = dropout(torch.ones(400_001))
    assert float((out == 0).float().mean()) == pytest.approx(51 / 256, abs=0.003)
    assert float(out.mean()) == pytest.approx(1.0, abs=0.004)
    assert torch.equal(Dropout(0.2).eval()(torch.ones(5)), torch.ones(5))
