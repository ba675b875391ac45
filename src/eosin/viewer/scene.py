"""What a page shows, as messages by name: the same ones from a server, from a folder and in a notebook."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eosin.genes import TRANSFORMS
from eosin.geometry import nearest_spacing
from eosin.types import Prediction
from eosin.viewer.gene_values import HIGH, LOW, PredictedValues, ValueSource
from eosin.viewer.gene_vectors import pack, pack_vectors
from eosin.viewer.slide_pyramid import SlidePyramid
from eosin.viewer.spot_blocks import SpotBlocks, block_spots

_NAME = re.compile(r"([a-z]+)((?:/\d{1,9}){0,2})")
_KEPT = 32
_OUTLINE_STEP_UM = 0.1
_FEWEST_DRAWS, _MOST_DRAWN = 8, 1 << 22


@dataclass(frozen=True)
class Region:
    """A region of tissue.

    Attributes
    ----------
    name
        What a page calls it.
    rings_um
        Its outlines [c 2], µm; a point is inside where it is in an odd number of them.
    """

    name: str
    rings_um: tuple[np.ndarray, ...]


class Scene:
    """A prediction and what is shown beside it.

    Parameters
    ----------
    prediction
        What is shown.
    pyramid
        The slide; None where there is none.
    truth
        What was measured, where it is known.
    others
        Predictions of other models.
    regions
        Regions to begin with.
    notes
        What the page is to say.
    """

    def __init__(
        self,
        prediction: Prediction,
        *,
        pyramid: SlidePyramid | None = None,
        truth: ValueSource | None = None,
        others: Sequence[ValueSource] = (),
        regions: Sequence[Region] = (),
        notes: Sequence[str] = (),
    ) -> None:
        self.prediction, self.pyramid, self.regions, self.notes = prediction, pyramid, regions, notes
        self.sources: list[ValueSource] = [PredictedValues(prediction, "Predicted")]
        self.sources += [] if truth is None else [truth]
        self.sources += others
        self.has_truth = truth is not None
        self.blocks: SpotBlocks = block_spots(prediction.spots.xy_um)
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, name: str) -> bytes | None:
        """The message of a name (see `pack`); None where there is none.

        `scene`, `spots`, `distance`, `gene/SOURCE/COLUMN`, `draws/COLUMN`, and of one block of spots `ids/BLOCK`,
        `outlines/BLOCK`.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        kept = self._kept.get(name)
        if kept is not None:
            return kept
        numbers = [int(part) for part in match[2].split("/")[1:]]
        makers: dict[tuple[str, int], Callable[..., bytes | None]] = {
            ("scene", 0): self._scene,
            ("spots", 0): self._spots,
            ("distance", 0): self._distance,
            ("gene", 2): self._gene,
            ("draws", 1): self._draws,
            ("ids", 1): self._ids,
            ("outlines", 1): self._outlines,
        }
        maker = makers.get((match[1], len(numbers)))
        message = None if maker is None else maker(*numbers)
        if message is not None:
            self._keep(name, message)
        return message

    def names(self) -> Iterator[str]:
        """The name of every message that there is, but for draws: many numbers, and a page goes without."""
        yield from ("scene", "spots")
        if self.prediction.likeness is not None:
            yield "distance"
        for source in range(len(self.sources)):
            yield from (f"gene/{source}/{column}" for column in range(len(self.prediction.panel)))
        for block in range(len(self.blocks)):
            yield f"ids/{block}"
            if self._has_outlines:
                yield f"outlines/{block}"

    def close(self) -> None:
        """Close the slide, where there is one."""
        if self.pyramid is not None:
            self.pyramid.close()

    def _keep(self, name: str, message: bytes) -> None:
        with self._lock:
            self._kept[name] = message
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    @property
    def _has_outlines(self) -> bool:
        footprints = self.prediction.spots.footprints
        return footprints is not None and footprints.outlines is not None

    def _scene(self) -> bytes:
        prediction, spots = self.prediction, self.prediction.spots
        xy, likeness = spots.xy_um, prediction.likeness
        facts: dict[str, Any] = {
            "section": prediction.section,
            "model": prediction.model,
            "unit": TRANSFORMS[prediction.panel.transform].unit,
            "spots_or_cells": spots.unit,
            "summary": spots.summary(),
            "n": len(spots),
            "diameter_um": float(spots.diameter_um),
            "spacing_um": nearest_spacing(xy) if len(spots) > 1 else float(spots.diameter_um),
            "extent_um": [*map(float, xy.min(0)), *map(float, xy.max(0))],
            "starts": self.blocks.starts.tolist(),
            "boxes_um": np.round(self.blocks.boxes_um, 3).tolist(),
            "genes": list(prediction.panel.names),
            "trust": None if prediction.trust is None else list(prediction.trust.verdicts),
            "trust_pcc": None if prediction.trust is None else _plain(prediction.trust.inner_pcc),
            "trust_kind": None if prediction.trust is None else prediction.trust.kind,
            "slide": None if self.pyramid is None else self.pyramid.describe(),
            "sources": [source.title for source in self.sources],
            "truth": 1 if self.has_truth else None,
            "interval": [LOW, HIGH] if prediction.has_spread else None,
            "n_draws": self._n_draws,
            "n_independent_draws": prediction.n_draws // 2 if prediction.mirrored else prediction.n_draws,
            "interval_of": None if prediction.error_bars is None else prediction.error_bars.kind,
            "distance_limit": None if likeness is None else float(likeness.spot_limit),
            "likeness": None if likeness is None else likeness.line(),
            "has_outlines": self._has_outlines,
            "regions": [
                {"name": region.name, "rings": [np.round(ring, 2).tolist() for ring in region.rings_um]}
                for region in self.regions
            ],
            "notes": list(self.notes),
        }
        return pack(facts, {})

    def _spots(self) -> bytes:
        spots, order = self.prediction.spots, self.blocks.order
        arrays = {"xy_um": spots.xy_um[order].astype(np.float32).reshape(-1)}
        if spots.footprints is not None:
            arrays["widths_um"] = spots.widths_um()[order].astype(np.float32)
        return pack({}, arrays)

    def _distance(self) -> bytes | None:
        likeness = self.prediction.likeness
        return None if likeness is None else pack_vectors({"mean": likeness.distance[self.blocks.order]}, {})

    def _gene(self, source: int, column: int) -> bytes | None:
        if source >= len(self.sources) or column >= len(self.prediction.panel):
            return None
        values = self.sources[source].of_gene(column)
        vectors = {name: vector[self.blocks.order] for name, vector in values.vectors.items()}
        return pack_vectors(vectors, values.facts)

    @property
    def _n_draws(self) -> int | None:
        """How many draws a page may ask for; None where they are too few for an interval, or too many to send."""
        n = self.prediction.n_draws
        return n if n >= _FEWEST_DRAWS and n * len(self.prediction.spots) <= _MOST_DRAWN else None

    def _draws(self, column: int) -> bytes | None:
        if self._n_draws is None or column >= len(self.prediction.panel):
            return None
        values = self.prediction.draws[:, :, column][:, self.blocks.order]  # [k s]
        return pack_vectors({"draws": values.reshape(-1)}, {})

    def _ids(self, block: int) -> bytes | None:
        if block >= len(self.blocks):
            return None
        return pack({"ids": [self.prediction.spots.ids[row] for row in self.blocks.rows(block)]}, {})

    def _outlines(self, block: int) -> bytes | None:
        footprints = self.prediction.spots.footprints
        if block >= len(self.blocks) or footprints is None or footprints.outlines is None:
            return None
        rows = self.blocks.rows(block)
        outlines = footprints.outlines.take(rows)
        sizes = np.diff(outlines.starts)
        away = outlines.corners_um - np.repeat(self.prediction.spots.xy_um[rows], sizes, axis=0)
        steps = np.clip(np.rint(away / _OUTLINE_STEP_UM), -32767, 32767).astype(np.int16)
        return pack({"step_um": _OUTLINE_STEP_UM}, {"sizes": sizes.astype(np.uint16), "steps": steps.reshape(-1)})


def _plain(values: np.ndarray) -> list[float | None]:
    return [round(float(value), 4) if np.isfinite(value) else None for value in values]
