"""The interface of encoders: a frozen function from a spot's windows to a vector, with a card (source, licence)."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import torch
from pydantic import BeforeValidator
from torch import Tensor

from eosin.config import Registry, Settings
from eosin.errors import EosinError

E = TypeVar("E", bound="Encoder")
_WIDEST_UM = 1e6


@dataclass(frozen=True)
class View:
    """One square window around a spot.

    Attributes
    ----------
    width_um
        Side of the field of view, µm.
    px
        Side of the window that the encoder receives, pixels.

    Raises
    ------
    EosinError
        A side is not positive, or the width is above 1 m.
    """

    width_um: float
    px: int

    def __post_init__(self) -> None:
        if not (self.width_um > 0 and self.px > 0):
            raise EosinError(f"a window of {self.width_um} µm in {self.px} px is empty", fix="both must be positive")
        if self.width_um > _WIDEST_UM:
            raise EosinError(f"a window of {self.width_um:g} µm is wider than any slide", fix="give its width in µm")

    def __str__(self) -> str:
        return f"{self.width_um:.10g}um/{self.px}px"


@dataclass(frozen=True)
class EncoderCard:
    """Source, licence and preprocessing of an encoder.

    Attributes
    ----------
    name
        Name in `ENCODERS`, for timm with the architecture; without settings.
    source
        Where the weights come from.
    licence
        Licence of the weights; it also binds models that are trained on the features.
    commercial
        Whether that licence allows commercial use; False where it is unknown.
    gated
        Whether access to the weights must be applied for.
    width
        Number of features.
    citation
        What to cite.
    revision
        Commit of the source that the weights are from; None where none is known.
    architecture
        Name of the network.
    px, um_per_px
        Side (pixels) and scale (µm per pixel) of the window that it was made for.
    mean, std
        Normalisation of red, green and blue, on a scale of 0 to 1.
    layers
        Names of the layers whose output is taken; none: the last one's.
    pooling
        How the output of the network, or of its layers, becomes one vector.
    precision
        Type of number in which its authors compute; eosin uses float32 unless told otherwise.
    parameters
        Number of parameters.
    page
        Web page of the weights, with their licence and how to get access.
    note
        What is uncertain on this card.
    about
        Description in a few words.
    """

    name: str
    source: str
    licence: str
    commercial: bool
    gated: bool
    width: int
    citation: str
    revision: str | None = None
    architecture: str = ""
    px: int | None = None
    um_per_px: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layers: tuple[str, ...] = ()
    pooling: str = ""
    precision: str = ""
    parameters: int | None = None
    page: str = ""
    note: str = ""
    about: str = ""


def readable_name(name: str) -> str:
    """An encoder's name as part of the name of a folder."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name)


def hash_of_key(key: str) -> str:
    """12 hex digits of the SHA-256 of an encoder's key."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


class Encoder(ABC):
    """From the windows of a spot to one vector, which depends on no other spot.

    It may depend on its slide, as that of `stain` does on how darkly the slide is stained: `eosin.features.encode`
    shows a sample of the slide's windows to `for_slide` once, and encodes with what that returns. An encoder that was
    shown no slide works too, as for one of usual looks.

    Attributes
    ----------
    card
        Name, licence, number of features.
    views
        The windows that `encode` takes, in order.
    spec
        The text from which `get_encoder` makes the same encoder.
    device
        Where it computes.
    slide_views
        The windows that `for_slide` takes, in order; none for an encoder that does not depend on the slide.
    slide_facts
        What was measured on the slide, by name; kept in the feature file. Empty before `for_slide`.
    slide_notes
        What is unusual about the slide, one sentence each, for the log.
    """

    card: EncoderCard
    views: tuple[View, ...]
    spec: str
    device: torch.device = torch.device("cpu")
    slide_views: tuple[View, ...] = ()
    slide_facts: Mapping[str, float] = MappingProxyType({})
    slide_notes: tuple[str, ...] = ()

    @property
    @abstractmethod
    def key(self) -> str:
        """All that the numbers depend on: name, version, weights, windows, transform. Equal keys mean equal numbers."""

    @property
    def n_features(self) -> int:
        """Number of features per spot, f."""
        return self.card.width

    @property
    def blocks(self) -> tuple[int, ...]:
        """Numbers of features of the encoders that stand side by side in this one, in order."""
        return (self.n_features,)

    @property
    def folder(self) -> str:
        """Name of the folder of the encoder's feature files: its name and 12 hex digits of the hash of its key."""
        return f"{readable_name(self.card.name)}-{hash_of_key(self.key)}"

    @abstractmethod
    def encode(self, tiles: Sequence[Tensor]) -> Tensor:
        """Features of a batch of spots.

        Parameters
        ----------
        tiles
            One uint8 tensor [b px px 3] (RGB) per view, in the order of `views`.

        Returns
        -------
        Tensor
            float32 [b f], on `device`.
        """

    def for_slide(self, windows: Sequence[Tensor]) -> Encoder:
        """The encoder for one slide, with the same key; this one stays as it is.

        Parameters
        ----------
        windows
            A sample of the slide's windows on tissue: one uint8 tensor [n px px 3] (RGB) per view, in the order of
            `slide_views`. n may be 0, where none could be read.
        """
        del windows
        return self

    def to(self: E, device: torch.device | str) -> E:
        """Move the encoder to `device` and return it."""
        self.device = torch.device(device)
        return self

    def check_tiles(self, tiles: Sequence[Tensor]) -> None:
        """Check that windows have the number, shapes and type that `views` requires.

        Raises
        ------
        ValueError
            They have not: a fault of the caller.
        """
        fits = len(tiles) == len(self.views) and all(
            t.ndim == 4 and t.dtype == torch.uint8 and t.shape == (len(tiles[0]), v.px, v.px, 3)
            for t, v in zip(tiles, self.views)
        )
        if not fits:
            got = [(tuple(t.shape), t.dtype) for t in tiles]
            want = [f"[b {v.px} {v.px} 3] uint8" for v in self.views]
            raise ValueError(f"encoder '{self.card.name}' takes tiles {want}, got {got}")


def _split(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else (value,) if isinstance(value, int | float) else value


Floats = Annotated[tuple[float, ...], BeforeValidator(_split)]
"""A setting of one or several numbers; a spec separates them by commas."""
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""A setting of one or several names; a spec separates them by commas."""


def spec_of(head: str, settings: Settings, *, in_head: tuple[str, ...] = ()) -> str:
    """The spec `head?setting=value&...` of an encoder.

    Parameters
    ----------
    head
        Name, and argument if any.
    settings
        Those that differ from their defaults are written.
    in_head
        Names of settings that `head` states already.
    """
    written = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name not in in_head and value is not None and value != field.default:
            parts = value if isinstance(value, tuple) else (value,)
            written.append((name, ",".join(f"{v:.10g}" if isinstance(v, float) else str(v) for v in parts)))
    return head + ("?" + urlencode(written, safe=",/") if written else "")


Builder = Callable[..., Encoder]
"""`builder(argument, **settings)` makes an encoder; the argument follows `NAME:` or `NAME@` in a spec, else ''."""

ENCODERS: Registry[Builder] = Registry("encoder")
