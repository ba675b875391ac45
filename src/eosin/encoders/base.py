"""What an encoder is: a frozen function from a spot's windows to a vector, with a card that says whose it is."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
        Side of the window that the encoder is given, pixels.
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
    """Whose an encoder is, and on what terms.

    Attributes
    ----------
    name
        As it is asked for, without settings.
    source
        Where the weights come from.
    licence
        Licence of the weights: it binds what is trained on the features, too.
    commercial
        Whether that licence allows commercial use; False where it is unknown.
    gated
        Whether the weights must be applied for.
    width
        Number of features.
    citation
        What to cite.
    revision
        Commit of the source that the weights are taken from; None where none is known.
    architecture
        Name of the network.
    px, um_per_px
        Side and scale of the window it was made for: pixels, and µm per pixel.
    mean, std
        Normalisation of red, green and blue on 0-1.
    pooling
        How its output becomes one vector.
    precision
        In what its authors compute. eosin computes in float32 unless asked otherwise.
    parameters
        Number of parameters.
    page
        Where the weights, their licence, and access to them are found.
    note
        What is uncertain on this card.
    about
        What it is, in a few words.
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
    pooling: str = ""
    precision: str = ""
    parameters: int | None = None
    page: str = ""
    note: str = ""
    about: str = ""


class Encoder(ABC):
    """Windows of a spot -> one vector, each spot by itself: no spot's features depend on another spot or on the slide.

    Attributes
    ----------
    card
        Name, terms, width.
    views
        The windows that `encode` takes, in their order.
    spec
        The text by which `get_encoder` makes this very encoder again.
    """

    card: EncoderCard
    views: tuple[View, ...]
    spec: str
    device: torch.device = torch.device("cpu")

    @property
    @abstractmethod
    def key(self) -> str:
        """All that changes the numbers: name, version, weights, windows, transform. Equal keys, equal numbers."""

    @property
    def n_features(self) -> int:
        return self.card.width

    @property
    def folder(self) -> str:
        """Folder name of this encoder's feature files: readable name and hash of the key."""
        readable = "".join(c if c.isalnum() or c in "._-" else "-" for c in self.card.name)
        return f"{readable}-{hashlib.sha256(self.key.encode()).hexdigest()[:12]}"

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

    def to(self: E, device: torch.device | str) -> E:
        """The encoder, now computing on `device`."""
        self.device = torch.device(device)
        return self

    def check_tiles(self, tiles: Sequence[Tensor]) -> None:
        """Refuse windows that are not what `views` asks for: a programming error, told at once."""
        got = [(tuple(t.shape), t.dtype) for t in tiles]
        ok = len(tiles) == len(self.views) and all(
            t.ndim == 4 and t.dtype == torch.uint8 and t.shape == (len(tiles[0]), v.px, v.px, 3)
            for t, v in zip(tiles, self.views)
        )
        if not ok:
            want = [f"[b {v.px} {v.px} 3] uint8" for v in self.views]
            raise ValueError(f"encoder '{self.card.name}' takes tiles {want}, got {got}")


def _split(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else (value,) if isinstance(value, int | float) else value


Floats = Annotated[tuple[float, ...], BeforeValidator(_split)]
"""A setting of one number or several; in a spec they are written with commas."""


def spec_of(head: str, settings: Settings, *, beside: tuple[str, ...] = ()) -> str:
    """`head?setting=value&...` with the settings that are not at their defaults, but for those in the head."""
    written = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name not in beside and value is not None and value != field.default:
            parts = value if isinstance(value, tuple) else (value,)
            written.append((name, ",".join(f"{v:.10g}" if isinstance(v, float) else str(v) for v in parts)))
    return head + ("?" + urlencode(written, safe=",/") if written else "")


Builder = Callable[..., Encoder]
"""`builder(argument, **settings)`: the argument is what follows the name and a colon in a spec, or ''."""

ENCODERS: Registry[Builder] = Registry("encoder")
