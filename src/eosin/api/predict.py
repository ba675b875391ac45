"""`eosin.predict`: a section's expression by a trained model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eosin import engine
from eosin.api.parts.encoded import with_features
from eosin.api.parts.outputs import need_other_file, need_suffix
from eosin.api.parts.sections import open_to_predict
from eosin.api.parts.thumbnails import save_prediction
from eosin.engine import Trained
from eosin.engine.calibration_file import read_calibration
from eosin.engine.memory_bounds import Memory
from eosin.errors import EosinError
from eosin.features import TileMatch, need_commercial
from eosin.options import DrawOptions, FeatureOptions, LayoutOptions, ReadOptions, takes_options
from eosin.slide import layout_of
from eosin.types import Prediction, Section
from eosin.types.likeness import UNLIKE

log = logging.getLogger("eosin")

_DRAWS_OF_MEAN = 16
"""Of which the mean of a generative network is made at least, so that error bars fit however few draws are kept."""


@takes_options(hide=("encoder", "tile_um", "symmetries", "device", "precision", "sections"))
def predict(
    model: Trained | str | Path,
    target: Section | str | Path,
    *,
    section: str | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    drawing: DrawOptions = DrawOptions(),
    encoding: FeatureOptions = FeatureOptions(),
    layout: LayoutOptions = LayoutOptions(),
    reading: ReadOptions = ReadOptions(),
) -> Prediction:
    """Predict the expression of a section; none is needed, and none is looked at.

    Parameters
    ----------
    model
        A trained model or its checkpoint folder.
    target
        A section; a data folder (with `section` where it holds several); a bare image, on whose tissue a
        lattice of spots is laid; or a feature file of TRIDENT or CLAM, whose tiles are the spots.
    section
        Which section of a data folder.
    settings
        Other settings of how draws are made, as `{"n_steps": 10}`; those that what was learned depends on are refused.
    out
        Where to write the prediction as `.h5ad`.

    Raises
    ------
    EosinError
        No such checkpoint, section or image; features of another encoder; a licence that is not allowed; with `strict`
        a slide that is unlike the training slides.

    Examples
    --------
    >>> model = eosin.train("data", features="features", model="ridge", genes="var:5", sections="A1,A2,B1")
    >>> prediction = eosin.predict(model, "data", section="B2", features="features")
    >>> prediction.mean.shape == (len(prediction.spots), 5)
    True
    """
    need_suffix(out, (".h5ad",), "a prediction is an AnnData file")
    need_other_file(out, target)
    laid = layout_of(layout)
    calibration = None if drawing.calibration is None else read_calibration(drawing.calibration)
    trained = model if isinstance(model, Trained) else engine.load(model)
    if trained.metrics.get("finished") is False:
        log.warning("model '%s' is not trained to its end; go on with: eosin train --resume", trained.name)
    if settings:
        trained = engine.with_settings(trained, settings)
    if encoding.commercial_only:
        need_commercial(f"model '{trained.name}'", trained.licence, commercial=trained.commercial)
    to_predict = target
    if not isinstance(to_predict, Section):
        to_predict = open_to_predict(to_predict, section, trained.encoder, laid, reading)
    match, strict = TileMatch(encoding.match, encoding.match_um), encoding.commercial_only
    (ready,) = with_features([to_predict], trained.encoder, encoding.features, commercial_only=strict, match=match)
    prediction = engine.predict(
        trained,
        ready,
        draws=drawing.draws,
        seed=drawing.seed,
        draws_of_mean=_DRAWS_OF_MEAN,
        memory=Memory(drawing.memory, None if out is None else Path(out).parent),
        keep_draws=drawing.keep_draws or out is None,
    )
    likeness = prediction.likeness
    if drawing.strict and likeness is not None and likeness.verdict == UNLIKE:
        fix = "check scale, focus, staining and tissue, or leave out --strict"
        raise EosinError(f"section '{prediction.section}' is {likeness.line()}", fix=fix)
    if calibration is not None:
        prediction = calibration.apply(prediction)
    if out is not None:
        save_prediction(prediction, out, keep_draws=drawing.keep_draws or None)
    return prediction
