"""Translation of published names of tensors to ours: by the rules of a card, or from the `transformers` library.

Our names are `trunk.` and timm's name, and `pool.` and the name in `token_pooling.AttentionPool`.
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
    """A translation of the names of tensors in a published file."""

    @abstractmethod
    def ours(self, given: Mapping[str, Tensor]) -> Tensors:
        """The tensors under our names; those that no encoder needs are left out."""


@dataclass(frozen=True)
class Rules(Naming):
    """Translation by regular expressions: every rule on every name, in order; then some are dropped or split.

    Attributes
    ----------
    rename
        Pairs of a pattern and its replacement.
    drop
        Patterns of (renamed) names that are left out.
    split
        From a (renamed) name to the names of its equal parts along the first axis.
    """

    rename: Sequence[tuple[str, str]] = ()
    drop: Sequence[str] = ()
    split: Mapping[str, Sequence[str]] | None = None

    def ours(self, given: Mapping[str, Tensor]) -> Tensors:
        """The tensors under our names, without those that `drop` matches."""
        named = {}
        for name, value in given.items():
            for pattern, replacement in self.rename:
                name = re.sub(pattern, replacement, name)
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
    """Translation of ViT and DINOv2 (with or without registers) as the `transformers` library names them.

    Query, key and value become one tensor. In timm the table of positions of a network with registers has no row for
    the class token: the row is added to the token itself, which gives the same sum.

    Attributes
    ----------
    rules
        Translation of all other names.
    """

    rules: Rules = Rules(_NAMES_OF_TRANSFORMERS, _UNUSED_OF_TRANSFORMERS)

    def ours(self, given: Mapping[str, Tensor]) -> Tensors:
        """The tensors under our names, with query, key and value joined."""
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
        if match := _QUERY.match(name):
            layer, kind = match.groups()
            parts = [f"{layer}.attention.attention.{role}.{kind}" for role in ("query", "key", "value")]
            if len({joined[part].shape if part in joined else None for part in parts}) == 1:  # else `fit` reports it
                joined[f"{layer}.attn.qkv.{kind}"] = torch.cat([joined.pop(part) for part in parts])
    return joined


def to_ours(given: Mapping[str, Tensor], naming: Naming, model: nn.Module) -> Tensors:
    """Tensors under our names, whether they have published names, timm's, or ours.

    Parameters
    ----------
    given
        Tensors by name.
    naming
        Translation of the published names.
    model
        The network that they are for: names that it knows are kept.
    """
    plain = {_prefixed(name): value for name, value in given.items()}
    needed = {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}
    return plain if needed <= set(plain) else naming.ours(given)
