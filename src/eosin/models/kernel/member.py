"""One member: the kernel of one encoder's features, and its regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b

import numpy as np
from torch import Tensor

from eosin.models.kernel.atlas import Places
from eosin.models.kernel.context import Context
from eosin.models.kernel.gram import NUMBERS_AT_ONCE, Likeness, Look
from eosin.models.kernel.settings import KernelSettings
from eosin.models.kernel.spectrum import Spectrum
from eosin.models.parts.named_arrays import below, tensors, under
from eosin.models.parts.patients import within_sections
from eosin.row_blocks import row_blocks


@dataclass(frozen=True)
class Near:
    """The part of the kernel for spots at one place of serial sections: places, its weight, its width in pitches."""

    places: Places
    weight: float
    length: float

    def take(self, rows: np.ndarray) -> Near:
        """That of some spots."""
        return replace(self, places=self.places.take(rows))


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
    near
        The anchors' places, and their part in the kernel; None without registration.
    """

    likeness: Likeness
    anchors: Look
    spectrum: Spectrum
    near: Near | None = None

    @classmethod
    def bare(
        cls, context: Context, rows: np.ndarray, settings: KernelSettings, anchors: np.ndarray | None = None
    ) -> Member:
        """The kernel of some training spots, without a regression; all of them are anchors unless some are named."""
        seen_by = rows if anchors is None else anchors
        parts = {name: getattr(settings, name) for name in ("ring_weight", "n_components", "linear", "rbf")}
        fit = partial(Likeness.of, context, rows, seen_by, **parts)
        # the folds of both heads, of the base and of the error bars are the same ones
        likeness = context.once((_digest(rows), _digest(seen_by), *parts.values()), fit)
        return cls(likeness, likeness.look(context, seen_by), Spectrum.empty())

    @classmethod
    def of(
        cls,
        context: Context,
        target: np.ndarray,
        section: np.ndarray,
        rows: np.ndarray,
        settings: KernelSettings,
        near: Near | None = None,
    ) -> Member:
        """Fit to some training spots, each of which is an anchor; of more, see `LandmarkFits`.

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
        near
            Places of all spots, with their part in the kernel.
        """
        bare = replace(cls.bare(context, rows, settings), near=None if near is None else near.take(rows))
        values = centred(target, section, rows, settings)
        spectrum = Spectrum.exact(bare.kernel(context, rows, near), values)
        return replace(bare, spectrum=replace(spectrum, cross=spectrum.cross.astype(np.float32)))

    def kernel(self, context: Context, rows: np.ndarray, near: Near | None = None) -> np.ndarray:
        """[r m] between some spots and the anchors; `near` has the places of all spots of the context."""
        result = self.likeness.between(self.likeness.look(context, rows), self.anchors)
        if near is not None and self.near is not None:
            own = near.places.take(rows)
            result += self.near.weight * own.nearness(self.near.places, self.near.length, result.dtype)
        return result

    def between_anchors(self) -> np.ndarray:
        """[m m] between the anchors themselves."""
        result = self.likeness.between(self.anchors, self.anchors)
        if self.near is not None:
            result += self.near.weight * self.near.places.nearness(self.near.places, self.near.length)
        return result

    def coordinates(self, context: Context, rows: np.ndarray, near: Near | None = None) -> np.ndarray:
        """What the regression knows of some spots [r c], before penalty and genes."""
        parts = [
            self.spectrum.coordinates(self.kernel(context, rows[block], near))
            for block in row_blocks(
                len(rows), budget=NUMBERS_AT_ONCE, per_row=len(self.anchors.linear) + len(self.likeness.mean)
            )
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.spectrum.eigenvalues)))

    def in_single_precision(self) -> Member:
        """The same kernel and anchors in float32, without the regression."""
        anchors = Look(self.anchors.linear.astype(np.float32), self.anchors.curved.astype(np.float32))
        return Member(self.likeness.in_single_precision(), anchors, Spectrum.empty(), self.near)

    def without_image(self) -> Member:
        """The same anchors to a kernel that sees places only."""
        likeness = replace(self.likeness, total=0.0, width=0.0)
        nothing = np.zeros((len(self.anchors.linear), 0))
        return Member(likeness, Look(nothing, nothing), Spectrum.empty())

    def arrays(self) -> dict[str, Tensor]:
        """Kernel, anchors and regression, by name."""
        looks = {"anchors.linear": self.anchors.linear, "anchors.curved": self.anchors.curved}
        return under("likeness.", self.likeness.arrays()) | tensors(looks) | under("spectrum.", self.spectrum.arrays())

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor]) -> Member:
        """What `arrays` gave."""
        look = Look(arrays["anchors.linear"].numpy(), arrays["anchors.curved"].numpy())
        return cls(Likeness.of_arrays(below("likeness.", arrays)), look, Spectrum.of_arrays(below("spectrum.", arrays)))

    def arrays_of_places(self) -> dict[str, Tensor]:
        """Regression and places, without what the member without places has too."""
        assert self.near is not None
        places = self.near.places
        own = {"frame": places.frame, "xy": places.xy, "part": np.array([self.near.weight, self.near.length])}
        arrays = under("near.", tensors(own))
        return arrays | under("spectrum.", self.spectrum.arrays())

    @classmethod
    def of_arrays_of_places(cls, arrays: Mapping[str, Tensor], kernel: Member) -> Member:
        """What `arrays_of_places` gave, with the kernel and anchors of another member."""
        places = Places(arrays["near.frame"].numpy(), arrays["near.xy"].numpy())
        near = Near(places, *arrays["near.part"].tolist())
        return cls(kernel.likeness, kernel.anchors, Spectrum.of_arrays(below("spectrum.", arrays)), near)


def _digest(rows: np.ndarray) -> bytes:
    return blake2b(rows.tobytes(), digest_size=16).digest()


def centred(target: np.ndarray, section: np.ndarray, rows: np.ndarray, settings: KernelSettings) -> np.ndarray:
    """Values [r g] of some spots less the mean of their section, or of all where sections are not centred."""
    values = target[rows]
    return within_sections(values, section[rows]) if settings.centre_sections else values - values.mean(0)


def landmarks(section: np.ndarray, rows: np.ndarray, settings: KernelSettings) -> np.ndarray:
    """Some of `rows`, drawn evenly from each section: as many in a hundred of it, and at least one."""
    rng = np.random.default_rng(settings.seed)
    share = min(1.0, settings.n_landmarks / len(rows))
    chosen = []
    for label in np.unique(section):
        own = rows[section == label]
        chosen.append(rng.choice(own, max(1, round(share * len(own))), replace=False))
    return np.sort(np.concatenate(chosen))
