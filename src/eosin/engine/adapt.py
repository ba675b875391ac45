"""Update a trained model by measured spots of a patient; nothing is trained again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eosin.engine.adaptation import Adaptation, MeasuredSpots
from eosin.engine.checkpoint import Trained
from eosin.engine.predict import predict
from eosin.errors import EosinError
from eosin.genes import target
from eosin.types import Section


def adapt(trained: Trained, section: Section, rows: np.ndarray | None = None) -> Trained:
    """The model with measured spots of one section taken into account wherever it predicts that patient.

    Parameters
    ----------
    trained
        Stays as it is.
    section
        With features of the model's encoder, and counts of all genes of the panel.
    rows
        [m] the spots whose counts may be looked at; None: all of them.

    Returns
    -------
    Trained
        Another section of the patient is predicted with the patient's level, mean and width; this one as well.

    Raises
    ------
    EosinError
        No spot, a section that was trained on or taken into account before, no counts or features, a model without
        error bars.
    """
    chosen: np.ndarray = np.arange(len(section.spots)) if rows is None else np.asarray(rows)
    if not len(chosen):
        raise EosinError("there is no measured spot to adapt to", fix="name at least one")
    before = () if trained.adaptation is None else trained.adaptation.measured
    if section.name in [s["name"] for s in trained.trained_on]:
        raise EosinError(f"the model was trained on section '{section.name}'", fix="give a section it has not seen")
    if section.name in [spots.section.name for spots in before]:
        fix = "adapt the model of before to all measured spots at once"
        raise EosinError(f"the model is adapted to spots of section '{section.name}' already", fix=fix)
    if trained.errors is None or trained.distance is None:
        raise EosinError("this model has no error bars, from which an update starts", fix="train it again")
    truth = target(section.take(chosen), trained.panel)
    alone = predict(replace(trained, adaptation=None), section, keep_draws=False)
    bare = replace(section, counts=None, genes=None, domains=None, image=None)
    spots = MeasuredSpots(bare, chosen, (truth - alone.mean[chosen]).astype(np.float32))
    return replace(trained, adaptation=Adaptation((*before, spots)))
