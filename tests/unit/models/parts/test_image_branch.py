"""Pixels among the features, the image network that learns from them, and the three models that use it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import tiles
import toy
from eosin.engine import load, predict, train
from eosin.errors import EosinError
from eosin.metrics import pearson_per_gene
from eosin.models import MODELS
from eosin.models.check import check_model
from eosin.models.parts.image_branch import Backbone, PixelColumns, symmetry, turn_at_random
from eosin.models.stnet.stnet_finetuned import FineTuned
from eosin.types import Batch, GenePanel

PX, TINY = tiles.PX, "test_resnet"
SMALL = {
    "triplex": {"width": 16, "n_heads": 2, "n_components": 6, "base": "ridge", "image_backbone": TINY},
    "histogene": {"width": 16, "n_heads": 2, "head_width": 8, "n_components": 6, "base": "ridge"},
    "stnet": {"image_backbone": TINY},
}
NETWORKS = ("triplex", "stnet")
"""The models with a trained image network; HisToGene has a linear map."""


@cache
def training(n=40, *, features=True):
    return tiles.training(n, features=features)


def built(model, data, **settings):
    torch.manual_seed(0)
    entry = MODELS[model]
    settings = entry.settings.of(SMALL[model], {"image_px": PX}, settings)
    return entry.build(settings, data.batch.features.shape[1], data.panel)


def learned(model, data, steps, *, lr=3e-3, **settings):
    machine = built(model, data, **settings)
    machine.observe(data)
    machine.train()
    optimiser = torch.optim.AdamW(machine.parameters(), lr=lr)
    goal, rng = torch.from_numpy(data.target), torch.Generator().manual_seed(0)
    context = machine.prepare(data.batch)
    for _ in range(steps):
        optimiser.zero_grad()
        machine.loss(context, goal, rng).backward()
        optimiser.step()
    return machine.eval()


def predicted(machine, batch):
    with torch.no_grad():
        context = machine.prepare(replace(batch, training_rows=None))
        return machine.draw(context, 1, torch.Generator())[0].numpy()


def repainted(batch, change):
    """The batch with other tiles [s px px 3]."""
    features = batch.features.copy()
    shown = features[:, -3 * PX**2 :].reshape(-1, PX, PX, 3)
    features[:, -3 * PX**2 :] = change(shown).reshape(len(features), -1)
    return replace(batch, features=features)


@pytest.mark.parametrize("model", SMALL)
def test_it_holds_to_the_interface(model):
    check_model(lambda: built(model, training(20)), training(20))


def test_histogene_and_stnet_take_pixels_alone():
    data = training(20, features=False)
    check_model(lambda: built("histogene", data, base=False), data)
    check_model(lambda: built("stnet", data), data)


@pytest.mark.parametrize("model", SMALL)
@pytest.mark.long
def test_it_overfits_what_only_the_tiles_say(model):
    data = training().take(np.arange(40))
    blank = replace(data.batch, features=np.hstack([np.ones((40, 5)), data.batch.features[:, toy.N_FEATURES :]]))
    data = replace(data, batch=replace(blank, features=blank.features.astype(np.float32)))
    still, alone = {"image_turns": False}, {"base": False, "dropout": 0.0}
    given = {"triplex": {**still, **alone}, "histogene": alone, "stnet": still}[model]
    found = learned(model, data, 120 if model == "histogene" else 40, **given)
    assert np.nanmean(pearson_per_gene(data.target, predicted(found, data.batch))) > 0.9


@pytest.mark.parametrize("model", NETWORKS)
def test_the_gradient_reaches_the_first_layer_of_the_backbone(model):
    data = training(20)
    machine = built(model, data)
    machine.observe(data)
    before = {name: p.detach().clone() for name, p in machine.named_parameters() if "body" in name}
    after = dict(learned(model, data, 3).named_parameters())
    assert before and all(not torch.equal(before[name], after[name]) for name in before)


def test_the_eight_symmetries_are_a_group():
    tile = torch.arange(PX * PX * 3).view(1, PX, PX, 3)
    turned = {tuple(symmetry(tile, number).flatten().tolist()) for number in range(8)}
    twice = {tuple(symmetry(symmetry(tile, a), b).flatten().tolist()) for a in range(8) for b in range(8)}
    assert len(turned) == 8 and twice == turned and torch.equal(symmetry(tile, 0), tile)


def test_random_turns_are_each_tiles_own_and_follow_the_seed():
    shown = torch.randint(0, 256, (64, PX, PX, 3), dtype=torch.uint8)
    one, again, other = (turn_at_random(shown, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    numbers = [[n for n in range(8) if torch.equal(symmetry(shown[i : i + 1], n), one[i : i + 1])] for i in range(64)]
    assert all(numbers) and len({n for found in numbers for n in found}) == 8


def test_stnet_averages_over_all_symmetries():
    data = training(20)
    machine = learned("stnet", data, 2)
    turned = repainted(data.batch, lambda given: np.rot90(given, 1, (1, 2))[:, ::-1])
    assert np.allclose(predicted(machine, data.batch), predicted(machine, turned), atol=1e-5)
    plain = learned("stnet", data, 2, image_turns=False)
    assert not np.allclose(predicted(plain, data.batch), predicted(plain, turned), atol=1e-5)


def test_stnet_starts_at_the_training_mean():
    data = training(20)
    machine = built("stnet", data).eval()
    machine.observe(data)
    assert np.allclose(predicted(machine, data.batch), data.target.mean(0), atol=1e-6)


def test_triplex_reads_pixels_in_the_target_view_only():
    data = training(20)
    machine = learned("triplex", data, 3)
    batch = data.batch.regions([np.arange(20)])
    other = repainted(batch, lambda given: np.concatenate([255 - given[:1], given[1:]]))
    changed = np.abs(predicted(machine, batch) - predicted(machine, other)).max(1)
    assert changed[0] > 1e-6 and changed[1:].max() < 1e-6


def test_histogene_has_the_published_number_of_parameters_on_pixels():
    panel = GenePanel(tuple(f"G{i}" for i in range(1000)))
    settings = MODELS["histogene"].settings.of(MODELS["histogene"].presets["pixels"]["model"], {"positions": "none"})
    with torch.device("meta"):
        machine = MODELS["histogene"].build(settings, 112 * 112 * 3, panel)
    assert machine.n_parameters + 2 * 64 * 1024 == 73_281_512  # two tables of 64 positions


@pytest.mark.parametrize("model", NETWORKS)
def test_chunks_show_neither_in_values_nor_in_gradients(model):
    data = training(20)

    def outcome(chunk):
        machine = built(model, data, image_turns=False)
        machine.observe(data)
        for part in machine.modules():
            if isinstance(part, Backbone):
                part.chunk = chunk
        machine.loss(machine.prepare(data.batch), torch.from_numpy(data.target), torch.Generator()).backward()
        gradient = torch.cat([p.grad.ravel() for p in machine.parameters()])
        return gradient, predicted(machine.eval(), data.batch)

    (whole, values), (pieces, same) = outcome(10_000), outcome(7)
    assert torch.allclose(whole, pieces, atol=1e-5 * float(whole.abs().max()) + 1e-7)
    assert np.allclose(values, same, atol=1e-5)


def test_tokens_depend_on_their_own_tile_only_in_training_too():
    shown = torch.randint(0, 256, (9, 32, 32, 3), dtype=torch.uint8)
    backbone = Backbone(TINY, 32).train()
    backbone.observe(shown)
    whole, alone = backbone(shown), backbone(shown[3:4])
    assert torch.allclose(whole[3:4], alone, atol=1e-5)


def test_statistics_come_from_training_tiles_and_stay():
    shown = torch.randint(0, 256, (64, 32, 32, 3), dtype=torch.uint8)
    backbone = Backbone(TINY, 32)
    backbone.observe(shown)
    norms = [part for part in backbone.body.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    kept = [norm.running_mean.clone() for norm in norms]
    seen = []
    norms[3].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    backbone.train()(shown.flip(0))
    assert torch.allclose(seen[0].mean((0, 2, 3)), norms[3].running_mean, atol=1e-2)
    assert torch.allclose(seen[0].var((0, 2, 3)), norms[3].running_var, rtol=1e-2)
    assert all(torch.equal(norm.running_mean, before) for norm, before in zip(norms, kept))


def weights_file(folder, arch=TINY):
    import timm

    torch.manual_seed(5)
    path = folder / "weights.safetensors"
    save_file(timm.create_model(arch, num_classes=3).state_dict(), path)  # a classifier more than is needed
    return path


@pytest.mark.parametrize("model", NETWORKS)
def test_a_checkpoint_needs_no_weights_file(model, tmp_path):
    path = weights_file(tmp_path)
    tables = {
        "model": {**SMALL[model], "image_px": PX, "image_weights": str(path)},
        "train": {"epochs": 1, "regions_per_section": 1},
    }
    *sections, judged = tiles.cohort(20)
    trained = train(sections, model=model, settings=tables, panel="var:4", out=tmp_path / "run")
    path.unlink()
    again = load(tmp_path / "run")
    assert np.array_equal(predict(trained, judged).draws, predict(again, judged).draws)
    with pytest.raises(EosinError, match=r"no such file of weights.*image-weights"):
        train(sections, model=model, settings=tables, panel="var:4")


def test_weights_of_the_file_are_where_it_begins(tmp_path):
    import timm
    from safetensors.torch import load_file

    backbone = Backbone(TINY, 32, str(weights_file(tmp_path)))
    backbone.observe(torch.zeros(4, 32, 32, 3, dtype=torch.uint8))
    model = timm.create_model(TINY, num_classes=0).eval()
    model.load_state_dict(
        {k: v for k, v in load_file(tmp_path / "weights.safetensors").items() if not k.startswith("fc")}
    )
    shown = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    mean, std = (torch.tensor(model.pretrained_cfg[name]).view(3, 1, 1) for name in ("mean", "std"))
    expected = model((shown.permute(0, 3, 1, 2) / 255 - mean) / std)
    assert torch.allclose(backbone(shown).mean(1), expected, atol=1e-5)


def test_weights_of_another_network_are_refused(tmp_path):
    backbone = Backbone("resnet10t", 32, str(weights_file(tmp_path)))
    with pytest.raises(EosinError, match="image-backbone"):
        backbone.observe(torch.zeros(4, 32, 32, 3, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("arch", "says"),
    [
        ("resnet81", "cannot make 'resnet81'; did you mean .*'resnet18'"),
        ("test_vit", "refuses|no convolutional network"),
    ],
)
def test_networks_that_will_not_do_are_refused(arch, says):
    with pytest.raises(EosinError, match=says):
        Backbone(arch, 32)


def test_a_resumed_run_ends_at_the_same_weights(tmp_path, monkeypatch):
    tables = {"model": {**SMALL["stnet"], "image_px": PX}, "train": {"epochs": 2, "early_stopping": False}}

    def run(out, **more):
        return train(tiles.cohort(20), model="stnet", settings=tables, panel="var:4", out=out, **more).model.arrays()

    whole, original, steps = run(tmp_path / "whole"), FineTuned.loss, []

    def stopping(self, *given):
        steps.append(1)
        if len(steps) == 12:  # of 2 x 8
            raise KeyboardInterrupt
        return original(self, *given)

    monkeypatch.setattr(FineTuned, "loss", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut")
    monkeypatch.setattr(FineTuned, "loss", original)
    resumed = run(tmp_path / "cut", resume=True)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("model", SMALL)
def test_missing_pixels_are_one_line_with_the_way_out(model):
    data = toy.training(20)
    with pytest.raises(EosinError, match=r"needs 192 features of pixels.*stain\+pixels\?px=8"):
        built(model, data)
    wide = np.random.default_rng(0).normal(size=(len(data.batch), 200)).astype(np.float32)
    wide = replace(data, batch=replace(data.batch, features=wide))
    with pytest.raises(EosinError, match=r"do not end in pixels.*stain\+pixels\?px=8"):
        built(model, wide).observe(wide)


def test_tiles_of_another_size_are_noticed():
    rng = np.random.default_rng(0)
    features = np.hstack([rng.normal(size=(9, 4)), np.zeros((9, 2)), rng.integers(0, 256, (9, 3 * 16**2))])
    PixelColumns.of(features.shape[1], 16).check(features)
    with pytest.raises(EosinError, match=r"tiles of 16 px.*image-px 16"):
        PixelColumns.of(features.shape[1], 10).check(features)


def test_pixels_come_back_as_they_were_encoded():
    shown = np.random.default_rng(0).integers(0, 256, (7, PX, PX, 3))
    features = np.hstack([np.zeros((7, 3)), shown.reshape(7, -1)]).astype(np.float32)
    batch = Batch(np.zeros((7, 2)), features, np.array([0, 7]))
    columns = PixelColumns.of(features.shape[1], PX)
    assert np.array_equal(columns.tiles(batch).numpy(), shown)
    assert columns.rest(batch).features.shape == (7, 3)


def test_settings_that_cannot_go_together_are_refused():
    alone = training(20, features=False)
    with pytest.raises(EosinError, match=r"no features for the neighbours.*stain\+pixels\?px=8"):
        built("triplex", alone)
    with pytest.raises(EosinError, match=r"no features beside the pixels.*--model\.base none"):
        built("histogene", alone)
    with pytest.raises(EosinError, match=r"'epochs' belongs to the head.*--train\.epochs"):
        built("stnet", alone, epochs=(3,))
