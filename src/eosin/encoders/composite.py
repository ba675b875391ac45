"""Several encoders as one, `stain+pixels?px=64`: their windows in order, their vectors concatenated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from eosin.encoders.base import Encoder, EncoderCard


class Composite(Encoder):
    """Several encoders whose vectors are concatenated, in the order in which they are named.

    Parameters
    ----------
    parts
        The encoders.
    """

    def __init__(self, parts: Sequence[Encoder]):
        self._parts = tuple(parts)
        cards = [part.card for part in parts]
        self.views = tuple(view for part in parts for view in part.views)
        self.slide_views = tuple(dict.fromkeys(view for part in parts for view in part.slide_views))
        self.slide_facts = _merged([part.slide_facts for part in parts])
        self.slide_notes = tuple(dict.fromkeys(note for part in parts for note in part.slide_notes))
        self.spec = "+".join(part.spec for part in parts)
        self.card = EncoderCard(
            name="+".join(card.name for card in cards),
            source="; ".join(dict.fromkeys(card.source for card in cards)),
            licence=" and ".join(dict.fromkeys(card.licence for card in cards)),
            commercial=all(card.commercial for card in cards),
            gated=any(card.gated for card in cards),
            width=sum(card.width for card in cards),
            parameters=sum(card.parameters or 0 for card in cards) or None,
            citation="; ".join(dict.fromkeys(card.citation for card in cards)),
            about="; ".join(card.about for card in cards),
        )

    @property
    def parts(self) -> tuple[Encoder, ...]:
        """The encoders."""
        return self._parts

    @property
    def key(self) -> str:
        """Keys of the parts, joined by `+`."""
        return "+".join(part.key for part in self._parts)

    @property
    def blocks(self) -> tuple[int, ...]:
        """Numbers of features of the parts."""
        return tuple(width for part in self._parts for width in part.blocks)

    def for_slide(self, windows: Sequence[Tensor]) -> Composite:
        """The encoder with each part for the slide; parts that take the same window of it share it."""
        of_view = dict(zip(self.slide_views, windows))
        adapted = Composite([part.for_slide([of_view[view] for view in part.slide_views]) for part in self._parts])
        adapted.device = self.device
        return adapted

    def to(self, device: torch.device | str) -> Composite:
        """Move all parts to `device` and return the encoder."""
        self._parts = tuple(part.to(device) for part in self._parts)
        return super().to(device)

    def encode(self, tiles: Sequence[Tensor]) -> Tensor:
        """Features [b f] float32: those of the parts, concatenated; each part takes its own windows."""
        self.check_tiles(tiles)
        ends = [0]
        for part in self._parts:
            ends.append(ends[-1] + len(part.views))
        return torch.cat([part.encode(tiles[a:b]) for part, (a, b) in zip(self._parts, pairwise(ends))], 1)


def _merged(facts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Facts of all parts; where two parts measured another number, the later one's name ends in that part's place."""
    merged: dict[str, float] = {}
    for place, own in enumerate(facts, 1):
        for name, value in own.items():
            merged[name if merged.get(name, value) == value else f"{name}_{place}"] = value
    return merged
