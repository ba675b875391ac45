"""The tuned ridge beside a prediction: trained on the other measured sections, on the same genes."""

from __future__ import annotations

from dataclasses import replace

from eosin import engine
from eosin.api.parts.encoded import with_features
from eosin.api.parts.sections import Data, sections_of
from eosin.errors import EosinError
from eosin.options import FeatureOptions, ReadOptions
from eosin.types import GenePanel, Prediction, Section


def ridge_beside(
    prediction: Prediction, section: Section, truth: Data, encoding: FeatureOptions, reading: ReadOptions
) -> tuple[Prediction, list[str]]:
    """The ridge's prediction of the same spots and genes, and the sections that it was trained on.

    Parameters
    ----------
    prediction
        What it stands beside.
    section
        The measured section, which is left out of training.
    truth
        Where it comes from, with other sections.
    encoding
        Folder of the features, and their encoder.

    Raises
    ------
    EosinError
        No other section is there, or one lacks features or genes.
    """
    others = [s for s in sections_of(truth, reading) if s.name not in (section.name, prediction.section)]
    if not others:
        raise EosinError(
            "the ridge beside the prediction needs other measured sections to train on",
            fix="give a folder of several sections, or leave out --features",
        )
    *training, judged = with_features([*others, section], encoding.encoder, encoding.features)
    panel = GenePanel(prediction.panel.names, prediction.panel.transform, "given", tuple(s.name for s in training))
    made = engine.predict(engine.train(training, model="ridge", panel=panel), judged)
    rows = made.spots.rows_of(prediction.spots.ids)
    return replace(made.of_spots(rows), section=prediction.section), [s.name for s in training]
