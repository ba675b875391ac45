"""`eosin.calibrate` and `eosin.apply_calibration`: error bars and verdicts for predictions of any tool."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from eosin import data as door
from eosin.api.parts.outputs import need_other_file, need_suffix
from eosin.api.parts.sections import Data, truth_of
from eosin.api.parts.thumbnails import save_prediction
from eosin.config import need_known
from eosin.data.other_prediction import OtherPrediction, is_of_eosin, read_other
from eosin.engine.calibrated import calibrated
from eosin.engine.calibration_file import read_calibration, write_calibration
from eosin.options import ReadOptions, takes_options
from eosin.plurals import counted
from eosin.trust import Calibration
from eosin.types import Prediction, Section

log = logging.getLogger("eosin")

AnyPrediction = Prediction | str | Path
"""A prediction, or an `.h5ad` that eosin or another tool wrote."""
WAYS = ("levels", "conformal")
"""How intervals are made: of levels and noise, or distribution-free."""


@takes_options(hide=("sections",))
def calibrate(
    predictions: AnyPrediction | Sequence[AnyPrediction],
    truth: Data,
    *,
    scale: str | None = None,
    calibrate: str = "levels",
    out: str | Path | None = None,
    reading: ReadOptions = ReadOptions(),
) -> Calibration:
    """Learn error bars and verdicts from predictions of sections that were measured, with patients as units.

    Parameters
    ----------
    predictions
        Of sections that their model has not seen: predictions, or `.h5ad` files of eosin or of any other tool, with
        values in X, genes in `var_names` and places in `obsm["spatial"]`.
    truth
        The measured sections: a data folder, or sections that were read; found by name.
    scale
        Of another tool's values: `log1p`, `log1p_cp10k`, `log2p1` or `counts`. It is never guessed.
    calibrate
        `levels`: levels of slides and noise, for any number of patients; `conformal`: distribution-free, of 9 or more.
    out
        The .safetensors to write.

    Raises
    ------
    EosinError
        Predictions that differ in how they were made, a section that is not there or was trained on, spots or genes
        that do not fit, values on another scale than said, too few patients.

    Examples
    --------
    >>> model = eosin.train("data", features="features", model="ridge", genes="var:5", sections="A1,A2")
    >>> prediction = eosin.predict(model, "data", section="B1", features="features")
    >>> calibration = eosin.calibrate(prediction, "data")
    >>> new = eosin.predict(model, "data", section="B2", features="features")
    >>> calibrated = eosin.apply_calibration(calibration, new)
    >>> calibrated.error_bars.kind
    'new patient'
    """
    need_suffix(out, (".safetensors",), "a calibration is a safetensors file")
    need_known(calibrate, WAYS, "way to calibrate")
    given = [predictions] if isinstance(predictions, Prediction | str | Path) else list(predictions)
    pairs = [judged(prediction, truth, scale, reading) for prediction in given]
    found = Calibration.learn(pairs, conformal=calibrate == "conformal")
    n = len(found.made_of["patients"])
    log.info("%s, %s: %s", counted(len(pairs), "section"), counted(n, "patient"), found.errors.new.basis)
    if out is not None:
        write_calibration(found, out)
    return found


def apply_calibration(
    calibration: Calibration | str | Path,
    prediction: AnyPrediction,
    *,
    scale: str | None = None,
    mpp: float | None = None,
    out: str | Path | None = None,
) -> Prediction:
    """A prediction with the error bars and verdicts of a calibration, for a patient whom nobody has measured.

    Parameters
    ----------
    calibration
        A calibration, or the file that `calibrate` wrote.
    prediction
        A prediction, or an `.h5ad` of eosin or another tool, made as those that were calibrated.
    scale
        Of another tool's values, as in `calibrate`.
    mpp
        µm per unit of the places in another tool's file; without it they are taken as µm.
    out
        The .h5ad to write.

    Raises
    ------
    EosinError
        Other genes, scale, model or encoder than those calibrated.
    """
    need_suffix(out, (".h5ad",), "a prediction is an AnnData file")
    if not isinstance(prediction, Prediction):
        need_other_file(out, prediction)
    found = calibration if isinstance(calibration, Calibration) else read_calibration(calibration)
    if not isinstance(prediction, Prediction):
        known = is_of_eosin(prediction)
        prediction = door.read_prediction(prediction) if known else read_other(prediction).alone(scale, mpp=mpp)
    done = calibrated(found, prediction)
    if out is not None:
        save_prediction(done, out)
    return done


def judged(
    prediction: AnyPrediction, truth: Data, scale: str | None, reading: ReadOptions
) -> tuple[Prediction, Section]:
    """A prediction of eosin's or of another tool, at spots and genes that were measured, and the measured section."""
    if not isinstance(prediction, Prediction):
        if not is_of_eosin(prediction):
            other: OtherPrediction = read_other(prediction)
            section = truth_of(other.name, truth, reading)
            return other.on(section, scale), section
        prediction = door.read_prediction(prediction)
    return prediction, truth_of(prediction.section, truth, reading)
