"""Predict the expression of a section with a trained model."""

from __future__ import annotations

import logging

import numpy as np
import torch

from eosin.config import need_seed
from eosin.device import device_of
from eosin.engine.adaptation import Adaptation
from eosin.engine.checkpoint import Trained
from eosin.engine.memory_bounds import USUAL, Memory
from eosin.engine.predict_in_pieces import Asked, draws_and_mean_in_pieces
from eosin.engine.units import other_units
from eosin.engine.verdict import ADDED_NOTHING
from eosin.errors import EosinError
from eosin.models import Learned, Model
from eosin.models.parts.on_base import OnBase, OnBaseContext
from eosin.models.parts.pieces import Pieces
from eosin.plurals import counted
from eosin.progress import task
from eosin.trust import ErrorModel
from eosin.types import Batch, Prediction, Section
from eosin.types.likeness import LIKE, UNLIKE

log = logging.getLogger("eosin")


def device_for(model: Model, name: str = "auto") -> torch.device:
    """Where `predict` computes: the named device, or the CPU for a closed-form model.

    Raises
    ------
    EosinError
        No device has that name, or the machine does not have it.
    """
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else device_of(name)
    return place if isinstance(model, Learned) else torch.device("cpu")


def predict(
    trained: Trained,
    section: Section,
    *,
    draws: int = 16,
    seed: int = 0,
    device: str = "auto",
    draws_of_mean: int = 1,
    memory: Memory = USUAL,
    keep_draws: bool = True,
) -> Prediction:
    """Draw the expression of the panel at all spots of an encoded section; its counts are not looked at.

    Parameters
    ----------
    trained
        The model; a learned one is moved to the device.
    section
        With features of the encoder that the model was trained on.
    draws
        Samples to draw; a point model gives one whatever is asked.
    seed
        Same seed, same draws (on a CPU).
    device
        `auto` takes a GPU where there is one; or `cpu`, `cuda`, `cuda:1`, `mps`. A closed-form model stays on the CPU.
    draws_of_mean
        Draws that the mean of a generative network is made of at least, where fewer are asked for.
    memory
        What the prediction may take. A section that would take more is predicted in pieces, with the same result but
        for rounding; its arrays then lie in files without a name, which numpy reads as it reads memory.
    keep_draws
        False: of a section in pieces the draws are not kept where error bars stand for them; `draws` is then the mean.

    Raises
    ------
    EosinError
        Features of another encoder than the model was trained on, or none; a device that is not there; a model that
        looks at the whole section, and a section that is too large for that.
    """
    if draws < 1:
        raise EosinError(f"{draws} draws are asked for", fix="ask for at least 1")
    need_seed(seed)
    features = section.need_features()
    if not features.fits(trained.encoder_key):
        raise EosinError(
            f"section '{section.name}' has features of encoder '{features.encoder}' ({features.key}), "
            f"but the model was trained on '{trained.encoder}' ({trained.encoder_key})",
            fix=f"encode the section with --encoder {trained.encoder}",
        )
    model, place = trained.model, device_for(trained.model, device)
    if isinstance(model, Learned):
        model.eval()
        model.to(place)
    measured = None if trained.adaptation is None else trained.adaptation.of_patient(section.patient)
    batch, asked = Batch.of([section]), Asked(draws, max(draws, draws_of_mean), seed, keep_draws)
    n_spots, n_features = len(section), batch.features.shape[1]
    at_once = memory.spots_of_piece(model, n_spots, n_features, len(trained.panel), asked.least)
    unit = "draws" if at_once is None else section.spots.unit
    with task(f"predict {section.name}", draws if at_once is None else n_spots, unit) as tick, torch.no_grad():
        if at_once is None:
            batch = batch if model.reads_rows else batch.in_memory()
            drawn, centre, errors = _draws_and_mean(trained, section, batch, measured, asked)
            tick(draws)
        else:
            log.info("%s: in pieces of %d %s", section.name, at_once, section.spots.unit)
            update = None
            if measured is not None and trained.errors is not None:
                update = measured.learned(model, trained.distance, trained.errors, section)
            pieces = Pieces(batch, at_once, memory.folder)
            drawn, centre, errors = draws_and_mean_in_pieces(trained, section, pieces, update, asked, tick)
    adapted_to = [] if measured is None else measured.facts()
    provenance = {**trained.config(), "trained_on": [s["name"] for s in trained.trained_on]}
    provenance.pop("adapted_to", None)  # of this patient only
    remarks = {**model.remarks(batch)}
    if adapted_to:
        provenance["adapted_to"] = adapted_to
        remarks["adapted"] = "to " + ", ".join(f"{counted(m['n_spots'], 'spot')} of {m['name']}" for m in adapted_to)
    if "network_note" in trained.metrics:
        remarks["network"] = trained.metrics["network_note"]
    likeness = None if trained.distance is None else trained.distance.likeness(batch.features)
    if likeness is not None and likeness.verdict != LIKE:
        remarks["slide"] = likeness.line()
    if (units := other_units(section, trained.trained_on)) is not None:
        remarks["units"] = units
    for what, remark in remarks.items():
        unlike = what == "units" or (what == "slide" and likeness is not None and likeness.verdict == UNLIKE)
        log.log(logging.WARNING if unlike else logging.INFO, "%s: %s: %s", section.name, what, remark)
    if remarks:
        provenance["remarks"] = remarks
    return Prediction(
        section.name,
        section.spots,
        trained.panel,
        drawn,
        trained.name,
        seed,
        section.image,
        provenance,
        mirrored=model.mirrored and trained.errors is None,  # levels are drawn one by one
        centre=centre,
        error_bars=None if errors is None else errors.bars(section.patient, smallest=0.0),
        likeness=likeness,
        trust=None if errors is None else errors.trust(section.patient),
    )


def _draws_and_mean(
    trained: Trained, section: Section, batch: Batch, measured: Adaptation | None, asked: Asked
) -> tuple[np.ndarray, np.ndarray | None, ErrorModel | None]:
    """Draws [k s g], the mean [s g] where it is known better than a few draws tell it, and the errors around it.

    A model that generates, and whose network took part, draws itself; its draws are stretched to the error bars and get
    levels of the slide on top. The draws of all others are made of their mean and of the error model: levels, and noise
    as it lies in space. Spots of the patient that were measured after training move the mean and change the errors.
    """
    model, errors, patient, n_draws, seed = trained.model, trained.errors, section.patient, asked.draws, asked.seed
    context = model.prepare(batch)
    mean = _mean_of_base(trained, context)
    own = None
    if mean is None or errors is None or not errors.can_draw(patient):
        n_made = n_draws if errors is None or not model.generates else asked.least
        own = model.draw(context, n_made, torch.Generator().manual_seed(seed)).float().cpu().numpy()
        if errors is None:
            return own, mean, None
        mean = own.mean(0, dtype=np.float64).astype(np.float32) if mean is None else mean
    added: np.ndarray | float = 0.0
    if measured is not None:
        added, errors = measured.update(model, trained.distance, errors, section, batch)
        mean = np.maximum(mean + added, 0).astype(np.float32)
    if own is not None and model.generates:
        return errors.of_own_draws(own, mean, patient, seed, mirrored=model.mirrored)[:n_draws], mean, errors
    if own is not None and not errors.can_draw(patient):
        return (own + added).astype(np.float32), mean, errors
    return errors.draws(mean, batch.xy_um, patient, n_draws, seed), mean, errors


def _mean_of_base(trained: Trained, context: OnBaseContext) -> np.ndarray | None:
    """[s g] what the base says, where the network added nothing to it: its mean, without the noise of a few draws."""
    model = trained.model
    if trained.metrics.get("network") != ADDED_NOTHING or not isinstance(model, OnBase) or model.base is None:
        return None
    return context.base.float().cpu().numpy()
