"""Predict training spots without their section or patient, and learn from the misses how wide error bars must be.

A model that can say what it would have predicted out of fold is asked; another closed-form one is solved again
without each group in turn. A learned model is trained once only: its base is asked, and what its network adds or
spoils is taken from the group that chose the epoch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from eosin.errors import EosinError
from eosin.models import Model, Solved, Training
from eosin.models.parts.base_model import BaseModel, SomeOutOfFold
from eosin.models.parts.on_base import OnBase
from eosin.models.parts.patients import SpotOrigins, spread_within_sections, within_sections
from eosin.models.parts.smoothing import rows_to_judge
from eosin.plurals import counted
from eosin.trust import FEWEST_SPOTS, ErrorModel, LeftOver, LevelPrior, learn_errors
from eosin.trust.learning_curve import FEWEST_SECTIONS, MOST_SECTIONS, share_left

log = logging.getLogger("eosin")

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Labels [s], rows [r] -> prediction [r g] of each of these spots from spots of other labels."""


_MOST_FOR_CURVE = 20_000
"""Spots: predicting them once more without two sections of each patient takes as long as the error bars do."""


def errors_of(
    model: Model,
    build: Callable[[], Model],
    training: Training,
    held_out_scale: np.ndarray | None,
    depth: np.ndarray | None = None,
    *,
    conformal: bool = False,
    prior: LevelPrior | None = None,
) -> ErrorModel | None:
    """The error model of a trained model; None, and said, where there are fewer than `FEWEST_SPOTS` training spots.

    Parameters
    ----------
    model
        Trained on all of `training`.
    build
        Makes an untrained one.
    training
        All training spots.
    held_out_scale
        Of a learned model whose network takes part: [g] sd of its misses within slides that chose its epoch; None where
        none did, and for other models.
    depth
        [s] logarithm of the library size of the training spots; None where it is not known.
    conformal
        Make the intervals for new patients distribution-free.
    prior
        How levels differ, before the training spots are looked at; None: as shipped.

    Raises
    ------
    EosinError
        Conformal intervals are asked for of too few patients, or of a network without a base, which predicts nothing
        out of fold.
    """
    if len(training.batch) < FEWEST_SPOTS:
        n = counted(len(training.batch), "training spot")
        log.warning("%s: too few to learn error bars from; predictions have none", n)
        return None
    origins = SpotOrigins.of(training)
    part = training.batch.part_of_spot()
    within = np.sqrt(spread_within_sections(training.target, part))
    patients = tuple(dict.fromkeys(training.batch.patients))
    predict = _out_of_fold(model, build, training)
    some = rows_to_judge(training.batch, training.target.shape[1])
    learn = learn_errors
    if prior is not None:
        learn = partial(learn_errors, of_patients=prior.of_patients(), of_slides=prior.of_slides())
    if predict is None and conformal:
        fix = "train it on a base (--model.base kernel), or leave --calibrate at 'levels'"
        raise EosinError("conformal intervals need predictions of patients that were held out", fix=fix)
    if predict is None:  # a network without a base: as if the image told nothing, unless sections outside say more
        level = LeftOver(
            within_sections(training.target[some], part[some]),
            part[some],
            origins.patient[some],
            xy_um=origins.xy_um[some],
        )
        scale = within if held_out_scale is None else held_out_scale
        return _rescaled(learn(level, None, within, patients), scale / np.maximum(level.scale(), 1e-6))
    groups = origins.patients_in_folds()
    new = _left_over(training, origins, some, groups, predict, depth)
    known_groups = origins.siblings_in_folds()
    more = known_groups.max() >= 0 and not np.array_equal(_renumbered(known_groups), _renumbered(groups))
    known = _left_over(training, origins, some, known_groups, predict, depth) if more else None
    errors = learn(new, known, within, patients)
    rows, one_held_out = some[known_groups[some] >= 0], new if known is None else known
    if (factor := _gain_of_one_section(training, origins, rows, one_held_out, predict, within)) < 1:
        own = errors.known
        errors = replace(errors, known=replace(own, scale=own.scale * factor, level=own.level * factor))
    if conformal:
        errors = errors.made_conformal(new)
    if held_out_scale is not None:
        ratio = np.sqrt(np.mean(np.square(held_out_scale) / np.square(np.maximum(new.scale(), 1e-6))))
        errors = _rescaled(errors, np.full(len(within), ratio))
    return errors


def _out_of_fold(model: Model, build: Callable[[], Model], training: Training) -> Predict | None:
    """How training spots are predicted without their group; None for a network without a base."""
    source = model.base if isinstance(model, OnBase) else model
    if isinstance(source, SomeOutOfFold):
        return lambda labels, rows: source.some_out_of_fold(replace(training, groups=labels), rows)
    if isinstance(source, BaseModel):
        return lambda labels, rows: source.out_of_fold(replace(training, groups=labels))[rows]
    if isinstance(model, Solved):
        return lambda labels, rows: _solved_again(build, training, labels)[rows]
    return None


def _solved_again(build: Callable[[], Model], training: Training, labels: np.ndarray) -> np.ndarray:
    """Each group [s g] from a model that is solved without it; a single group from one that saw it."""
    result = np.zeros(training.target.shape, dtype=np.float32)
    part = training.batch.part_of_spot()
    for label in np.unique(labels):
        outside = np.flatnonzero(labels == label)
        inside = np.flatnonzero(labels != label)
        model = build()
        assert isinstance(model, Solved)
        model.solve(training.take(inside if len(inside) else outside))
        pieces = [outside[part[outside] == number] for number in np.unique(part[outside])]
        batch = replace(training.batch.regions(pieces), training_rows=None)
        drawn = model.draw(model.prepare(batch), 1, torch.Generator().manual_seed(0))
        result[np.concatenate(pieces)] = drawn.float().numpy().mean(0)
    return result


def _left_over(
    training: Training,
    origins: SpotOrigins,
    some: np.ndarray,
    labels: np.ndarray,
    predict: Predict,
    depth: np.ndarray | None,
) -> LeftOver:
    """What is left over of `some` spots, those of them that the labels [s] hold out."""
    if len(some) < len(labels):
        log.info("error bars are learned from %d of %d training spots", len(some), len(labels))
    rows = some[labels[some] >= 0]
    measured = training.target[rows]
    residual = measured - predict(labels, rows)
    own_depth = None if depth is None else depth[rows]
    return LeftOver(residual, origins.section[rows], origins.patient[rows], measured, own_depth, origins.xy_um[rows])


def _gain_of_one_section(
    training: Training,
    origins: SpotOrigins,
    rows: np.ndarray,
    one_held_out: LeftOver,
    predict: Predict,
    within: np.ndarray,
) -> float:
    """How many times as large the misses on a known patient are as those of folds, which train on a section fewer.

    `one_held_out` is of the spots at `rows` [r].
    """
    if len(training.batch) > _MOST_FOR_CURVE:
        return 1.0
    pairs, n_sections = origins.pairs_in_folds(FEWEST_SECTIONS, MOST_SECTIONS)
    judged = pairs[rows] >= 0
    if not judged.any():
        return 1.0
    rows, unit = rows[judged], np.maximum(within, 1e-6)
    two_held_out = training.target[rows] - predict(pairs, rows)
    one, two = (np.square(missed / unit).mean(1) for missed in (one_held_out.residual[judged], two_held_out))
    return float(np.sqrt(share_left(one, two, n_sections[rows])))


def _renumbered(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1].reshape(-1)


def _rescaled(errors: ErrorModel, factor: np.ndarray) -> ErrorModel:
    """The same with the noise within slides `factor` [g] times as large."""
    new, known = (replace(kind, scale=kind.scale * factor) for kind in (errors.new, errors.known))
    return replace(errors, new=new, known=known)
