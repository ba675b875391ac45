"""Tensors under their published names give the network they were made for, whoever published them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from eosin.encoders.parts.published import zoo_card
from eosin.encoders.zoo import Backbone, backbone, fit_published
from eosin.errors import EosinError

pytestmark = pytest.mark.usefixtures("quick_weights")

Tensors = dict[str, Tensor]
FILE = Path("w.safetensors")


def random_backbone(name: str, seed: int, depth: int | None = None) -> Backbone:
    """A network in which every tensor matters: none is left at zero or one."""
    model, rng = backbone(name, depth=depth).eval(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.copy_(value + 0.02 * torch.rand(value.shape, generator=rng))
    return model


def images(name: str) -> Tensor:
    return torch.rand(1, 3, zoo_card(name).px, zoo_card(name).px, generator=torch.Generator().manual_seed(9))


def renamed(tensors: Tensors, *rules: tuple[str, str]) -> Tensors:
    for pattern, instead in rules:
        tensors = {re.sub(pattern, instead, name): value for name, value in tensors.items()}
    return tensors


def as_in_transformers(tensors: Tensors) -> Tensors:
    """timm's ViT as `transformers` writes it, with the pooler and mask token that it adds."""
    out: Tensors = {"pooler.dense.weight": torch.rand(3), "embeddings.mask_token": torch.rand(3)}
    for name, value in tensors.items():
        if found := re.fullmatch(r"trunk\.blocks\.(\d+)\.attn\.qkv\.(\w+)", name):
            layer, kind = found.groups()
            for part, piece in zip(("query", "key", "value"), value.chunk(3)):
                out[f"encoder.layer.{layer}.attention.attention.{part}.{kind}"] = piece
        else:
            out[name] = value
    if "trunk.reg_token" in out:  # there the class token has a row in the table of positions
        row = torch.rand_like(out["trunk.cls_token"])
        out["trunk.cls_token"] = out["trunk.cls_token"] - row
        out["trunk.pos_embed"] = torch.cat([row, out["trunk.pos_embed"]], 1)
    return renamed(
        out,
        (r"^trunk\.blocks\.(\d+)\.", r"encoder.layer.\1."),
        (r"^trunk\.(cls_token)", r"embeddings.\1"),
        (r"^trunk\.pos_embed", "embeddings.position_embeddings"),
        (r"^trunk\.reg_token", "embeddings.register_tokens"),
        (r"^trunk\.patch_embed\.proj", "embeddings.patch_embeddings.projection"),
        (r"^trunk\.norm\.", "layernorm."),
        (r"\.attn\.proj\.", ".attention.output.dense."),
    )


def phikon(tensors: Tensors) -> Tensors:
    return renamed(
        as_in_transformers(tensors),
        (r"\.norm1\.", ".layernorm_before."),
        (r"\.norm2\.", ".layernorm_after."),
        (r"\.mlp\.fc1\.", ".intermediate.dense."),
        (r"\.mlp\.fc2\.", ".output.dense."),
    )


def dinov2(tensors: Tensors) -> Tensors:
    return renamed(as_in_transformers(tensors), (r"\.ls([12])\.gamma", r".layer_scale\1.lambda1"))


def hibou(tensors: Tensors) -> Tensors:
    return renamed(dinov2(tensors), (r"\.mlp\.fc1\.", ".mlp.weights_in."), (r"\.mlp\.fc2\.", ".mlp.weights_out."))


def conch(tensors: Tensors) -> Tensors:
    named = renamed(
        tensors,
        (r"^trunk\.", "visual.trunk."),
        (r"^pool\.norm\.", "visual.ln_contrast."),
        (r"^pool\.", "visual.attn_pool_contrast."),
    )
    unused = ("visual.proj_contrast", "visual.attn_pool_caption.query", "text.token_embedding.weight", "logit_scale")
    return {**named, **{name: torch.rand(2) for name in unused}}


def conch15(tensors: Tensors) -> Tensors:
    tensors = dict(tensors)
    parts = [tensors.pop(f"pool.attn.{one}_proj_weight") for one in "kv"]
    tensors["attn_pool_contrast.to_kv.weight"] = torch.cat(parts)
    return renamed(
        tensors,
        (r"^pool\.attn\.q_proj_weight$", "attn_pool_contrast.to_q.weight"),
        (r"^pool\.attn\.out_proj\.", "attn_pool_contrast.to_out."),
        (r"^pool\.norm\.", "ln_contrast."),
        (r"^pool\.", "attn_pool_contrast."),
    )


def ctranspath(tensors: Tensors) -> Tensors:
    """As timm 0.5 named a Swin: stages that end with their downsampling, and tables that are computed anew today."""
    named = {
        re.sub(r"^trunk\.layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", name): value
        for name, value in tensors.items()
    }
    tables = ("layers.0.blocks.1.attn_mask", "layers.0.blocks.0.attn.relative_position_index")
    return {**renamed(named, (r"^trunk\.", "")), **{name: torch.rand(2) for name in tables}}


def ciga(tensors: Tensors) -> Tensors:
    return {**renamed(tensors, (r"^trunk\.", "model.resnet.")), "model.resnet.fc.1.weight": torch.rand(2)}


PUBLISHED: dict[str, tuple[Callable[[Tensors], Tensors], int | None]] = {
    "phikon": (phikon, 2),
    "phikon-v2": (dinov2, 1),
    "hibou-b": (hibou, 2),
    "conch": (conch, 1),
    "conch-v1.5": (conch15, 1),
    "ctranspath": (ctranspath, None),
    "ciga": (ciga, None),
}


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_published_names_give_the_same_network(name: str) -> None:
    publish, depth = PUBLISHED[name]
    made, loaded = random_backbone(name, 1, depth), random_backbone(name, 2, depth)
    image = images(name)
    with torch.inference_mode():
        want = made(image)
        assert not torch.allclose(loaded(image), want, rtol=1e-3, atol=1e-4)
        fit_published(loaded, publish(dict(made.state_dict())), name, file=FILE)
        torch.testing.assert_close(loaded(image), want, rtol=1e-4, atol=5e-5)


def test_every_card_with_names_of_its_own_is_tested() -> None:
    from eosin.encoders.parts.published import NAMES

    own = {one for one in NAMES if zoo_card(one).rename or zoo_card(one).naming != "timm"}
    assert own - {"hibou-l"} == set(PUBLISHED)  # hibou-l: the names of hibou-b


@pytest.mark.parametrize("prefix", ["trunk.", ""])
def test_timm_names_are_taken_as_they_are(prefix: str) -> None:
    """CTransPath's stages shift by one where it was published; a converted file must not be shifted again."""
    made, loaded = random_backbone("ctranspath", 1), random_backbone("ctranspath", 2)
    given = renamed(dict(made.state_dict()), (r"^trunk\.", prefix))
    fit_published(loaded, given, "ctranspath", file=FILE)
    assert all(torch.equal(value, made.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_weights_of_another_network_are_refused_by_name() -> None:
    given = phikon(dict(random_backbone("phikon", 1, 1).state_dict()))
    with pytest.raises(EosinError, match=r"w\.safetensors: the weights lack \d+ tensors of encoder 'phikon'"):
        fit_published(random_backbone("phikon", 2, 2), given, "phikon", file=FILE)
    given["encoder.layer.0.attention.attention.query.weight"] = torch.rand(5, 5)
    with pytest.raises(EosinError, match="lack 1 tensors"):
        fit_published(random_backbone("phikon", 2, 1), given, "phikon", file=FILE)
