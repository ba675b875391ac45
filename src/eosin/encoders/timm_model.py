"""`timm`: any image model of timm, with weights from a local safetensors file or from the hub.

`timm:ARCH@WEIGHTS`, as `timm:resnet50@weights/resnet50.safetensors` or `timm:resnet50@timm/resnet50.a1_in1k`. A
classifier in the file is left out; everything else must fit the architecture exactly. `?layers=blocks.2,blocks.3` takes
the maps of middle layers instead of the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator
from torch import nn

from eosin.config import Settings, did_you_mean
from eosin.encoders.base import ENCODERS, EncoderCard, Floats, Names, View, spec_of
from eosin.encoders.parts.field_of_view import with_current_names
from eosin.encoders.parts.middle_layers import MapPooling, MiddleLayers
from eosin.encoders.parts.network import Network, Precision
from eosin.encoders.parts.network_encoder import NetworkEncoder
from eosin.encoders.parts.weights import fit, heads, locate, read_tensors
from eosin.errors import EosinError
from eosin.storage.files import sha256_file

_UNKNOWN = "unknown: see the source of the weights"


class TimmSettings(Settings):
    """Settings of the encoder `timm`."""

    arch: str = Field(description="name of the architecture in timm")
    weights: str = Field(description="a .safetensors file or its folder, or ORGANISATION/MODEL on the hub")
    revision: str | None = Field(None, description="commit on the hub; give one, or the numbers can change")
    tile_um: Floats = Field(
        (112.0,),
        min_length=1,
        description="fields of view, µm, features side by side; 112 µm at 224 px is 0.5 µm/px, which pathology models "
        "know; a model of photographs gains from wider ones, as 165,330",
    )
    px: int | None = Field(
        None, ge=16, le=2048, description="side of the window, pixels; the architecture's own unless given"
    )
    mean: Floats | None = Field(
        None, description="mean of red, green, blue on 0-1; the architecture's own unless given"
    )
    std: Floats | None = Field(None, description="their standard deviation; the architecture's own unless given")
    layers: Names | None = Field(
        None,
        min_length=1,
        description="middle layers whose maps are taken, by commas, as blocks.2,blocks.3; the last one unless given",
    )
    pooling: MapPooling | None = Field(
        None,
        description="how a map becomes a vector: mean over pixels, mean+sd, or gram, its Gram matrix; mean of layers, "
        "else the architecture's own, unless given",
    )
    pad_type: str | None = Field(None, description="'same' for weights converted from TensorFlow")
    precision: Precision = Field(
        "float32", description="of the products inside: float32, float16 or bfloat16; the last two suit a GPU"
    )
    licence: str = Field(_UNKNOWN, description="licence of the weights, carried into every result")
    commercial: bool = Field(False, description="whether that licence allows commercial use")

    @field_validator("pooling", mode="before")
    @classmethod
    def _with_plus(cls, value: Any) -> Any:
        return value.replace(" ", "+") if isinstance(value, str) else value  # in a spec, `+` means a space

    @property
    def map_pooling(self) -> MapPooling | None:
        """How maps are pooled; None for the architecture's own pooling of its last layer."""
        return self.pooling or (None if self.layers is None else "mean")


def timm_encoder(settings: TimmSettings) -> NetworkEncoder:
    """A timm model without its classifier, over one field of view or several.

    Raises
    ------
    EosinError
        Unknown architecture, or weights that are missing, a pickle, or of another architecture.
    """
    file = locate(settings.weights, settings.revision)
    model = _architecture(settings)
    label = f"timm model '{settings.arch}'"
    fit(model, read_tensors(file), label, file=file, optional=heads(model))
    own: Mapping[str, Any] = model.pretrained_cfg
    mean, std = settings.mean or own.get("mean") or (), settings.std or own.get("std") or ()
    layers, pooling = settings.layers or (), settings.map_pooling
    pooled = model if pooling is None else MiddleLayers(model, layers, pooling)
    network = Network(pooled, mean, std, name=label, precision=settings.precision)
    px = settings.px or own["input_size"][-1]
    card = EncoderCard(
        name=f"timm:{settings.arch}",
        source=settings.weights,
        licence=settings.licence,
        commercial=settings.commercial,
        gated=False,
        width=network.width(px, len(settings.tile_um)),
        citation="Wightman, PyTorch Image Models, doi 10.5281/zenodo.4414861; and the authors of the weights",
        revision=settings.revision,
        architecture=settings.arch,
        px=px,
        um_per_px=settings.tile_um[0] / px,
        mean=network.mean,
        std=network.std,
        layers=layers,
        pooling=pooling or "the architecture's own",
        precision=settings.precision,
        parameters=sum(tensor.numel() for tensor in model.parameters()),
    )
    return NetworkEncoder(
        card,
        network,
        views=[View(width, px) for width in settings.tile_um],
        weights=sha256_file(file),
        padding=settings.pad_type or "default",
        pooling=None if pooling is None else " of ".join([pooling, *([",".join(layers)] if layers else [])]),
        spec=spec_of(f"timm:{settings.arch}@{settings.weights}", settings, in_head=("arch", "weights")),
    )


def _architecture(settings: TimmSettings) -> nn.Module:
    """The network with random weights and without classifier; an `EosinError` where timm cannot make it."""
    import timm

    extra = {} if settings.pad_type is None else {"pad_type": settings.pad_type}
    if settings.arch.partition(".")[0] not in timm.list_models():
        near = timm.list_models(f"*{settings.arch[:8]}*")[:3]
        raise EosinError(
            f"timm {timm.__version__} has no architecture '{settings.arch}'",
            fix=did_you_mean(near, "see timm.list_models()"),
        )
    try:
        return timm.create_model(settings.arch, pretrained=False, num_classes=0, **extra)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise EosinError(f"timm cannot make '{settings.arch}' with these settings ({error})") from error


@ENCODERS.register("timm")
def build(argument: str = "", **settings: Any) -> NetworkEncoder:
    """Any image model of timm, as `timm:ARCH@WEIGHTS`.

    The architecture and its weights may also be given as settings.
    """
    arch, _, weights = argument.partition("@")
    named = {name: value for name, value in (("arch", arch), ("weights", weights)) if value}
    missing = [name for name in ("arch", "weights") if name not in {**named, **settings}]
    if missing:
        raise EosinError(
            f"encoder 'timm' needs its {' and '.join(missing)}",
            fix="ask for it as timm:ARCH@WEIGHTS.safetensors or timm:ARCH@ORGANISATION/MODEL",
        )
    return timm_encoder(TimmSettings.of(named, with_current_names(settings), source="encoder 'timm'"))
