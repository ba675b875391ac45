"""GigaPath's slide encoder with a head: context, weights, positions, presets."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import toy
from eosin.engine import predict, train
from eosin.errors import EosinError
from eosin.metrics import pearson_per_gene
from eosin.models import MODELS
from eosin.models.check import check_model
from eosin.models.gigapath.gigapath import GigaPath, GigaPathSettings, load_weights
from eosin.models.gigapath.longnet import SlideEncoder, branches
from eosin.types import Batch

ENTRY = MODELS["gigapath"]
TINY = {"n_layers": 1, "width": 16, "n_heads": 2}
RIDGE_BY_HEART = {"penalties": (1e-9,), "smoothing": (0.0,), "n_components": 1000}


def model(training, **over) -> GigaPath:
    torch.manual_seed(0)
    return ENTRY.build(GigaPathSettings.of(TINY, over), toy.N_FEATURES, training.panel)


def slide(**over) -> SlideEncoder:
    torch.manual_seed(5)
    sizes = {"n_features": toy.N_FEATURES, "width": 16, "n_heads": 2, "n_layers": 1, "branches": branches((64,), (1,))}
    made = SlideEncoder(**sizes | over)
    made.start_at_random()
    return made


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "slide_encoder.safetensors"
    extra = {"pos_embed": torch.zeros(1, 5, 16), "decoder.weight": torch.zeros(2)}
    save_file({**slide().state_dict(), **extra}, file)
    return file


def test_it_can_learn_a_section_by_heart():
    sections = toy.cohort(60)[:1]
    settings = {"model": {**TINY, "width": 64, "own_features": False, "head_settings": RIDGE_BY_HEART}}
    trained = train(sections, model="gigapath", settings=settings, panel="var:6", seed=0)
    truth = np.log1p(sections[0].expression(trained.panel.names))
    assert pearson_per_gene(truth, predict(trained, sections[0]).mean).mean() > 0.95


def test_it_beats_the_gene_mean_on_another_patient():
    *training, judged = toy.cohort(100)
    errors = {}
    for name in ("gigapath", "gene-mean"):
        trained = train(training, model=name, panel="var:6", seed=0)
        truth = np.log1p(judged.expression(trained.panel.names))
        errors[name] = np.square(predict(trained, judged).mean - truth).mean()
    assert errors["gigapath"] < 0.6 * errors["gene-mean"]


def test_context_can_say_what_a_spot_alone_cannot():
    """Expression is the mean feature of the spot's section: own features know nothing of it."""
    rng = np.random.default_rng(0)
    n, sections = 30, 40
    level = np.repeat(rng.normal(size=sections), n)
    features = rng.normal(size=(sections * n, toy.N_FEATURES)).astype(np.float32)
    features[:, 0] += level * 1.5
    batch = Batch(rng.uniform(0, 1000, (len(level), 2)), features, np.arange(sections + 1) * n)
    base = toy.training()
    target = np.repeat(level[:, None], len(base.panel), 1).astype(np.float32)
    training = replace(base, batch=batch, target=target, counts=target, groups=np.arange(sections * n) // (n * 4))
    half = training.take(np.arange(len(level) // 2))
    rest = batch.regions([np.arange(batch.starts[p], batch.starts[p + 1]) for p in range(sections // 2, sections)])
    goal = target[len(level) // 2 :]
    scores = {}
    for name in ("gigapath", "ridge"):
        ridge = {"smoothing": (0.0,), "centre_sections": False}  # what is asked for is the level of a section
        settings = ridge if name == "ridge" else {"head_settings": ridge}
        made = ENTRY if name == "gigapath" else MODELS["ridge"]
        torch.manual_seed(0)
        machine = made.build(made.settings.of(settings), toy.N_FEATURES, training.panel)
        machine.solve(half)
        drawn = machine.draw(machine.prepare(rest), 1, torch.Generator())[0].numpy()
        scores[name] = pearson_per_gene(goal, drawn).mean()
    assert scores["gigapath"] > scores["ridge"] + 0.15


def test_context_reaches_all_of_a_section_and_nothing_of_another():
    training = toy.training(30)
    made = model(training, own_features=False)
    before = made.contextual(training.batch).features
    features = training.batch.features.copy()
    features[0] += 1.0
    after = made.contextual(replace(training.batch, features=features)).features
    changed = (before != after).any(1)
    first = training.batch.starts[1]
    assert changed[:first].all() and not changed[first:].any()


def test_the_order_of_spots_does_not_matter():
    training = toy.training(40)
    made = model(training)
    order = np.random.default_rng(0).permutation(40)
    plain, turned = (made.contextual(training.batch.regions([rows])).features for rows in (np.arange(40), order))
    assert np.array_equal(plain[order], turned)


def test_spots_at_one_place_have_an_order_too():
    training = toy.training(40)
    batch = training.batch.regions([np.arange(40)])
    batch = replace(batch, xy_um=np.zeros((40, 2)))
    order = np.random.default_rng(1).permutation(40)
    made = model(training)
    plain, turned = (made.contextual(batch.regions([rows])).features for rows in (np.arange(40), order))
    assert np.array_equal(plain[order], turned)


@pytest.mark.parametrize("from_corner", [True, False])
def test_only_cells_of_the_slide_see_a_shift(from_corner):
    training = toy.training(40)
    made = model(training, from_corner=from_corner)
    moved = replace(training.batch, xy_um=training.batch.xy_um + 5000.0)
    same = np.array_equal(made.contextual(training.batch).features, made.contextual(moved).features)
    assert same == from_corner


def test_lattices_on_cell_edges_survive_a_shift():
    training = toy.training(40)
    made = model(training, cell_um=100.0)
    xy = np.round(training.batch.xy_um / 100) * 100 / 3
    plain, moved = (made._cells(xy + by) for by in (0.0, 1234.567))
    assert np.array_equal(plain, moved)


def test_weights_are_used_as_they_are(weights):
    training = toy.training(30)
    made = model(training, weights=str(weights), own_features=False, standardise=False, segments=(64,), dilations=(1,))
    made.solve(training)
    for name, value in slide().state_dict().items():
        assert torch.equal(made.slide.state_dict()[name], value), name
    rows = slice(0, int(training.batch.starts[1]))
    xy, features = training.batch.xy_um[rows], training.batch.features[rows]
    cells = np.floor((xy - xy.min(0)) / 128)
    order = np.lexsort((xy[:, 0], xy[:, 1], cells[:, 0], cells[:, 1]))
    wanted = slide()(torch.from_numpy(features[order]), torch.from_numpy(cells[order]), final_norm=False)
    np.testing.assert_allclose(made.contextual(training.batch).features[rows][order], wanted.numpy(), atol=1e-6)


SETTINGS = {  # another value, and what it needs to act on
    "weights": (None, {}),
    "n_layers": (2, {}),
    "width": (24, {}),
    "n_heads": (4, {}),
    "segments": ((8, 16), {"dilations": (1, 2)}),
    "dilations": ((1, 3), {"segments": (64, 64)}),
    "padded": (False, {}),
    "cell_um": (300.0, {}),
    "from_corner": (False, {}),
    "standardise": (False, {}),
    "final_norm": (True, {}),
    "own_features": (True, {}),
    "head": ("knn", {}),
    "head_settings": ({"penalties": (50.0,)}, {}),
}


@pytest.mark.parametrize("name", GigaPathSettings.model_fields)
def test_every_setting_changes_the_draws(name, weights):
    training = toy.training(36)
    value, needed = SETTINGS[name]
    plain = {"own_features": False, "segments": (64, 100), "dilations": (1, 2), **needed}
    if name == "weights":
        plain["weights"] = str(weights)
    drawn = []
    for given in (plain, {**plain, name: value}):
        made = model(training, **given)
        made.solve(training)
        drawn.append(made.draw(made.prepare(training.batch), 1, torch.Generator()).numpy())
    assert not np.allclose(*drawn, atol=1e-6)


def test_a_trained_model_needs_the_file_of_weights_no_more(weights, tmp_path):
    from eosin.engine import load

    sections = toy.cohort(30)
    settings = {"model": {**TINY, "weights": str(weights)}}
    trained = train(sections[:3], model="gigapath", settings=settings, panel="var:4", seed=0, out=tmp_path / "run")
    weights.unlink()
    again = load(tmp_path / "run")
    assert np.array_equal(predict(trained, sections[3]).draws, predict(again, sections[3]).draws)


def test_without_weights_it_says_so(caplog, weights):
    training = toy.training(30)
    with caplog.at_level(logging.WARNING, logger="eosin"):
        model(training, weights=str(weights)).solve(training)
        assert "random" not in caplog.text
        model(training).solve(training)
    assert "no weights are given" in caplog.text and "random" in caplog.text


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda f: f.unlink(), "no such file of weights"),
        (lambda f: f.write_bytes(b"not weights"), "not readable as safetensors"),
        (
            lambda f: save_file(slide(n_features=5).state_dict(), f),
            "in another shape 1 tensors.*patch_embed.proj.weight",
        ),
        (lambda f: save_file({"norm.weight": torch.ones(16)}, f), "lack .* tensors of the slide encoder"),
    ],
    ids=["gone", "garbage", "shape", "missing"],
)
def test_unfit_weights_are_refused(weights, broken, said):
    broken(weights)
    with pytest.raises(EosinError, match=said):
        load_weights(slide(), weights)


def test_a_pickle_is_refused(tmp_path):
    file = tmp_path / "slide_encoder.pth"
    torch.save(slide().state_dict(), file)
    with pytest.raises(EosinError, match="safetensors only"):
        load_weights(slide(), file)


@pytest.mark.parametrize(
    "given", [{"n_heads": 3}, {"segments": (8, 16), "dilations": (1,)}, {"dilations": (2, 4, 8, 16, 32)}, {"width": 6}]
)
def test_impossible_settings_are_refused(given):
    with pytest.raises(EosinError):
        GigaPathSettings.of(given)


@pytest.mark.parametrize("head", ["stflow", "gigapath"])
def test_only_closed_forms_can_be_the_head(head):
    with pytest.raises(EosinError, match="cannot be the head"):
        model(toy.training(30), head=head)


@pytest.mark.parametrize(("head", "settings"), [("forest", {"n_trees": 3}), ("knn", {})])
def test_other_heads_hold_to_the_interface(head, settings):
    training = toy.training(30)
    check_model(lambda: model(training, head=head, head_settings=settings), training)


def test_the_preset_of_the_paper_runs_at_a_smaller_size():
    training = toy.training(30)
    settings = {**ENTRY.presets["paper"]["model"], **TINY}
    settings["head_settings"] = {**settings["head_settings"], "n_trees": 2}
    made = GigaPathSettings.of(settings)
    build = lambda: ENTRY.build(made, toy.N_FEATURES, training.panel)  # noqa: E731
    check_model(build, training, moved=False)  # it counts cells from the slide's corner


def test_the_preset_of_the_paper_is_the_published_size():
    made = GigaPathSettings.of(ENTRY.presets["paper"]["model"])
    assert (made.n_layers, made.width, made.n_heads, made.head) == (12, 768, 16, "forest")
    assert (made.segments, made.dilations) == ((1024, 5792, 32768, 185363, 1048576), (1, 2, 4, 8, 16))
    assert made.padded
    assert not (made.own_features or made.final_norm or made.standardise or made.from_corner)
