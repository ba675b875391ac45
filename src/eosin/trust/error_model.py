"""Error bars of a model: learned from what it leaves over of training spots that were held out.

    y = max(0, mean + level + noise)

The *level* is one number per gene and slide: how far the slide as a whole lies from what was expected. The *noise* is
what is left within a slide; its scale is one number per gene, its shape (the quantiles of residuals divided by their
scale) one for all genes. Levels of a new patient and of a new slide of a known one differ in size, so there are two
kinds of error bars. Source: docs/trust.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eosin.models.parts.named_arrays import json_array, json_of
from eosin.models.parts.patients import KINDS
from eosin.trust.genes import trust_in_genes
from eosin.trust.left_over import LeftOver
from eosin.trust.level_prior import OF_PATIENTS, OF_SLIDES, LevelVariance
from eosin.types import ErrorBars, GeneTrust

PROBABILITIES = np.arange(1, 1000) / 1000
"""At which the quantiles of a shape are kept."""
_NORMAL_POINTS = 199
_LEAST = 1e-6  # a gene that is constant has no scale


@dataclass(frozen=True, eq=False)
class KindOfErrors:
    """Errors at one kind of patient.

    Attributes
    ----------
    scale
        [g] sd of the noise within a slide.
    level
        [g] sd of the level of a slide.
    shape
        [q] quantiles of the noise divided by its scale, at `PROBABILITIES`.
    basis
        In words, what they were learned from.
    genes
        How well each gene was predicted where it was held out; None where that is not known.
    """

    scale: np.ndarray
    level: np.ndarray
    shape: np.ndarray
    basis: str
    genes: GeneTrust | None = None


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """Error bars, and verdicts on genes, for slides of new and of known patients.

    Attributes
    ----------
    new, known
        Errors at a patient who is not in training, and at a new slide of one who is.
    patients
        Names of the patients in training.
    """

    new: KindOfErrors
    known: KindOfErrors
    patients: tuple[str, ...]

    def bars(self, patient: str, *, smallest: float | None) -> ErrorBars:
        """Error bars of a slide of some patient; no value is below `smallest`."""
        errors = self._for(patient)
        total = np.hypot(errors.scale, errors.level)
        ratio = float(np.mean(np.square(errors.level) / np.square(errors.scale)))
        shape = with_normal(errors.shape, ratio)
        kind = KINDS[int(patient in self.patients)]
        return ErrorBars(total, PROBABILITIES, shape, smallest, kind, len(self.patients), errors.basis)

    def trust(self, patient: str) -> GeneTrust | None:
        """How well each gene is predicted at a slide of some patient, as training told; None where it did not."""
        return self._for(patient).genes

    def _for(self, patient: str) -> KindOfErrors:
        return self.known if patient in self.patients else self.new

    def arrays(self) -> dict[str, Tensor]:
        """All numbers as tensors; `of_arrays` takes them back."""
        kinds = (self.new, self.known)
        held_out = [None if kind.genes is None else kind.genes.kind for kind in kinds]
        texts = {"patients": self.patients, "basis": [kind.basis for kind in kinds], "held out": held_out}
        arrays: dict[str, np.ndarray] = {}
        for name, errors in zip(("new", "known"), kinds):
            arrays |= {f"{name}.{part}": getattr(errors, part) for part in ("scale", "level", "shape")}
            if errors.genes is not None:
                arrays |= {f"{name}.{part}": getattr(errors.genes, part) for part in ("inner_pcc", "beyond_depth")}
        own = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}  # no two may share memory
        return {"text": json_array(texts), **own}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor]) -> ErrorModel:
        """What `arrays` gave."""
        texts = json_of(arrays["text"])

        def kind(number: int, name: str) -> KindOfErrors:
            scale, level, shape = (arrays[f"{name}.{part}"].numpy() for part in ("scale", "level", "shape"))
            held_out, genes = texts["held out"][number], None
            if held_out is not None:
                genes = GeneTrust(
                    *(arrays[f"{name}.{part}"].numpy() for part in ("inner_pcc", "beyond_depth")), kind=held_out
                )
            return KindOfErrors(scale, level, shape, texts["basis"][number], genes)

        return cls(kind(0, "new"), kind(1, "known"), tuple(texts["patients"]))


def learn_errors(
    new: LeftOver,
    known: LeftOver | None,
    within_slides: np.ndarray,
    patients: tuple[str, ...],
    *,
    of_patients: LevelVariance = OF_PATIENTS,
    of_slides: LevelVariance = OF_SLIDES,
) -> ErrorModel:
    """The error model of what was left over.

    Parameters
    ----------
    new
        Of spots whose patient was held out; with one patient, of sections or regions.
    known
        Of spots whose section was held out, while others of the patient were trained on; None where there are none.
    within_slides
        [g] sd of the measured values within slides, the unit of the priors.
    patients
        Names of the patients in training.
    of_patients, of_slides
        How levels differ, before this cohort is looked at.
    """
    unit = np.maximum(within_slides, _LEAST)
    n, n_genes = len(patients), len(unit)
    level_of_patients = of_patients.for_panel(n_genes).around_mean_of(n)
    level_of_slides = of_slides.for_panel(n_genes).around_mean_of(1)
    if n > 1:
        shifts, patient = new.shifts()
        level_of_patients = level_of_patients.updated(shifts / unit, patient)
        basis = f"levels of {n} training patients, and a prior worth {of_patients.worth:g} more ({of_patients.source})"
    else:
        basis = f"prior for patients ({of_patients.source}): one training patient does not tell how patients differ"
    slides = known if known is not None else new if n == 1 and len(np.unique(new.slide)) > 1 else None
    if slides is None:
        known_basis = f"prior for slides ({of_slides.source})"
    else:
        shifts, _ = slides.shifts()
        level_of_slides = level_of_slides.updated(shifts / unit, np.arange(len(shifts)))
        known_basis = f"levels of {len(shifts)} slides, and a prior worth {of_slides.worth:g} more ({of_slides.source})"
    return ErrorModel(
        _kind(new, level_of_patients, unit, basis, KINDS[int(n < 2)]),
        _kind(known or new, level_of_slides, unit, known_basis, KINDS[int(n < 2 or known is not None)]),
        patients,
    )


def _kind(left_over: LeftOver, level: LevelVariance, unit: np.ndarray, basis: str, held_out: str) -> KindOfErrors:
    scale, genes = np.maximum(left_over.scale(), _LEAST), trust_in_genes(left_over, held_out)
    return KindOfErrors(scale, unit * np.sqrt(level.total), shape_of(left_over.within() / scale), basis, genes)


def shape_of(standardised: np.ndarray) -> np.ndarray:
    """Quantiles [q] at `PROBABILITIES` of residuals divided by their scale, made to have mean 0 and variance 1."""
    return _standard(np.quantile(standardised, PROBABILITIES))


def with_normal(shape: np.ndarray, ratio: float) -> np.ndarray:
    """The shape [q] of noise of that shape plus normal noise of `ratio` times its variance; of variance 1 again."""
    from scipy.special import ndtri

    if ratio <= 0:
        return shape
    normal = ndtri((np.arange(_NORMAL_POINTS) + 0.5) / _NORMAL_POINTS)
    sums = np.add.outer(shape[::2], np.sqrt(ratio) * normal / normal.std())
    return _standard(np.quantile(sums, PROBABILITIES))


def _standard(quantiles: np.ndarray) -> np.ndarray:
    """Quantiles at evenly spaced probabilities, shifted and scaled to mean 0 and variance 1."""
    centred = quantiles - quantiles.mean()
    return centred / max(float(np.sqrt(np.square(centred).mean())), _LEAST)
