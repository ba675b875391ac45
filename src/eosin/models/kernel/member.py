"""One member: the kernel of one encoder's features, and its regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from eosin.models.kernel.context import Context
from eosin.models.kernel.gram import NUMBERS_AT_ONCE, Likeness, Look
from eosin.models.kernel.settings import KernelSettings
from eosin.models.kernel.spectrum import Spectrum
from eosin.models.parts.patients import within_sections
from eosin.row_blocks import row_blocks


@dataclass(frozen=True)
class Member:
    """A kernel regression of some spots, for any penalty.

    Attributes
    ----------
    likeness
        The kernel.
    anchors
        The training spots, or landmarks, that it compares with.
    spectrum
        What it makes of that.
    """

    likeness: Likeness
    anchors: Look
    spectrum: Spectrum

    @classmethod
    def of(
        cls, context: Context, target: np.ndarray, section: np.ndarray, rows: np.ndarray, settings: KernelSettings
    ) -> Member:
        """Fit to some training spots.

        Parameters
        ----------
        context
            All spots, with the features of this member.
        target
            [s g] their values.
        section
            [s] their sections.
        rows
            Those to fit to.
        settings
            Of the model.
        """
        exact = len(rows) <= settings.n_exact
        anchors = rows if exact else landmarks(section[rows], rows, settings)
        likeness = Likeness.of(
            context,
            rows,
            anchors,
            ring_weight=settings.ring_weight,
            n_components=settings.n_components,
            linear=settings.linear,
            rbf=settings.rbf,
        )
        look = likeness.look(context, anchors)
        of_anchors = likeness.between(look, look)
        values = target[rows]
        values = within_sections(values, section[rows]) if settings.centre_sections else values - values.mean(0)
        if exact:
            spectrum = Spectrum.exact(of_anchors, values)
        else:
            spectrum = Spectrum.nystroem(
                of_anchors,
                lambda block: likeness.between(likeness.look(context, rows[block]), look),
                values,
                rows_at_once=NUMBERS_AT_ONCE // (len(anchors) + len(likeness.mean)),
            )
        return cls(likeness, look, replace(spectrum, cross=spectrum.cross.astype(np.float32)))

    def coordinates(self, context: Context, rows: np.ndarray) -> np.ndarray:
        """What the regression knows of some spots [r c], before penalty and genes."""
        parts = [
            self.spectrum.coordinates(self.likeness.between(self.likeness.look(context, rows[block]), self.anchors))
            for block in row_blocks(
                len(rows), budget=NUMBERS_AT_ONCE, per_row=len(self.anchors.linear) + len(self.likeness.mean)
            )
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.spectrum.eigenvalues)))

    def arrays(self) -> dict[str, Tensor]:
        """All of it, by name."""
        import torch

        looks = {"anchors.linear": self.anchors.linear, "anchors.curved": self.anchors.curved}
        return (
            {f"likeness.{name}": value for name, value in self.likeness.arrays().items()}
            | {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in looks.items()}
            | {f"spectrum.{name}": value for name, value in self.spectrum.arrays().items()}
        )

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor]) -> Member:
        """What `arrays` gave."""
        look = Look(arrays["anchors.linear"].numpy(), arrays["anchors.curved"].numpy())
        return cls(Likeness.of_arrays(below("likeness.", arrays)), look, Spectrum.of_arrays(below("spectrum.", arrays)))


def below(prefix: str, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The arrays whose name starts with `prefix`, by the rest of it."""
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def landmarks(section: np.ndarray, rows: np.ndarray, settings: KernelSettings) -> np.ndarray:
    """Some of `rows`, drawn evenly from each section: as many in a hundred of it, and at least one."""
    rng = np.random.default_rng(settings.seed)
    share = min(1.0, settings.n_landmarks / len(rows))
    chosen = []
    for label in np.unique(section):
        own = rows[section == label]
        chosen.append(rng.choice(own, max(1, round(share * len(own))), replace=False))
    return np.sort(np.concatenate(chosen))
