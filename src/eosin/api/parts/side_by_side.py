"""Predictions that are to stand side by side: one set of genes, and a name for each model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eosin.errors import EosinError
from eosin.plurals import counted
from eosin.types import Prediction


def side_by_side(predictions: Sequence[Prediction], stems: Sequence[str]) -> tuple[list[Prediction], list[str]]:
    """The same predictions with the genes that all of them have, two of one model told apart, and what was left out.

    Parameters
    ----------
    stems
        A name for each, as that of its file, for where two are of one model and section.

    Raises
    ------
    EosinError
        No common gene, or values of different transforms.
    """
    first, notes = predictions[0], []
    for other in predictions[1:]:
        if other.panel.transform != first.panel.transform:
            raise EosinError(
                f"values of '{first.model}' are {first.panel.transform}, those of '{other.model}' "
                f"{other.panel.transform}",
                fix="report them apart",
            )
    others = [set(p.panel.names) for p in predictions[1:]]
    common = [name for name in first.panel.names if all(name in names for names in others)]
    if not common:
        raise EosinError("the predictions have no gene in common", fix="report them apart")
    most = max(len(p.panel) for p in predictions)
    if len(common) < most:
        notes.append(
            f"{counted(len(common), 'gene')} of up to {most} are in every prediction; the others are left out."
        )
    named, seen = [], set()
    for i, (prediction, stem) in enumerate(zip(predictions, stems)):
        model = prediction.model
        if (model, prediction.section) in seen:
            model = f"{model}, {stem or i + 1}"
        while (model, prediction.section) in seen:
            model += f", {i + 1}"
        seen.add((model, prediction.section))
        named.append(_of_common(replace(prediction, model=model), common))
    return named, notes


def _of_common(prediction: Prediction, names: Sequence[str]) -> Prediction:
    if tuple(names) == tuple(prediction.panel.names):
        return prediction
    place = {name: j for j, name in enumerate(prediction.panel.names)}
    columns = [place[name] for name in names]
    ensembl = prediction.panel.ensembl
    ids = None if ensembl is None else tuple(ensembl[j] for j in columns)
    return prediction.of_genes(columns, replace(prediction.panel, names=tuple(names), ensembl=ids))
