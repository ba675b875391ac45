"""Features of spots: one vector for each, from a frozen encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.storage.lazy_rows import LazyRows
from eosin.types.display import html_table, one_line


@dataclass(frozen=True)
class Features:
    """One vector for each spot's image, from a frozen encoder.

    Attributes
    ----------
    values
        [s f] float32: an array, or `LazyRows` of a file, of which rows are read where they are asked for. Those of a
        file are checked as they are read.
    encoder
        Spec by which `get_encoder` makes the encoder, as `stain`.
    key
        Encoder, version, weights, field of view and transform in one string: equal keys mean comparable numbers. That
        of another tool's file is `file;encoder=E;width=F;tile=224px;scale=20x`, without what the file does not tell.
    turned
        [s 7 f] float32: features of the same images under seven flips and quarter turns, for training; None where
        they were not encoded.
    licence
        Licence of the encoder's weights, which also binds what is trained on the features.
    commercial
        Whether that licence allows commercial use; False where it is unknown.
    blocks
        Numbers of features of the encoders that stand side by side, in order, as `(442, 442)`; empty where one encoder
        made them or nothing is known of it.
    facts
        What the encoder measured on the slide and took into account, by name; empty where it takes none.

    Raises
    ------
    EosinError
        An array of another shape, or one that holds NaN or infinity; blocks that do not add up to the features.
    """

    values: np.ndarray | LazyRows
    encoder: str
    key: str
    turned: np.ndarray | None = None
    licence: str = "unknown"
    commercial: bool = False
    blocks: tuple[int, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lazy = isinstance(self.values, LazyRows)
        values = self.values if lazy else np.ascontiguousarray(self.values, dtype=np.float32)
        if values.ndim != 2:
            raise EosinError(f"features have shape {values.shape}", fix="give one row per spot")
        object.__setattr__(self, "values", values)
        if self.turned is not None:
            object.__setattr__(self, "turned", np.asarray(self.turned, dtype=np.float32))  # a view, where large
            if self.turned.shape != (len(values), 7, values.shape[1]):
                raise EosinError(
                    f"features have shape {values.shape}, those of turned images {self.turned.shape}",
                    fix="give seven rows per spot",
                )
        if self.blocks and (min(self.blocks) < 1 or sum(self.blocks) != values.shape[1]):
            raise EosinError(
                f"blocks {self.blocks} of encoder '{self.encoder}' do not add up to its {values.shape[1]} features",
                fix="encode the section again",
            )
        in_memory = (None if lazy else values, self.turned)
        if not all(np.isfinite(part).all() for part in in_memory if part is not None):
            raise EosinError(
                f"features of encoder '{self.encoder}' hold NaN or infinity", fix="encode the section again"
            )

    def fits(self, key: str) -> bool:
        """Whether these features are comparable with those of a key.

        Keys must be equal. Of another tool's files only what both keys tell must be: files without attributes, and
        checkpoints of earlier versions, tell neither tile nor scale.
        """
        return self.key == key or _agree(_facts_of(self.key), _facts_of(key))

    def summary(self) -> str:
        """Size and encoder in a few words, as `177 x 1,024 by 'uni'`."""
        turned = "" if self.turned is None else " with those of turned tiles"
        return f"{len(self.values):,} x {self.values.shape[1]:,} by {self.encoder!r}{turned}"

    def __repr__(self) -> str:
        return one_line("Features", self.summary())

    def _repr_html_(self) -> str:
        size = f"{len(self.values):,} spots x {self.values.shape[1]:,} features"
        turned = None if self.turned is None else "also of the seven turned tiles"
        licence = (
            f"{self.licence} ({'commercial use' if self.commercial else 'commercial use not known to be allowed'})"
        )
        facts = {"size": size, "turned": turned, "encoder": self.encoder, "key": self.key, "licence": licence}
        return html_table("Features", facts)

    def take(self, rows: np.ndarray) -> Features:
        """The features of some spots, in the order of `rows`; those on disk stay there."""
        turned = None if self.turned is None else self.turned[rows]
        values: Any = self.values.chosen(rows) if isinstance(self.values, LazyRows) else self.values[rows]
        return replace(self, values=values, turned=turned)


def _facts_of(key: str) -> dict[str, str]:
    """What the key of another tool's features tells, by name; nothing for a key of an encoder of eosin."""
    kind, *facts = key.split(";")
    if kind != "file":
        return {}
    parts = (fact.partition("=") for fact in facts)
    return {name: value for name, _, value in parts}


def _agree(facts: dict[str, str], others: dict[str, str]) -> bool:
    return bool(facts and others) and all(facts[name] == others[name] for name in facts.keys() & others.keys())
