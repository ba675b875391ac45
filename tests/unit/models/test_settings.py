"""Every setting of a model changes what the trained model draws: none is dead."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest

import tiles
import toy
from eosin.engine import predict, train
from eosin.models import MODELS

Given = dict[str, Any]

TINY: Given = {"width": 8, "edge_width": 8, "n_layers": 1, "n_heads": 2, "n_steps": 2, "n_components": 6}
TRAIN: Given = {"epochs": 1, "regions_per_section": 2, "lr": 0.01, "early_stopping": False}
ZINB: Given = {"prior": "zinb", "precondition": False, "base": "none"}

STFLOW: dict[str, tuple[Any, Given]] = {
    # setting: another value, and the settings without which it has nothing to act on
    "n_layers": (2, {}),
    "width": (16, {}),
    "edge_width": (16, {}),
    "n_heads": (4, {}),
    "n_neighbours": (3, {}),
    "reach_um": (110.0, {}),
    "include_ties": (True, {"lattice": True}),
    "dropout": (0.6, {}),
    "length_um": (30.0, {}),
    "min_gap": (0.9, {}),
    "frame_averaging": (False, {}),
    "flow_matching": (False, {}),
    "absolute_expression": (False, {}),
    "prior": ("zinb", {}),
    "prior_mean": (2.0, ZINB),
    "prior_dispersion": (0.05, ZINB),
    "prior_zeros": (0.05, ZINB),
    "n_steps": (4, {}),
    "sampler": ("heun", {}),
    "time_grid": ("release", {}),
    "n_components": (None, {}),
    "standardise": (False, {}),
    "precondition": (False, {}),
    "base": ("none", {}),
}
RIDGE: dict[str, tuple[Any, Given]] = {
    "n_components": (3, {}),
    "penalties": ((50.0,), {}),
    "smoothing": ((0.5,), {}),
    "n_neighbours": (2, {"smoothing": (0.5,)}),
    "reach_um": (110.0, {"smoothing": (0.5,)}),
    "centre_sections": (False, {}),
}
TABLES = {"stflow": STFLOW, "ridge": RIDGE, "gene-mean": {}}
BASE: dict[str, Given] = {"stflow": TINY, "ridge": {}, "gene-mean": {}}

TABLES |= {
    "knn": {
        "n_neighbours": ((3,), {}),
        "metric": ("cosine", {}),
        "weights": ("uniform", {}),
        "standardise": (False, {}),
        "n_components": (3, {}),
    },
    "forest": {
        "n_trees": (3, {}),
        "per_gene": (True, {}),
        "max_depth": (2, {}),
        "min_leaf": (12, {}),
        "max_features": (1.0, {}),
    },
    "hest-ridge": {
        "n_components": (3, {}),
        "standardise": (False, {}),
        "penalty": (100.0, {}),
        "solver": ("cholesky", {}),
        "add_mean": (True, {}),
    },
    "stnet": {
        "epochs": ((7,), {}),
        "lr": (1e-3, {}),
        "momentum": (0.5, {}),
        "batch_size": (5, {}),
        "standardise": (False, {}),
    },
    "bleep": {
        "width": (16, {}),
        "dropout": (0.6, {}),
        "temperature": (1.0, {}),
        "n_retrieved": (3, {}),
        "weights": ("distance", {}),
        "batch_size": (8, {}),
        "mix_sections": (True, {}),
        "through_targets": (True, {"weights": "distance", "width": 8}),
        "transposed_targets": (True, {"weights": "distance", "width": 8}),
        "n_components": (None, {}),
        "standardise": (False, {}),
    },
}
BASE |= {"knn": {}, "forest": {"n_trees": 5}, "hest-ridge": {}, "stnet": {"epochs": (5,)}, "bleep": {"n_components": 6}}
SERIAL: Given = {"serial": True}
TABLES |= {
    "kernel": {
        "members": ("one", {"two_encoders": True}),
        "rings": ((4,), {}),
        "ring_weight": (0.9, {}),
        "linear": (False, {}),
        "rbf": (False, {}),
        "n_components": (2, {}),
        "centre_sections": (False, {}),
        "heads": (False, {}),
        "penalties": ((50.0,), {}),
        "smoothing": ((0.5,), {}),
        "n_neighbours": (2, {"smoothing": (0.5,)}),
        "reach_um": (110.0, {}),
        "n_choice_genes": (1, {}),
        "n_exact": (30, {"n_landmarks": 40}),
        "n_landmarks": (40, {"n_exact": 30}),
        "seed": (1, {"n_exact": 30, "n_landmarks": 40}),
        "registration": (False, SERIAL),
        "gate": (False, {"other": True}),
        "register_weights": ((0.25,), SERIAL),
        "register_lengths": ((5.0,), SERIAL),
        "n_map_components": (1, {**SERIAL, "register_weights": (1.0,), "gate": False}),
    },
}
BASE |= {"kernel": {}}

TABLES |= {
    "stem": {
        "depth": (2, {}),
        "width": (16, {}),
        "n_heads": (4, {}),
        "mlp_ratio": (2.0, {}),
        "condition_width": (None, {}),
        "dropout": (0.6, {}),
        "feature_dropout": (0.0, {}),
        "n_components": (None, {}),
        "standardise": (False, {}),
        "base": ("none", {}),
        "precondition": (False, {}),
        "learned_variance": (True, {}),
        "n_times": (30, {}),
        "beta_first": (1e-3, {}),
        "beta_last": (0.3, {}),
        "sampler": ("ddim", {}),
        "n_steps": (4, {}),
        "mirrored": (False, {}),
        "spots_per_step": (8, {}),
    },
}
BASE |= {
    "stem": {
        "width": 8,
        "depth": 1,
        "n_heads": 2,
        "condition_width": 8,
        "n_components": 6,
        "n_times": 20,
        "beta_last": 0.5,
        "n_steps": 3,
    }
}

FLOW = {name: STFLOW[name] for name in list(STFLOW)[list(STFLOW).index("prior") :]}
"""What every flow has, whatever its denoiser."""

TABLES |= {
    "egnn": {
        "n_layers": (2, {}),
        "width": (16, {}),
        "n_neighbours": (3, {}),
        "reach_um": (110.0, {}),
        "include_ties": (True, {"lattice": True}),
        "dropout": (0.6, {}),
        "move_positions": (True, {"n_layers": 2}),
        **FLOW,
    },
    "e2cnn": {
        "n_channels": (None, {}),
        "n_first": (2, {}),
        "n_fields": (2, {}),
        "n_stages": (2, {}),
        "pool": (True, {}),
        "dropout": (0.6, {}),
        **FLOW,
    },
}
BASE |= {
    "egnn": {"n_layers": 1, "width": 8, "n_steps": 2, "n_components": 6},
    "e2cnn": {"n_channels": 4, "n_first": 1, "n_fields": 1, "n_steps": 2, "n_components": 6},
}


POINT: dict[str, tuple[Any, Given]] = {
    "ratio": (1.0, {}),
    "dropout": (0.6, {}),
    "n_components": (None, {}),
    "standardise": (False, {}),
    "base": ("none", {}),
}
TABLES |= {
    "triplex": {
        "width": (16, {}),
        "n_heads": (4, {}),
        "n_window_layers": (2, {}),
        "n_global_layers": (2, {}),
        "n_fusion_layers": (2, {}),
        "n_neighbours": (5, {}),
        "reach_um": (110.0, {}),
        "distillation": (0.9, {}),
        "released_norms": (True, {}),
        "residual_positions": (False, {}),
        "clamp": (True, {"base": "none", "standardise": False}),
        **POINT,
    },
    "histogene": {
        "width": (16, {}),
        "n_layers": (2, {}),
        "n_heads": (4, {}),
        "head_width": (8, {}),
        "positions": ("linear", {}),
        "length_um": (30.0, {}),
        **POINT,
    },
}
BASE |= {
    "triplex": {"width": 8, "n_heads": 2, "n_components": 6},
    "histogene": {"width": 8, "n_heads": 2, "head_width": 4, "n_components": 6},
}


def gene_vectors() -> str:
    """A file of vectors for the genes of the toy sections."""
    path = Path(mkdtemp()) / "vectors.csv"
    path.write_text("gene,a,b\n" + "".join(f"GENE{i},{i - 4},{i % 3}\n" for i in range(toy.N_GENES)))
    return str(path)


@cache
def image_weights() -> str:
    """A file of weights for the smallest image network; made when it is needed, as timm is slow to import."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(1)
    path = Path(mkdtemp()) / "weights.safetensors"
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), path)
    return str(path)


JOINT: Given = {"diffuse": "nodes-and-edges"}
TABLES |= {
    "flag": {
        "diffuse": ("nodes", {}),
        "graph_width": (16, {}),
        "graph_depth": (2, {}),
        "graph_heads": (4, {}),
        "released_graph": (True, {"diffuse": "nodes"}),
        "edge_width": (8, JOINT),
        "blocks": (True, {"diffuse": "nodes"}),
        "n_neighbours": (3, {"diffuse": "nodes"}),
        "reach_um": (110.0, {"diffuse": "nodes"}),
        "block_um": (300.0, {"diffuse": "nodes", "blocks": True}),
        "block_spots": (5, {"diffuse": "nodes", "blocks": True}),
        "length_um": (30.0, {"diffuse": "nodes"}),
        "routed": (False, {}),
        "spatial_graph": (False, {}),
        "diffusion": (False, {}),
        "hand_over": ("genes", {}),
        "bridge_width": (16, {}),
        "width": (16, {}),
        "depth": (3, {}),
        "n_heads": (4, {}),
        "dropout": (0.6, {}),
        "align": (1.0, {}),
        "align_block": (2, {}),
        "align_width": (16, {}),
        "vector_width": (2, {}),
        "vectors": (gene_vectors(), {}),
        "consistency": (5.0, JOINT),
        "sigma_smallest": (0.1, {}),
        "sigma_largest": (3.0, {}),
        "time_scale": (1.0, {}),
        "levels_per_step": (2, {}),
        "n_steps": (4, {}),
        "levels": ("even", {}),
        "mirrored": (False, {}),
        "clamp": (True, {"base": "none", "precondition": False}),
        "n_components": (None, {}),
        "standardise": (False, {}),
        "precondition": (False, {}),
        "base": ("none", {}),
    },
}
BASE |= {
    "flag": {
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
        "levels_per_step": 1,
        "n_steps": 2,
        "n_components": 6,
    },
}


PIXELS: Given = {"pixels": True}
SEES: Given = {**PIXELS, "image_px": tiles.PX, "image_backbone": "test_resnet"}
TABLES["triplex"] |= {
    "image_px": (tiles.PX, {**PIXELS, "image_backbone": "test_resnet"}),
    "image_backbone": ("test_efficientnet", SEES),
    "image_weights": ("a file", SEES),
    "image_turns": (False, SEES),
}
TABLES["histogene"] |= {"image_px": (tiles.PX, PIXELS)}
WHOLE: Given = {**SEES, "epochs": MODELS["stnet"].settings.model_fields["epochs"].default}
TABLES["stnet"] |= {
    "image_px": (tiles.PX, {name: value for name, value in WHOLE.items() if name != "image_px"}),
    "image_backbone": ("test_efficientnet", WHOLE),
    "image_weights": ("a file", WHOLE),
    "image_turns": (False, WHOLE),
}


PRIORS = ("residual", "zinb", "zinb-logits", "gaussian", "zero", "empirical")


FIXTURES = ("lattice", "pixels", "two_encoders", "serial", "other")


@cache
def cohort(*, lattice: bool, pixels: bool, two_encoders: bool, serial: bool, other: bool) -> tuple:
    """Three sections; on an exact lattice many neighbours are equally near. Pixels stand behind the features.

    Blocks: the features are of two encoders side by side. Serial: sections through one tissue; other: the last one is
    through another.
    """
    from dataclasses import replace

    if serial or other:
        tissues = (0, 0, 0, 5) if other else (0, 0, 0, 0)
        return tuple(toy.serial(f"A{i}", seed=i, angle=0.7 * i, of=of) for i, of in enumerate(tissues))
    sections = [toy.section(name, 36) for name in ("A1", "B1", "B2")]
    if two_encoders:
        sections = [replace(s, features=replace(s.need_features(), blocks=(5, 7))) for s in sections]
    if pixels:
        sections = [tiles.with_tiles(section) for section in sections]
    if lattice:
        places = [np.round(s.spots.xy_um / 100) * 100 for s in sections]
        sections = [replace(s, spots=replace(s.spots, xy_um=xy)) for s, xy in zip(sections, places)]
    return tuple(sections)


_drawn: dict[str, np.ndarray] = {}


def draws(model: str, given: Given) -> np.ndarray:
    """Draws on the last section after training on the others."""
    key = f"{model} {sorted(given.items(), key=str)}"
    if key not in _drawn:
        settings = {name: value for name, value in given.items() if name not in FIXTURES}
        if "base" in MODELS[model].settings.model_fields:
            settings = {"base": "ridge", **settings}  # the kernel costs more than the network that stands on it
        if "image_weights" in settings:
            settings["image_weights"] = image_weights()
        *training, judged = cohort(**{name: name in given for name in FIXTURES})
        tables = {"model": {**BASE[model], **settings}, "train": TRAIN}
        trained = train(training, model=model, settings=tables, panel="var:4", seed=0)
        _drawn[key] = predict(trained, judged, draws=2, seed=0).draws
    return _drawn[key]


@pytest.mark.parametrize("model", [name for name in MODELS if name != "gigapath"])  # its own: test_gigapath.py
def test_the_tables_hold_every_setting(model: str) -> None:
    assert set(TABLES[model]) == set(MODELS[model].settings.model_fields)


@pytest.mark.parametrize(("model", "name"), [(model, name) for model in TABLES for name in TABLES[model]])
def test_every_setting_changes_the_draws(model: str, name: str) -> None:
    value, needed = TABLES[model][name]
    plain, changed = draws(model, needed), draws(model, {**needed, name: value})
    assert plain.shape[1:] == changed.shape[1:]  # a model that no longer draws gives its one answer
    assert not np.allclose(plain, changed, atol=1e-6)


def test_training_of_the_same_settings_is_the_same() -> None:
    """Else the tests above would pass on noise alone."""
    one = draws("stflow", {}).copy()
    _drawn.clear()
    assert np.array_equal(one, draws("stflow", {}))


def test_every_prior_gives_draws_of_its_own() -> None:
    found = {prior: draws("stflow", {"prior": prior}) for prior in PRIORS}
    for i, one in enumerate(PRIORS):
        for other in PRIORS[i + 1 :]:
            assert not np.allclose(found[one], found[other], atol=1e-6), (one, other)


@pytest.mark.parametrize("preset", MODELS["stflow"].presets)
def test_presets_hold_only_known_settings(preset: str) -> None:
    from eosin.engine import TrainSettings

    tables = MODELS["stflow"].presets[preset]
    made = MODELS["stflow"].settings.of(tables.get("model", {}))
    assert made != MODELS["stflow"].settings.of()
    TrainSettings.of(tables.get("train", {}))
