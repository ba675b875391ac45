"""Cards of the published encoders: one TOML file each, read when it is needed."""

from __future__ import annotations

import functools
import tomllib
from importlib.resources import files
from typing import Any, Literal

from pydantic import Field

from eosin.config import Settings
from eosin.encoders.base import EncoderCard
from eosin.encoders.parts.tensor_names import Naming, Rules, Transformers
from eosin.errors import EosinError

NAMES = (
    *("uni", "uni2-h", "gigapath-tile", "conch", "conch-v1.5", "virchow", "virchow2"),
    *("h-optimus-0", "h-optimus-1", "h0-mini", "phikon", "phikon-v2", "hibou-b", "hibou-l"),
    *("kaiko-s16", "kaiko-s8", "kaiko-b16", "kaiko-b8", "kaiko-l14", "lunit-s16", "lunit-s8"),
    *("ctranspath", "ciga", "densenet121", "resnet50"),
)
"""Names of the published encoders; the card of each is `cards/NAME.toml`."""

Triple = tuple[float, float, float]


class ZooCard(Settings):
    """A published encoder: how to build it, where its weights are, and under which licence."""

    title: str = Field(description="what it is, in a few words")
    architecture: str = Field(description="name in timm")
    options: dict[str, Any] = Field({}, description="what timm's architecture is made with")
    mlp: Literal["gelu", "swiglu"] = Field("gelu", description="the layers between attentions")
    stem: Literal["patches", "convolutions"] = Field("patches", description="how an image becomes tokens")
    pooling: Literal["class", "class+mean", "mean", "attention", "attention without bias"] = Field(
        description="how tokens or a map become one vector"
    )
    width: int = Field(gt=0, description="number of features")
    parameters: int = Field(gt=0, description="number of parameters of what eosin builds")
    px: int = Field(gt=0, description="side of the window, pixels")
    um_per_px: float = Field(gt=0, description="scale it was made for, µm per pixel")
    mean: Triple = Field(description="mean of red, green, blue on 0-1")
    std: Triple = Field(description="their standard deviation")
    precision: str = Field("float32", description="in what its authors compute")
    hub: str | None = Field(None, description="ORGANISATION/MODEL on the hub, if it is there")
    file: str = Field("model.safetensors", description="name of the published file of weights")
    revision: str | None = Field(None, description="commit on the hub; none where none is known to hold the file")
    inside: str = Field("", description="key under which a published pickle holds the tensors")
    page: str = Field(description="where the weights are described and asked for")
    licence: str = Field(description="licence of the weights")
    commercial: bool = Field(False, description="whether it surely allows commercial use")
    gated: bool = Field(False, description="whether the weights must be applied for")
    citation: str = Field(description="what to cite")
    naming: Literal["timm", "transformers"] = Field("timm", description="whose names the tensors have")
    rename: list[tuple[str, str]] = Field([], description="regular expressions on names, and what stands for them")
    drop: list[str] = Field([], description="names that are left out")
    split: dict[str, list[str]] = Field({}, description="tensors that are several of ours, one after another")
    note: str = Field("", description="what is uncertain")

    @property
    def published(self) -> Naming:
        """Translation of the names of tensors in the published file."""
        return Transformers() if self.naming == "transformers" else Rules(self.rename, self.drop, self.split)

    @property
    def is_pickle(self) -> bool:
        """Whether the weights are published as a pickle only, which eosin does not open."""
        return not self.file.endswith(".safetensors")

    def encoder_card(self, name: str) -> EncoderCard:
        """The card in the form that every encoder has."""
        return EncoderCard(
            name=name,
            source=self.hub or self.page,
            licence=self.licence,
            commercial=self.commercial,
            gated=self.gated,
            width=self.width,
            citation=self.citation,
            revision=self.revision,
            architecture=self.architecture,
            px=self.px,
            um_per_px=self.um_per_px,
            mean=self.mean,
            std=self.std,
            pooling=self.pooling,
            precision=self.precision,
            parameters=self.parameters,
            page=self.page,
            note=self.note,
            about=self.title,
        )


@functools.cache
def zoo_card(name: str) -> ZooCard:
    """The card of a published encoder.

    Raises
    ------
    EosinError
        No published encoder has that name.
    """
    if name not in NAMES:
        raise EosinError(f"no published encoder is called '{name}'", fix=f"known ones: {', '.join(sorted(NAMES))}")
    text = files("eosin.encoders").joinpath("cards", f"{name}.toml").read_text(encoding="utf-8")
    return ZooCard.of(tomllib.loads(text), source=f"card '{name}'")
