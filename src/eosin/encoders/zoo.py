"""Published encoders by name, `uni@weights.safetensors`: built as their cards say, weights from a file or the hub."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from eosin.config import Settings
from eosin.encoders.base import ENCODERS, Floats, View, spec_of
from eosin.encoders.parts.conv_stem import ConvStem
from eosin.encoders.parts.field_of_view import with_current_names
from eosin.encoders.parts.network import Network, Precision
from eosin.encoders.parts.network_encoder import NetworkEncoder
from eosin.encoders.parts.published import NAMES, ZooCard, zoo_card
from eosin.encoders.parts.tensor_names import to_ours
from eosin.encoders.parts.token_pooling import POOLINGS
from eosin.encoders.parts.weights import fetch, fit, heads, locate, read_tensors
from eosin.errors import EosinError
from eosin.storage.files import sha256_file

log = logging.getLogger("eosin")

OPEN = ("stain", "phikon", "kaiko-b16")
"""Encoders without gated weights, named in errors as substitutes for gated ones."""
_UNTRAINED = "untrained"


class ZooSettings(Settings):
    """Settings of every published encoder."""

    weights: str | None = Field(
        None,
        description="a .safetensors file or its folder, or ORGANISATION/MODEL on the hub; the card's unless given",
    )
    revision: str | None = Field(None, description="commit on the hub; the card's unless given")
    tile_um: Floats | None = Field(
        None,
        min_length=1,
        description="fields of view, µm, features side by side; the card's pixels at its scale unless given",
    )
    precision: Precision = Field(
        "float32", description="of the products inside: float32, float16 or bfloat16; the last two suit a GPU"
    )


class Backbone(nn.Module):
    """A timm network, and the pooling that makes one vector of its output.

    Parameters
    ----------
    trunk
        The network, without classifier.
    pool
        Its output -> [b f].
    """

    def __init__(self, trunk: nn.Module, pool: nn.Module):
        super().__init__()
        self.trunk, self.pool = trunk, pool

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images [b 3 px px] -> features [b f]."""
        return self.pool(self.trunk.forward_features(images))


def backbone(name: str, *, depth: int | None = None) -> Backbone:
    """The network of a published encoder, with random weights.

    Parameters
    ----------
    name
        Name of the encoder.
    depth
        Number of blocks of a vision transformer; fewer than its own make a very large one quick to try out. Other
        networks are not shortened.
    """
    import timm
    from timm.layers import SwiGLUPacked

    card = zoo_card(name)
    parts: dict[str, Mapping[str, Any]] = {
        "gelu": {},
        "swiglu": {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU},
        "patches": {},
        "convolutions": {"embed_layer": ConvStem},
    }
    shallow = {} if depth is None or not card.architecture.startswith("vit_") else {"depth": depth}
    options = {**card.options, **parts[card.mlp], **parts[card.stem], **shallow}
    trunk = timm.create_model(card.architecture, pretrained=False, num_classes=0, **options)
    return Backbone(trunk, POOLINGS[card.pooling](trunk, card.width))


def build_untrained(name: str, *, depth: int | None = None, seed: int = 0) -> NetworkEncoder:
    """A published encoder with random weights, for tests of shapes and preprocessing.

    Parameters
    ----------
    name, depth
        See `backbone`.
    seed
        Seed of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = backbone(name, depth=depth)
    return _assembled(name, model, f"{_UNTRAINED}-{seed}-{depth}", ZooSettings.of({}), f"{name}?{_UNTRAINED}")


def _assembled(name: str, model: nn.Module, weights: str, settings: ZooSettings, spec: str) -> NetworkEncoder:
    """The encoder of a network with weights; `weights` identifies them, `spec` makes it again."""
    card = zoo_card(name)
    widths = settings.tile_um or (card.px * card.um_per_px,)
    published = card.encoder_card(name)
    return NetworkEncoder(
        replace(
            published,
            source=settings.weights or published.source,
            revision=settings.revision or (None if settings.weights else published.revision),
            width=card.width * len(widths),
        ),
        Network(model, card.mean, card.std, name=f"encoder '{name}'", precision=settings.precision),
        views=[View(width, card.px) for width in widths],
        weights=weights,
        pooling=card.pooling,
        spec=spec,
    )


def load(name: str, settings: ZooSettings) -> NetworkEncoder:
    """A published encoder with its weights.

    Parameters
    ----------
    name
        Name of the encoder.
    settings
        Weights, fields of view, precision.

    Raises
    ------
    EosinError
        The weights are missing, gated, a pickle, or of another network.
    """
    file = _file_of_weights(name, settings)
    model = backbone(name)
    fit_published(model, read_tensors(file), name, file=file)
    return _assembled(name, model, sha256_file(file), settings, spec_of(name, settings))


def fit_published(model: Backbone, given: Mapping[str, Tensor], name: str, *, file: Path) -> None:
    """Load tensors, under their published names or timm's, into the network of a published encoder.

    Parameters
    ----------
    model
        Changed in place.
    given
        Tensors by name.
    name
        Name of the encoder.
    file
        Where the tensors are from, for errors.

    Raises
    ------
    EosinError
        The tensors do not fit the network.
    """
    optional = [f"trunk.{head}" for head in heads(model.trunk)]
    fit(model, to_ours(given, zoo_card(name).published, model), f"encoder '{name}'", file=file, optional=optional)


def _file_of_weights(name: str, settings: ZooSettings) -> Path:
    """The file of weights that the settings name, else the published one from the hub."""
    if settings.weights is not None:
        return locate(settings.weights, settings.revision)
    card = zoo_card(name)
    if card.hub is None or card.is_pickle:
        raise EosinError(f"encoder '{name}' needs a file of weights", fix=_how_to_get(name, card))
    revision = settings.revision or card.revision
    if revision is None:
        log.warning("encoder '%s': no revision is pinned, so the hub's weights can change; give revision=COMMIT", name)
    return fetch(card.hub, card.file, revision, gated_fix=_how_to_get(name, card))


def _how_to_get(name: str, card: ZooCard) -> str:
    """One line that says how to get weights that cannot be downloaded without the user."""
    ask = f"ask for access at {card.page} and log in with a token" if card.gated else f"see {card.page}"
    substitutes = " or ".join(f"'{other}'" for other in OPEN if other != name)
    terms = f"the licence is {card.licence}; open substitutes: {substitutes}"
    if not card.is_pickle:
        return f"{ask}; {terms}"
    inside = f"['{card.inside}']" if card.inside else ""
    convert = (
        f"fetch {card.file}, which is a pickle, convert it yourself: "
        f"t = torch.load('{card.file}', weights_only=True){inside}; "
        "safetensors.torch.save_file({k: v.contiguous().clone() for k, v in t.items()}, 'w.safetensors'); "
        f"then ask for {name}@w.safetensors"
    )
    return f"{ask}, {convert}; {terms}"


def _builder(name: str) -> Callable[..., NetworkEncoder]:
    def build(argument: str = "", **settings: Any) -> NetworkEncoder:
        named = {"weights": argument} if argument else {}
        return load(name, ZooSettings.of(named, with_current_names(settings), source=f"encoder '{name}'"))

    build.__doc__ = f"The published encoder `{name}`; weights from a file, as `{name}@FILE`, or from the hub."
    return build


for _name in NAMES:
    ENCODERS.add(_name, _builder(_name))
