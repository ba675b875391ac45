"""Published names of tensors -> ours: rules of each card, and the one conversion of the `transformers` library.

Ours are `trunk.` with timm's names, and `pool.` with those of `pooling.AttentionPool`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor]


class Naming(ABC):
    """A way in which tensors are named where the weights are published."""

    @abstractmethod
    def ours(self, given: Mapping[str, Tensor]) -> Tensors:
        """The tensors under our names; what no encoder needs is left out."""


@dataclass(frozen=True)
class Rules(Naming):
    """Regular expressions: each rule once on every name, in their order; then names to leave out and to split.

    Attributes
    ----------
    rename
        Pairs of a pattern and what stands for it.
    drop
        Patterns of (renamed) names that are left out.
    split
        A (renamed) name -> the names of its equal parts along the first axis.
    """

    rename: Sequence[tuple[str, str]] = ()
    drop: Sequence[str] = ()
    split: Mapping[str, Sequence[str]] | None = None

    def ours(self, given: Mapping[str, Tensor]) -> Tensors:
        named = {}
        for name, value in given.items():
            for pattern, instead in self.rename:
                name = re.sub(pattern, instead, name)
            if any(re.search(pattern, name) for pattern in self.drop):
                continue
            parts = (self.split or {}).get(name, [name])
            pieces = [value] if len(parts) == 1 else value.chunk(len(parts))
            named.update((_prefixed(part), piece) for part, piece in zip(parts, pieces))
        return named


def _prefixed(name: str) -> str:
    return name if name.startswith(("trunk.", "pool.")) else f"trunk.{name}"


_NAMES_OF_TRANSFORMERS = (
    (r"^(vit|dinov2|dinov2_with_registers)\.", ""),
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.(register_tokens|reg_tokens)$", "reg_token"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^layernorm\.", "norm."),
    (r"^encoder\.layer\.(\d+)\.", r"blocks.\1."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.(output\.dense|mlp\.weights_out)\.", ".mlp.fc2."),
    (r"\.mlp\.weights_in\.", ".mlp.fc1."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
)
_UNUSED_OF_TRANSFORMERS = (r"(^|\.)pooler\.", r"(^|\.)mask_token$", r"(^|\.)classifier\.")
_QUERY = re.compile(r"^(.*)\.attention\.attention\.query\.(weight|bias)$")


@dataclass(frozen=True)
class Transformers(Naming):
    """ViT and DINOv2 (with or without registers) as the `transformers` library names them.

    Query, key and value become one tensor. In timm a network with registers has no row for the class token in its
    table of positions: the row is added to the token itself, which is the same sum.
    """

    rules: Rules = Rules(_NAMES_OF_TRANSFORMERS, _UNUSED_OF_TRANSFORMERS)

    def ours(self, given: Mapping[str, Tensor]) -> Tensors:
        named = self.rules.ours(_join_attention(given))
        if {"trunk.reg_token", "trunk.pos_embed", "trunk.cls_token"} <= set(named):
            positions, token = named["trunk.pos_embed"], named["trunk.cls_token"]  # [1 1+patches d], [1 1 d]
            named["trunk.cls_token"] = token + positions[:, :1]
            named["trunk.pos_embed"] = positions[:, 1:]
        return named


def _join_attention(given: Mapping[str, Tensor]) -> Tensors:
    """Query, key and value of each layer, stacked as one `attn.qkv`."""
    joined = dict(given)
    for name in given:
        if found := _QUERY.match(name):
            layer, kind = found.groups()
            parts = [f"{layer}.attention.attention.{one}.{kind}" for one in ("query", "key", "value")]
            if len({joined[part].shape if part in joined else None for part in parts}) == 1:  # else told as a misfit
                joined[f"{layer}.attn.qkv.{kind}"] = torch.cat([joined.pop(part) for part in parts])
    return joined


def to_ours(given: Mapping[str, Tensor], naming: Naming, model: nn.Module) -> Tensors:
    """Tensors under our names, whether they have the published names, timm's, or ours already."""
    plain = {_prefixed(name): value for name, value in given.items()}
    needed = {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}
    return plain if needed <= set(plain) else naming.ours(given)
