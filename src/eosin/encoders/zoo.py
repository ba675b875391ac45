"""Published encoders by name, `uni@weights.safetensors`: built as their cards say, weights from a file or the hub."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from eosin.config import Settings
from eosin.encoders.base import ENCODERS, Encoder, EncoderCard, Floats, View, spec_of
from eosin.encoders.parts.conv_stem import ConvStem
from eosin.encoders.parts.field_of_view import renamed
from eosin.encoders.parts.network import Network, Precision
from eosin.encoders.parts.published import NAMES, ZooCard, zoo_card
from eosin.encoders.parts.tensor_names import to_ours
from eosin.encoders.parts.token_pooling import POOLINGS
from eosin.encoders.parts.weights import fetch, fit, heads, locate, read_tensors
from eosin.errors import EosinError
from eosin.storage.files import sha256_file

log = logging.getLogger("eosin")

OPEN = ("stain", "phikon", "kaiko-b16")
"""Encoders that need no one's leave: what to use where a gate is closed."""
_UNTRAINED = "untrained"


class ZooSettings(Settings):
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
    """A timm network and what makes one vector of its output."""

    def __init__(self, trunk: nn.Module, pool: nn.Module):
        super().__init__()
        self.trunk, self.pool = trunk, pool

    def forward(self, images: Tensor) -> Tensor:  # [b 3 px px] -> [b f]
        return self.pool(self.trunk.forward_features(images))


class Zoo(Encoder):
    """A published encoder, frozen, over one field of view or several.

    Parameters
    ----------
    card
        What it is.
    model
        Its network, with weights.
    weights
        What tells these weights from others: a hash.
    name, settings, spec
        As it was asked for.
    """

    def __init__(self, card: ZooCard, model: nn.Module, weights: str, *, name: str, settings: ZooSettings, spec: str):
        widths = settings.tile_um or (card.px * card.um_per_px,)
        self.views = tuple(View(width, card.px) for width in widths)
        self.spec = spec
        self._network = Network(model, card.mean, card.std, name=f"encoder '{name}'", precision=settings.precision)
        self._weights, self._precision = weights, settings.precision
        own: EncoderCard = card.encoder_card(name)
        self.card = replace(
            own,
            source=settings.weights or own.source,
            revision=settings.revision or (None if settings.weights else own.revision),
            width=card.width * len(widths),
        )

    @property
    def key(self) -> str:
        import timm

        parts = {
            "weights": self._weights,
            "views": ",".join(map(str, self.views)),
            "pooling": self.card.pooling,
            "mean": ",".join(f"{m:.9g}" for m in self.card.mean),
            "std": ",".join(f"{s:.9g}" for s in self.card.std),
            "precision": self._precision,
            "resize": "bicubic",
            "timm": timm.__version__.split(".")[0],
        }
        return f"{self.card.name};" + ";".join(f"{name}={value}" for name, value in parts.items())

    def to(self, device: torch.device | str) -> Zoo:
        self._network.to(device)
        return super().to(device)

    def encode(self, tiles: Sequence[Tensor]) -> Tensor:
        self.check_tiles(tiles)
        return self._network.features(tiles)


def backbone(name: str, *, depth: int | None = None) -> Backbone:
    """The network of a published encoder, with random weights.

    Parameters
    ----------
    name
        Of the encoder.
    depth
        Blocks of a vision transformer, if fewer than its own: a giant can then be tried out. Other networks stay whole.
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


def build_untrained(name: str, *, depth: int | None = None, seed: int = 0) -> Zoo:
    """A published encoder with random weights: its shapes and its preprocessing, for tests.

    Parameters
    ----------
    name, depth
        See `backbone`.
    seed
        Of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = backbone(name, depth=depth)
    weights = f"{_UNTRAINED}-{seed}-{depth}"
    return Zoo(zoo_card(name), model, weights, name=name, settings=ZooSettings.of({}), spec=f"{name}?{_UNTRAINED}")


def load(name: str, settings: ZooSettings) -> Zoo:
    """A published encoder with its weights.

    Raises
    ------
    EosinError
        The weights are not there, gated, a pickle, or of another network.
    """
    card = zoo_card(name)
    file = _source(name, card, settings)
    model = backbone(name)
    fit_published(model, read_tensors(file), name, file=file)
    return Zoo(card, model, sha256_file(file), name=name, settings=settings, spec=spec_of(name, settings))


def fit_published(model: Backbone, given: Mapping[str, Tensor], name: str, *, file: Path) -> None:
    """Put tensors under their published names, or timm's, into the network of a published encoder."""
    optional = [f"trunk.{head}" for head in heads(model.trunk)]
    fit(model, to_ours(given, zoo_card(name).published, model), f"encoder '{name}'", file=file, optional=optional)


def _source(name: str, card: ZooCard, settings: ZooSettings) -> Path:
    """The file of weights: as asked for, else the published one."""
    if settings.weights is not None:
        return locate(settings.weights, settings.revision)
    if card.hub is None or card.is_pickle:
        raise EosinError(f"encoder '{name}' needs a file of weights", fix=_way(name, card))
    revision = settings.revision or card.revision
    if revision is None:
        log.warning("encoder '%s': no revision is pinned, so the hub's weights can change; give revision=COMMIT", name)
    return fetch(card.hub, card.file, revision, gated_fix=_way(name, card))


def _way(name: str, card: ZooCard) -> str:
    """How the weights are had, where they do not come by themselves: one line."""
    ask = f"ask for access at {card.page} and log in with a token" if card.gated else f"see {card.page}"
    substitutes = " or ".join(f"'{one}'" for one in OPEN if one != name)
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


def _builder(name: str) -> Callable[..., Zoo]:
    def build(argument: str = "", **settings: Any) -> Zoo:
        named = {"weights": argument} if argument else {}
        return load(name, ZooSettings.of(named, renamed(settings), source=f"encoder '{name}'"))

    build.__doc__ = f"The published encoder `{name}`; weights from a file, as `{name}@FILE`, or from the hub."
    return build


for _name in NAMES:
    ENCODERS.add(_name, _builder(_name))
