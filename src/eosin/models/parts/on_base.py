"""A learned model in the units of its network, which may generate what a closed-form model leaves over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor

from eosin.config import Settings, need_known
from eosin.models.base import MODELS, Learned, Model, Training
from eosin.models.parts.base_model import DEFAULT_BASE, NO_BASE, BaseModel, SomeOutOfFold, base_of
from eosin.models.parts.named_arrays import below, under
from eosin.models.parts.patients import SpotOrigins, section_means
from eosin.models.parts.pieces import Piece, Pieces
from eosin.models.parts.scaling import InputMap, ValueScale
from eosin.row_blocks import row_blocks
from eosin.storage.lazy_rows import LazyRows
from eosin.storage.scratch import let_go, scratch_table
from eosin.types import Batch, GenePanel

_NUMBERS_AT_ONCE = 1 << 22
_PREDICTED_AT_ONCE = 1 << 25
"""Values of training spots that the base predicts out of fold together: 128 MiB, of which it needs some beside."""


class OnBaseSettings(Settings, ABC):
    """What every learned model on a base can be set to; models derive their settings from it."""

    n_components: int | None = Field(
        128, ge=1, description="principal components of the features; none: all features, standardised"
    )
    standardise: bool = Field(True, description="give every gene mean 0 and sd 1 inside the network")
    base: str = Field(
        DEFAULT_BASE,
        description="closed-form model of which the network predicts or generates what it leaves over, out of fold: "
        "`kernel`, `ridge`, another that predicts out of fold, or `none`",
    )

    @field_validator("base", mode="before")
    @classmethod
    def _name_of_base(cls, value: Any) -> Any:
        """A known name; true and false of older files mean `ridge` and `none`; no value is no base."""
        name = "ridge" if value is True else NO_BASE if value is False or value is None else value
        if name != NO_BASE and isinstance(name, str):
            need_known(name, [*MODELS, NO_BASE], "base")
        return name


class OnBaseContext(Protocol):
    """What every model on a base keeps of a prepared batch."""

    @property
    def base(self) -> Tensor:
        """The base's prediction [s g]; [1 1] of zero without a base."""
        ...


@dataclass(frozen=True)
class NetworkUnits:
    """What stands between a batch and a network.

    Attributes
    ----------
    inputs
        Features -> the network's inputs.
    scale
        Values less the base's prediction <-> the network's outputs.
    base
        The closed-form model beneath; none: the network has to produce the values themselves.
    """

    inputs: InputMap
    scale: ValueScale
    base: BaseModel | None

    @classmethod
    def of(cls, settings: OnBaseSettings, n_features: int, panel: GenePanel) -> NetworkUnits:
        """The three as the settings ask for them, not fitted yet."""
        return cls(
            InputMap(n_features, settings.n_components),
            ValueScale(len(panel), standardise=settings.standardise),
            base_of(settings.base, n_features, panel),
        )


class OnBase(Learned):
    """A learned model that keeps its units: fits them before training, and changes from and to them.

    For training spots the base's prediction is made out of fold, else the model would learn to trust it too much.
    """

    def __init__(self, units: NetworkUnits):
        super().__init__()
        self.inputs, self.scale, self.base = units.inputs, units.scale, units.base
        self._out_of_fold: np.ndarray | None = None

    @property
    def starts_from_base(self) -> bool:
        """Whether there is a base, which an untrained network leaves as it is."""
        return self.base is not None

    @property
    def trains_on_rows(self) -> bool:
        """Where the base does."""
        return self.base is None or (isinstance(self.base, Model) and self.base.trains_on_rows)

    @property
    def n_genes(self) -> int:
        """Genes of the panel."""
        return len(self.scale.mean)

    def observe(self, training: Training) -> None:
        """Fit inputs, base and scale, then whatever else the model fits to what the base leaves over."""
        self.inputs.observe(training.batch.features)
        left_over = self._solve_base(training)
        self.scale.observe(left_over)
        self.observe_left_over(training, left_over)

    @abstractmethod
    def observe_left_over(self, training: Training, left_over: np.ndarray) -> None:
        """Fit other parts, once, before training.

        Parameters
        ----------
        training
            The training sections.
        left_over
            [s g] float32, what the base leaves of the target; the target itself without a base.
        """

    def _solve_base(self, training: Training) -> np.ndarray:
        """What the base leaves of the target [s g] out of fold, centred within sections; all of it without a base.

        The mean of a section is left out: a base that has not seen a patient misses the patient's level, and a network
        that learned to add it would add it a second time where the base knows the patient.
        """
        if self.base is None:
            return training.target
        self.base.solve(training)
        target, left_over = training.target, scratch_table(training.target.shape)
        for rows, predicted in self._base_out_of_fold(training):
            left_over[rows] = target[rows] - predicted
            let_go(left_over)
        section = training.batch.part_of_spot()
        means, number = section_means(left_over, section), np.unique(section, return_inverse=True)[1].reshape(-1)
        self._out_of_fold = scratch_table(target.shape)
        for rows in row_blocks(len(target), budget=_NUMBERS_AT_ONCE, per_row=target.shape[1]):
            left_over[rows] -= means[number[rows]]
            self._out_of_fold[rows] = target[rows] - left_over[rows]
            let_go(left_over, self._out_of_fold)
        return left_over

    def _base_out_of_fold(self, training: Training) -> Iterator[tuple[slice, np.ndarray]]:
        """Training spots and what the base says of them [r g] without their fold; many spots some at a time."""
        assert self.base is not None
        folds = replace(training, groups=SpotOrigins.of(training).sections_in_folds())
        n, n_genes = training.target.shape
        if n * n_genes <= _PREDICTED_AT_ONCE or not isinstance(self.base, SomeOutOfFold):
            yield slice(0, n), self.base.out_of_fold(folds)
            return
        for rows in row_blocks(n, budget=_PREDICTED_AT_ONCE, per_row=n_genes):
            yield rows, self.base.some_out_of_fold(folds, np.arange(rows.start, rows.stop))

    def remarks(self, batch: Batch) -> dict[str, Any]:
        """What the base says of how it predicts these spots."""
        return {} if self.base is None else self.base.remarks(batch)

    def enter(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """A batch in the network's units, on its device: inputs [s n], and the base's prediction ([1 1] without)."""
        return self.inputs_of(batch), self._predict_base(batch).to(self.scale.mean.device)

    def inputs_of(self, batch: Batch) -> Tensor:
        """The network's inputs [s n], on its device; features on disk are read some at a time."""
        features, device = batch.features, self.scale.mean.device
        blocks = features.blocks() if isinstance(features, LazyRows) else [slice(None)]
        return torch.cat([self.inputs(torch.from_numpy(features[rows]).to(device)) for rows in blocks])

    @property
    def base_in_pieces(self) -> bool:
        """Whether the base can be predicted in pieces, or there is none."""
        return self.base is None or (isinstance(self.base, Model) and self.base.reach is not None)

    def predict_base_in_pieces(self, pieces: Pieces) -> np.ndarray | None:
        """[s g] what the base says of one section, as a table that may lie on disk; None without a base."""
        if self.base is None:
            return None
        assert isinstance(self.base, Model)
        table = pieces.table(len(pieces), self.n_genes)

        def put(rows: np.ndarray, drawn: np.ndarray) -> None:
            table[rows] = drawn[0]
            let_go(table)

        self.base.draw_in_pieces(pieces, 1, torch.Generator(), put)
        return table

    def enter_piece(self, piece: Piece, base: np.ndarray | None) -> tuple[Tensor, Tensor]:
        """`enter` for a piece of a section, of which the base's prediction [s g] is known."""
        if base is None:
            return self.inputs_of(piece.batch), torch.zeros(1, 1, device=self.scale.mean.device)
        found = torch.from_numpy(base[piece.rows]).to(self.scale.mean.device)
        let_go(base)
        return self.inputs_of(piece.batch), found

    def _predict_base(self, batch: Batch) -> Tensor:
        """[s g] in the panel's values, out of fold for training spots; [1 1] of zero without a base."""
        if self.base is None:
            return torch.zeros(1, 1)
        if batch.training_rows is not None and self._out_of_fold is not None:
            return torch.from_numpy(self._out_of_fold[batch.training_rows])
        return torch.from_numpy(self.base.predict(batch).astype(np.float32))

    def to_network(self, values: Tensor, base: Tensor) -> Tensor:
        """Values [.. s g] of the panel in the network's units, given the base's prediction."""
        return (values - base - self.scale.mean) / self.scale.sd

    def to_values(self, answer: Tensor, base: Tensor) -> Tensor:
        """The way back of `to_network`."""
        return answer * self.scale.sd + self.scale.mean + base

    def arrays(self) -> dict[str, Tensor]:
        """The network's, the units', and behind the prefix `base.` the base's."""
        own = super().arrays()
        return own if self.base is None else own | under("base.", self.base.arrays())

    def load_arrays(self, arrays: Mapping[str, Tensor]) -> None:
        """Take back what `arrays` gave."""
        if self.base is not None:
            self.base.load_arrays(below("base.", arrays))
        super().load_arrays({k: v for k, v in arrays.items() if not k.startswith("base.")})

    @property
    def n_parameters(self) -> int:
        """Trainable numbers of the network, and the base's fitted ones."""
        return super().n_parameters + (0 if self.base is None else self.base.n_parameters)
