"""Error bars of a model: learned from what it leaves over of training spots that were held out.

    y = max(0, mean + level + noise)

The *level* is one number per gene and slide: how far the slide as a whole lies from what was expected. The *noise* is
what is left within a slide; its scale is one number per gene, its shape (the quantiles of residuals divided by their
scale) one for all genes. Levels of a new patient and of a new slide of a known one differ in size, so there are two
kinds of error bars. Source: docs/trust.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor

from eosin.models.parts.named_arrays import below, json_array, json_of, under
from eosin.models.parts.patients import KINDS
from eosin.models.parts.spatial_noise import SpatialNoise
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go
from eosin.trust.conformal import conformal_shape, need_patients
from eosin.trust.genes import trust_in_genes
from eosin.trust.left_over import LeftOver
from eosin.trust.level_prior import OF_PATIENTS, OF_SLIDES, LevelVariance, around_mean
from eosin.types import ErrorBars, GeneTrust
from eosin.types.spread import variance_of_draws

PROBABILITIES = np.arange(1, 1000) / 1000
"""At which the quantiles of a shape are kept."""
FEWEST_SPOTS = 10
"""Of which levels and noise are told apart."""
_NORMAL_POINTS = 199
_NUMBERS_AT_ONCE = 1 << 22
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
    common
        Share of the level's variance by which all genes of a slide are shifted alike.
    noise
        How the noise within a slide lies in space and among genes; None in files of before.
    conformal
        [q] distribution-free quantiles of level and noise together, divided by their joint sd; None where intervals
        are made of the two.
    """

    scale: np.ndarray
    level: np.ndarray
    shape: np.ndarray
    basis: str
    genes: GeneTrust | None = None
    common: float = 0.0
    noise: SpatialNoise | None = None
    conformal: np.ndarray | None = None

    @property
    def total(self) -> np.ndarray:
        """[g] sd of level and noise together."""
        return np.hypot(self.scale, self.level)

    def bars(self) -> tuple[np.ndarray, np.ndarray]:
        """Scale [g], and quantiles [q] of the shape of mean 0 and variance 1, of what a measured value misses."""
        if self.conformal is not None:
            width = max(float(np.sqrt(np.square(self.conformal).mean())), _LEAST)
            return self.total * width, self.conformal / width
        ratio = float(np.mean(np.square(self.level) / np.square(self.scale)))
        return self.total, with_normal(self.shape, ratio)

    def arrays(self) -> dict[str, Tensor]:
        """All numbers as tensors; texts are kept by the `ErrorModel`."""
        own = {part: getattr(self, part) for part in ("scale", "level", "shape")} | {"common": np.array(self.common)}
        if self.conformal is not None:
            own["conformal"] = self.conformal
        if self.genes is not None:
            own |= {part: getattr(self.genes, part) for part in ("inner_pcc", "beyond_depth")}
        arrays = {name: torch.from_numpy(np.array(value)) for name, value in own.items()}  # no two may share memory
        return arrays | ({} if self.noise is None else under("noise.", self.noise.arrays()))

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor], basis: str, held_out: str | None) -> KindOfErrors:
        """What `arrays` gave."""
        scale, level, shape = (arrays[part].numpy() for part in ("scale", "level", "shape"))
        genes = None
        if held_out is not None:
            genes = GeneTrust(*(arrays[part].numpy() for part in ("inner_pcc", "beyond_depth")), kind=held_out)
        common = float(arrays["common"]) if "common" in arrays else 0.0
        of_noise = below("noise.", arrays)
        noise = SpatialNoise.of_arrays(of_noise) if of_noise else None
        conformal = arrays["conformal"].numpy() if "conformal" in arrays else None
        return cls(scale, level, shape, basis, genes, common, noise, conformal)

    def levels(self, n_draws: int, rng: np.random.Generator) -> np.ndarray:
        """[k 1 g] levels of a slide, independent draws."""
        shared, own = rng.standard_normal((n_draws, 1, 1)), rng.standard_normal((n_draws, 1, len(self.level)))
        return self.level * (np.sqrt(self.common) * shared + np.sqrt(1 - self.common) * own)


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """Error bars, and verdicts on genes, for slides of new and of known patients.

    Attributes
    ----------
    new, known
        Errors at a patient who is not in training, and at a new slide of one who is.
    patients
        Names of the patients in training.
    measured_later
        Names of patients of whom spots were measured after training; they are known as well, and not counted.
    """

    new: KindOfErrors
    known: KindOfErrors
    patients: tuple[str, ...]
    measured_later: tuple[str, ...] = ()

    def knows(self, patient: str) -> bool:
        """Whether a patient was in training, or measured later."""
        return patient in self.patients or patient in self.measured_later

    def bars(self, patient: str, *, smallest: float | None) -> ErrorBars:
        """Error bars of a slide of some patient; no value is below `smallest`."""
        errors = self.of_patient(patient)
        scale, shape = errors.bars()
        kind = KINDS[int(self.knows(patient))]
        return ErrorBars(scale, PROBABILITIES, shape, smallest, kind, len(self.patients), errors.basis)

    def trust(self, patient: str) -> GeneTrust | None:
        """How well each gene is predicted at a slide of some patient, as training told; None where it did not."""
        return self.of_patient(patient).genes

    def made_conformal(self, left_over: LeftOver) -> ErrorModel:
        """The same with distribution-free intervals for new patients, of spots whose patient was held out.

        Raises
        ------
        EosinError
            Too few patients.
        """
        n = len(np.unique(left_over.patient))
        need_patients(n)
        quantiles = conformal_shape(left_over.residual / self.new.total, left_over.patient, PROBABILITIES)
        basis = f"distribution-free (conformal) up to {n / (n + 1):.0%}, patients as units: {n} of them"
        return replace(self, new=replace(self.new, conformal=quantiles, basis=basis))

    def can_draw(self, patient: str) -> bool:
        """Whether `draws` knows how noise lies in space; files of before do not say it."""
        return self.of_patient(patient).noise is not None

    def draws(
        self,
        mean: np.ndarray,
        xy_um: np.ndarray,
        patient: str,
        n_draws: int,
        seed: int,
        *,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """What could be measured at spots of one slide: [k s g] float32, none below 0.

        Parameters
        ----------
        mean
            [s g] what is predicted.
        xy_um
            [s 2] where the spots lie.
        patient
            Whose slide it is.
        n_draws, seed
            Number of draws k; the same seed gives the same draws.
        out
            [k s g] where they are put; a new array if absent. It may lie on disk, as `mean` may: both are taken some
            spots at a time.
        """
        errors, rng = self.of_patient(patient), np.random.default_rng(seed)
        assert errors.noise is not None
        levels = errors.levels(n_draws, rng)
        result = np.empty((n_draws, *mean.shape), dtype=np.float32) if out is None else out
        for rows, noise in errors.noise.draws(xy_um, n_draws, rng):
            shaped = np.interp(ndtr(noise), PROBABILITIES, errors.shape)
            result[:, rows] = np.maximum(mean[rows] + levels + errors.scale * shaped, 0)
            let_go(result, mean)
        return result

    def of_own_draws(
        self,
        drawn: np.ndarray,
        mean: np.ndarray,
        patient: str,
        seed: int,
        *,
        mirrored: bool,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """A model's own draws [k s g] as measured values lie around a mean: as wide as the error bars say.

        Each gene's deviations from the mean of the draws are stretched to the scale that held-out spots told, and
        stand around `mean` [s g]; each draw gets a level of the slide. Where and among which genes they lie together
        is the model's. A single draw has no width: it is the mean, with a level. They are put into `out`, or a new
        array; it may be `drawn` itself.
        """
        errors, stretch = self.of_patient(patient), np.ones(mean.shape[1])
        blocks = list(row_blocks(len(mean), budget=_NUMBERS_AT_ONCE, per_row=len(drawn) * mean.shape[1]))
        if len(drawn) > 1:
            variance = np.zeros(mean.shape[1])
            for rows in blocks:
                variance += variance_of_draws(drawn[:, rows], mirrored=mirrored).sum(0)
                let_go(drawn)
            own = np.sqrt(variance / len(mean))  # [g]
            np.divide(errors.scale, own, out=stretch, where=own > _LEAST)
        levels = errors.levels(len(drawn), np.random.default_rng(seed))
        result = np.empty(drawn.shape, dtype=np.float32) if out is None else out
        for rows in blocks:
            some = drawn[:, rows]
            around = (some - some.mean(0, dtype=np.float64)) * stretch + levels
            result[:, rows] = np.maximum(mean[rows] + around, 0)
            let_go(result, drawn, mean)
        return result

    def of_patient(self, patient: str) -> KindOfErrors:
        """Those at a slide of some patient."""
        return self.known if self.knows(patient) else self.new

    def arrays(self) -> dict[str, Tensor]:
        """All numbers as tensors; `of_arrays` takes them back."""
        kinds = (self.new, self.known)
        held_out = [None if kind.genes is None else kind.genes.kind for kind in kinds]
        texts = {"patients": self.patients, "basis": [kind.basis for kind in kinds], "held out": held_out}
        return {"text": json_array(texts), **under("new.", self.new.arrays()), **under("known.", self.known.arrays())}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Tensor]) -> ErrorModel:
        """What `arrays` gave."""
        texts = json_of(arrays["text"])
        new, known = (
            KindOfErrors.of_arrays(below(prefix, arrays), basis, held_out)
            for prefix, basis, held_out in zip(("new.", "known."), texts["basis"], texts["held out"])
        )
        return cls(new, known, tuple(texts["patients"]))


def learn_errors(
    new: LeftOver,
    known: LeftOver | None,
    within_slides: np.ndarray,
    patients: tuple[str, ...],
    *,
    of_patients: LevelVariance = OF_PATIENTS,
    of_slides: LevelVariance = OF_SLIDES,
    whose: str = "training",
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
    whose
        What the patients are for, in words: training, or calibration.
    """
    unit = np.maximum(within_slides, _LEAST)
    n, n_genes = len(patients), len(unit)
    level_of_patients = of_patients.for_panel(n_genes)
    if n > 1:
        shifts, patient = new.shifts()
        alone = shifts / np.sqrt(around_mean(n - 1)) / unit  # of one patient, around what all patients have in common
        level_of_patients = level_of_patients.updated(alone, patient)
        basis = f"levels of {n} {whose} patients, and a prior worth {of_patients.worth:g} more ({of_patients.source})"
    else:
        basis = f"prior for patients ({of_patients.source}): one {whose} patient does not tell how patients differ"
    slides = known if known is not None else new if n == 1 and len(np.unique(new.slide)) > 1 else None
    level_of_slides, n_slides = of_slides.for_panel(n_genes), 1.0
    if slides is None:
        known_basis = f"prior for slides ({of_slides.source})"
    else:
        shifts, patient = slides.shifts()
        n_slides = float(np.bincount(patient)[patient].mean())  # of a patient
        alone = shifts / np.sqrt(around_mean(n_slides - 1)) / unit
        level_of_slides = level_of_slides.updated(alone, np.arange(len(shifts)))
        known_basis = f"levels of {len(shifts)} slides, and a prior worth {of_slides.worth:g} more ({of_slides.source})"
    level_of_patients = level_of_patients.around_mean_of(n)
    level_of_slides = level_of_slides.around_mean_of(n_slides)
    within_new = _within(new, KINDS[int(n < 2)])
    within_known = within_new if known is None else _within(known, KINDS[1])
    return ErrorModel(
        _with_level(within_new, level_of_patients, unit, basis),
        _with_level(within_known, level_of_slides, unit, known_basis),
        patients,
    )


def _with_level(errors: KindOfErrors, level: LevelVariance, unit: np.ndarray, basis: str) -> KindOfErrors:
    """Errors within slides, with a level of the slide."""
    common = level.common / level.total if level.total > 0 else 0.0
    return replace(errors, level=unit * np.sqrt(level.total), common=common, basis=basis)


def _within(left_over: LeftOver, held_out: str) -> KindOfErrors:
    """Errors within slides, without a level."""
    scale, genes = np.maximum(left_over.scale(), _LEAST), trust_in_genes(left_over, held_out)
    standardised = left_over.within() / scale
    shape = shape_of(standardised)
    noise = None
    if left_over.xy_um is not None:
        normal = ndtri(np.interp(standardised, shape, PROBABILITIES))  # as normal numbers: the shape is put on later
        noise = SpatialNoise.fit(normal, left_over.slide, left_over.xy_um)
    return KindOfErrors(scale, np.zeros_like(scale), shape, "", genes, noise=noise)


def shape_of(standardised: np.ndarray) -> np.ndarray:
    """Quantiles [q] at `PROBABILITIES` of residuals divided by their scale, made to have mean 0 and variance 1."""
    return _standard(np.quantile(standardised, PROBABILITIES))


def with_normal(shape: np.ndarray, ratio: float) -> np.ndarray:
    """The shape [q] of noise of that shape plus normal noise of `ratio` times its variance; of variance 1 again."""
    if ratio <= 0:
        return shape
    normal = ndtri((np.arange(_NORMAL_POINTS) + 0.5) / _NORMAL_POINTS)
    sums = np.add.outer(shape[::2], np.sqrt(ratio) * normal / normal.std())
    return _standard(np.quantile(sums, PROBABILITIES))


def _standard(quantiles: np.ndarray) -> np.ndarray:
    """Quantiles at evenly spaced probabilities, shifted and scaled to mean 0 and variance 1."""
    centred = quantiles - quantiles.mean()
    return centred / max(float(np.sqrt(np.square(centred).mean())), _LEAST)
