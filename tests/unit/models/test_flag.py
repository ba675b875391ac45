"""FLAG: size, laws, and what it must be able to learn."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

import toy
from eosin.errors import EosinError
from eosin.genes import choose_panel
from eosin.metrics import pearson_per_gene
from eosin.models import MODELS, Training
from eosin.models.check import check_model
from eosin.models.flag import flag, flag_net
from eosin.models.flag.flag_generators import Alignment
from eosin.models.flag.flag_graph import Blocks, GraphBuilder, Nearest
from eosin.models.flag.flag_objective import Answer, NodeAndEdgeError, NodeError
from eosin.models.flag.flag_state import NodesAndEdges, correlation
from eosin.types import Batch, GenePanel

ENTRY = MODELS["flag"]
RIDGE = {"base": "ridge"}
"""The default base, the kernel, takes longer than a small network."""
SMALL = ENTRY.presets["small"]["model"] | RIDGE
TINY = {
    "graph_width": 8,
    "graph_depth": 1,
    "graph_heads": 2,
    "edge_width": 4,
    "bridge_width": 8,
    "width": 8,
    "depth": 2,
    "n_heads": 2,
    "align_block": 1,
    "align_width": 8,
    "vector_width": 4,
    "n_steps": 3,
}


def make(training: Training, *tables) -> flag.GraphModel:
    torch.manual_seed(0)
    n_features = training.batch.features.shape[1]
    model = flag.build(flag.FLAGSettings.of(SMALL, *tables), n_features, training.panel)
    model.observe(training)
    return model


def fit(model: flag.GraphModel, training: Training, steps: int, lr: float = 3e-3) -> None:
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, steps)
    rng, goal = torch.Generator().manual_seed(0), torch.from_numpy(training.target)
    context = model.prepare(training.batch)
    for _ in range(steps):
        optimiser.zero_grad()
        model.loss(context, goal, rng).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    model.eval()


def draws(model: flag.GraphModel, batch: Batch, k: int, seed: int = 7) -> np.ndarray:
    model.eval()
    batch = Batch(batch.xy_um, batch.features, batch.starts)  # as at inference
    return model.draw(model.prepare(batch), k, torch.Generator().manual_seed(seed)).numpy()


def plain(features: np.ndarray, values: np.ndarray, xy: np.ndarray | None = None, parts: int = 1) -> Training:
    """Values of one's own as a training set."""
    n, g = values.shape
    xy = np.random.default_rng(5).uniform(0, 1000, (n, 2)) if xy is None else xy
    batch = Batch(xy, features.astype(np.float32), np.linspace(0, n, parts + 1).astype(int))
    panel = GenePanel(tuple(f"G{i}" for i in range(g)))
    return Training(batch, values.astype(np.float32), np.ones_like(values), np.zeros(n, dtype=int), panel)


BARE = {"base": False, "n_components": None, "dropout": 0.0, "align": 0.0}


# ---- size


def test_published_parts_have_the_computed_sizes():
    """Projector 7.3 and bridge 0.3 of the release's 75.9 million; the rest follows from the formulas."""
    settings = ENTRY.settings.of(ENTRY.presets["paper"]["model"])
    panel = GenePanel(tuple(f"G{i}" for i in range(200)))
    model = flag.build(settings, 1024, panel)

    def size(module):
        return sum(p.numel() for p in module.parameters())

    def linear(*widths):
        return sum(a * b + b for a, b in pairwise(widths))

    assert size(model.alignment) == linear(384, 2048, 2048, 1152) == 7_345_280
    assert size(model.generator.bridge) == linear(200, 512, 384) == 299_904
    block = linear(384, 3 * 384) + linear(384, 384) + linear(384, 4 * 384, 384) + linear(384, 6 * 384)
    ends = linear(1, 384, 384) + 200 * 384 + linear(384, 2 * 384) + linear(384, 1)
    assert size(model.generator.dit) == 12 * block + ends
    layer = 2 * linear(384, 768) + linear(384, 3 * 384) + linear(384, 384) + 2 * linear(2, 8) + 2
    layer += linear(1024, 768) + linear(384, 4 * 384) + linear(768, 384) + linear(768, 384, 384)
    ends = linear(200, 384, 384) + linear(256, 384, 384) + linear(1026, 384) + 768
    assert size(model.generator.graph) == 6 * layer + ends + linear(384, 200)


@pytest.mark.parametrize(
    "tables",
    [
        ({"diffuse": "nodes"},),
        ({"diffuse": "nodes-and-edges"},),
        ({"diffuse": "nodes-and-edges", "blocks": True, "precondition": False, "standardise": False, "base": False},),
        ({"routed": False, "hand_over": "genes"},),
        (ENTRY.presets["paper"]["model"],),
        ({"spatial_graph": False},),
        ({"diffusion": False},),
        ({"diffusion": False, "spatial_graph": False},),
    ],
    ids=["nodes", "joint", "joint-as-published", "features-only", "paper", "no-graph", "no-diffusion", "neither"],
)
def test_variants_hold_to_the_interface(tables):
    training = toy.training(20)
    settings = ENTRY.settings.of(RIDGE, *tables, TINY)
    check_model(lambda: flag.build(settings, toy.N_FEATURES, training.panel), training)


# ---- graph


def scattered(n: int = 200, parts: int = 2) -> Batch:
    rng = np.random.default_rng(0)
    return Batch(
        rng.uniform(0, 2000, (n, 2)),
        rng.normal(size=(n, 6)).astype(np.float32),
        np.linspace(0, n, parts + 1).astype(int),
    )


def test_fixed_edges_are_the_papers():
    batch = scattered()
    graph = GraphBuilder(Nearest(5), 112.0).build(batch, torch.from_numpy(batch.features))
    i, n = 17, 3
    j = int(graph.index[i, n])
    distance = np.hypot(*(batch.xy_um[i] - batch.xy_um[j]))
    a, b = batch.features[i], batch.features[j]
    assert np.allclose(
        graph.edges[i, n], [np.exp(-(distance**2) / (2 * 112**2)), a @ b / np.linalg.norm(a) / np.linalg.norm(b)]
    )
    assert torch.allclose(graph.edges[:, 0], torch.ones(200, 2))  # itself


def test_blocks_part_the_section_and_stay_small():
    batch = scattered(300, 2)
    around = Blocks(700.0, most=20).of(batch.xy_um, batch.starts)
    assert around.index.shape[1] <= 19
    part = batch.part_of_spot()
    for i in range(300):
        seen = {i, *around.index[i][around.valid[i]]}
        assert all(part[j] == part[i] for j in seen)
        for j in seen:  # who is seen sees the same
            assert {j, *around.index[j][around.valid[j]]} == seen
    whole = Blocks(700.0, most=300).of(batch.xy_um, batch.starts)
    cell = np.floor((batch.xy_um - np.stack([batch.xy_um[part == p].min(0) for p in (0, 1)])[part]) / 700)
    for i in range(0, 300, 37):
        same = np.flatnonzero((part == part[i]) & (cell == cell[i]).all(1))
        assert {i, *whole.index[i][whole.valid[i]]} == set(same)


def test_edge_noise_and_answers_are_symmetric():
    batch = scattered(60, 2)
    for neighbourhood in (Nearest(4), Blocks(800.0)):
        graph = GraphBuilder(neighbourhood, 112.0, pairs=True).build(batch, torch.from_numpy(batch.features))
        noise = NodesAndEdges(3).noise(graph, 2, 3, torch.Generator().manual_seed(0))[..., 3:]
        answer = graph.symmetric(torch.randn(2, *graph.index.shape))
        for values in (noise, answer):
            assert not values[:, ~graph.others].any()
            seen = {
                (i, int(j)): values[:, i, n]
                for i, row in enumerate(graph.index)
                for n, j in enumerate(row)
                if graph.others[i, n]
            }
            both = [(pair, seen[pair[::-1]]) for pair in seen if pair[::-1] in seen]
            assert both and all(torch.allclose(seen[pair], other) for pair, other in both)
        assert abs(float(noise[:, graph.others].std()) - 1) < 0.15


def test_diffused_edges_are_correlations():
    batch = scattered(30, 1)
    graph = GraphBuilder(Nearest(4), 112.0, pairs=True).build(batch, torch.from_numpy(batch.features))
    values = torch.randn(30, 7)
    edges = NodesAndEdges(7).clean(graph, values)[0, :, 7:]
    i, n = 11, 2
    assert float(edges[i, n]) == pytest.approx(np.corrcoef(values[i], values[graph.index[i, n]])[0, 1], abs=1e-4)
    assert not edges[:, 0].any()
    assert torch.isfinite(correlation(graph, torch.ones(1, 30, 1))).all()


def test_consistency_costs_where_edges_and_nodes_disagree():
    batch = scattered(30, 1)
    graph = GraphBuilder(Nearest(4), 112.0, pairs=True).build(batch, torch.from_numpy(batch.features))
    cost, agreed = NodeAndEdgeError(7, 0.5), NodesAndEdges(7).clean(graph, torch.randn(30, 7))
    assert float(cost(Answer(graph, agreed, 0 * agreed), agreed)) < 1e-5
    wrong = agreed.clone()
    wrong[..., 7:] += 0.2
    assert float(cost(Answer(graph, wrong, 0 * agreed), agreed)) == pytest.approx(0.5 * 0.2, rel=1e-4)
    assert float(NodeError()(Answer(graph, agreed, agreed), agreed)) == pytest.approx(float(agreed.square().mean()))


def stirred(training: Training, *tables) -> flag.GraphModel:
    """Untrained, but nothing is at its zero start."""
    model = make(training, TINY, *tables)
    with torch.no_grad():
        for p in model.generator.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return model


def test_positions_matter_unlike_in_the_release():
    training = toy.training(30)
    model = stirred(training, {"base": False, "n_neighbours": 29})  # all spots, so that only edges know where they are
    batch = training.batch.regions([np.arange(30)])
    stretched = Batch(batch.xy_um * 3, batch.features, batch.starts)
    assert np.abs(draws(model, batch, 2) - draws(model, stretched, 2)).max() > 1e-3


@pytest.mark.parametrize("tables", [{}, {"routed": False}, {"diffuse": "nodes"}, {"diffuse": "nodes-and-edges"}])
def test_pieces_give_what_the_whole_gives(tables, monkeypatch):
    training = toy.training(20)
    model = stirred(training, tables)
    whole = draws(model, training.batch, 5)
    monkeypatch.setitem(flag_net.CHUNK, "cpu", 500)
    assert np.allclose(draws(model, training.batch, 5), whole, atol=1e-4)


def test_mirrored_draws_leave_the_base_untouched():
    """An untrained default is the ridge in the mean of any even number of draws, with spread around it."""
    training = toy.training(30)
    model = make(training)
    batch = Batch(training.batch.xy_um, training.batch.features, training.batch.starts)
    drawn = draws(model, batch, 4)
    centre = model.base.predict(batch) + model.scale.mean.numpy()
    assert np.allclose(drawn.mean(0), centre, atol=1e-3) and drawn.std(0).min() > 1e-3


def test_released_clamp_sets_negative_values_to_zero():
    training = toy.training(20)
    assert draws(make(training, {"clamp": True}), training.batch, 4).min() == 0.0


# ---- ablations


def test_without_the_spatial_graph_a_spot_knows_only_itself():
    training = toy.training(30)
    batch = training.batch.regions([np.arange(30)])
    features = batch.features.copy()
    features[7] += 3
    moved = {}
    for graph in (True, False):
        model = stirred(training, {"base": False, "spatial_graph": graph, "graph_depth": 1})
        before = draws(model, batch, 2)
        changed = np.abs(draws(model, Batch(batch.xy_um, features, batch.starts), 2) - before).max((0, 2)) > 1e-5
        scattered = Batch(batch.xy_um[::-1].copy() * 3, batch.features, batch.starts)
        moved[graph] = np.abs(draws(model, scattered, 2) - before).max()
        assert changed[7] and (changed.sum() > 1) == graph
    assert moved[False] < 1e-5 < moved[True]


def test_without_diffusion_one_answer_and_neighbours_still_count():
    training = toy.training(30)
    model = stirred(training, {"base": False, "diffusion": False})
    batch = training.batch.regions([np.arange(30)])
    answer = draws(model, batch, 8, seed=1)
    assert answer.shape[0] == 1 and np.array_equal(answer, draws(model, batch, 8, seed=2))
    features = batch.features.copy()
    features[7] += 3
    changed = np.abs(draws(model, Batch(batch.xy_um, features, batch.starts), 1) - answer).max((0, 2)) > 1e-5
    assert 1 < changed.sum() < 30


def test_without_diffusion_it_regresses_to_the_mean_of_both_answers():
    """One feature, two answers: a regression gives their middle, and a diffusion one of them."""
    rng = np.random.default_rng(0)
    side = rng.choice([-1.0, 1.0], (100, 1))
    values = np.hstack([side, -side]) + rng.normal(0, 0.15, (100, 2))
    training = plain(np.zeros((100, 1)), values, parts=10)
    drawn = {}
    for diffusion in (True, False):
        model = make(training, BARE, {"diffusion": diffusion, "spatial_graph": False, "n_steps": 12})
        fit(model, training, 60, lr=1e-2)
        drawn[diffusion] = np.abs(draws(model, training.batch, 2)).mean()
    assert drawn[False] < 0.3 and drawn[True] > 0.7


@pytest.mark.parametrize("off", ["spatial_graph", "diffusion"])
def test_a_diffusion_on_the_graph_needs_both(off):
    with pytest.raises(EosinError, match="leave spatial_graph and diffusion on"):
        flag.build(ENTRY.settings.of({"diffuse": "nodes", off: False}), 4, GenePanel(("A", "B")))


# ---- alignment


def test_alignment_is_minus_the_cosine_over_known_genes():
    align = Alignment(3, 4, 8, 5)
    tokens = torch.randn(2, 6, 3, 4)
    align.vectors.copy_(torch.randn(3, 5))
    align.vectors[1] = 0  # a gene without a vector
    projected = align.project(tokens)
    cosine = [torch.nn.functional.cosine_similarity(projected[..., g, :], align.vectors[g], dim=-1) for g in (0, 2)]
    assert torch.allclose(align(tokens), -torch.stack(cosine).mean(), atol=1e-6)
    align.vectors.zero_()
    assert align(tokens).item() == 0.0


def test_alignment_pulls_tokens_to_their_vectors():
    training = toy.training(20)
    before = make(training, {"align": 1.0})
    after = make(training, {"align": 1.0})
    fit(after, training, 40)
    costs = []
    for model in (before, after):
        context = model.prepare(training.batch)
        sigma = torch.full((1, len(training.batch), 1), 0.5)
        noisy = torch.randn(1, len(training.batch), 6, generator=torch.Generator().manual_seed(0))
        costs.append(model.alignment(model.process.guess(model.generator, context.graph, noisy, sigma)[1]).item())
    assert costs[1] < -0.8 and costs[1] < costs[0] - 0.3


def test_vectors_travel_with_the_model_and_files_are_read_once(tmp_path):
    training = toy.training(20)
    path = tmp_path / "v.csv"
    path.write_text("gene,a,b\n" + "".join(f"{name},{i},{1 - i}\n" for i, name in enumerate(training.panel.names)))
    model = make(training, {"vectors": str(path)})
    path.unlink()  # inference needs neither file nor counts
    fresh = flag.build(flag.FLAGSettings.of(SMALL, {"vectors": str(path)}), toy.N_FEATURES, training.panel)
    fresh.load_arrays(model.arrays())
    assert np.array_equal(draws(model, training.batch, 2), draws(fresh, training.batch, 2))
    assert torch.allclose(fresh.alignment.vectors[2, :2], torch.tensor([2.0, -1.0]))


# ---- learning


def test_learns_one_section_by_heart():
    section = toy.section("A1", 40)
    training = toy.gather([section], choose_panel("var:6", [section]))
    model = make(training, {"base": False, "n_components": None, "dropout": 0.0, "width": 32})
    fit(model, training, 120, lr=1e-2)
    drawn = draws(model, training.batch, 8).mean(0)
    assert pearson_per_gene(training.target, drawn).mean() > 0.95


def test_beats_the_gene_mean_on_another_section():
    training = toy.training(40)
    model = make(training, {"base": False, "n_components": None})
    fit(model, training, 60)
    other = toy.gather([toy.section("D9", 60)], training.panel)
    drawn = draws(model, Batch(other.batch.xy_um, other.batch.features, other.batch.starts), 8).mean(0)
    gene_mean = np.square(other.target - training.target.mean(0)).mean()
    assert np.square(other.target - drawn).mean() < 0.8 * gene_mean
    assert pearson_per_gene(other.target, drawn).mean() > 0.4


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    def between(x, y):
        return np.linalg.norm(x[:, None] - y[None], axis=-1).mean()

    return 2 * between(a, b) - between(a, a) - between(b, b)


@pytest.mark.long
def test_one_to_many_is_recovered():
    """One feature, two answers: genes go up or down together, around a level that the feature gives."""
    rng = np.random.default_rng(0)

    def sample(n):
        feature = rng.choice([-1.0, 1.0], (n, 1))
        side = rng.choice([-1.0, 1.0], (n, 1))
        return feature, np.hstack([feature + side, feature + side, feature - side]) + rng.normal(0, 0.15, (n, 3))

    feature, values = sample(200)
    training = plain(feature, values)
    model = make(training, BARE, {"n_steps": 12, "levels_per_step": 4})
    fit(model, training, 150, lr=1e-2)
    ask, _ = sample(200)
    drawn = draws(model, Batch(rng.uniform(0, 1000, (200, 2)), ask.astype(np.float32), np.array([0, 200])), 4)
    for level in (-1.0, 1.0):
        mine = drawn[:, ask[:, 0] == level].reshape(-1, 3)
        truth = values[feature[:, 0] == level]
        point = np.repeat(truth.mean(0, keepdims=True), len(truth), 0)
        assert energy_distance(mine, truth) < 0.1 * energy_distance(point, truth)


@pytest.mark.long
def test_routed_draws_agree_among_neighbours():
    """A side that each section takes as a whole, and that no feature tells: routed spots must choose together."""
    rng = np.random.default_rng(0)
    parts, n = 24, 9
    lattice = np.stack(np.meshgrid(np.arange(3), np.arange(3)), -1).reshape(-1, 2) * 100.0
    side = np.repeat(rng.choice([-1.0, 1.0], parts), n)[:, None]
    values = side + rng.normal(0, 0.6, (parts * n, 2))
    training = plain(np.zeros((parts * n, 2)), values, np.tile(lattice, (parts, 1)), parts)
    agreement = {}
    for routed in (True, False):
        model = make(training, BARE, {"routed": routed})
        fit(model, training, 80, lr=1e-2)
        drawn = draws(model, training.batch, 4).reshape(4, parts, n, 2)
        between = drawn.mean(2).var()
        agreement[routed] = between / drawn.var()
    truth = values.reshape(parts, n, 2).mean(1).var() / values.var()
    assert agreement[True] > 0.5 * truth  # 0.67 to 0.82 of it, by how sums are rounded
    assert agreement[False] < 0.35 * truth
