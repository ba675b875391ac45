"""A prediction's numbers a block of spots at a time, so that a slide of 300 000 spots needs no second copy of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from eosin.errors import EosinError
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go
from eosin.types import GenePanel, Prediction, first_repeat

LAYERS: Mapping[str, Callable[[Prediction], np.ndarray]] = {
    "mean": lambda prediction: prediction.mean,
    "sd": lambda prediction: prediction.sd,
    "q05": lambda prediction: prediction.quantile(0.05),
    "q95": lambda prediction: prediction.quantile(0.95),
}
"""Numbers of a gene at a spot that can be exported: each is [s g], in the panel's model values."""

_BLOCK = 8192
log = logging.getLogger("eosin")


def chosen_layers(prediction: Prediction, layers: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the layers to export, each once; by default the mean and, of two draws or more, `sd`.

    Raises
    ------
    EosinError
        An unknown layer, or one that a single draw does not have.
    """
    if layers is None:
        return ("mean", "sd") if prediction.has_spread else ("mean",)
    for name in layers:
        if name not in LAYERS:
            raise EosinError(f"there is no layer '{name}'", fix=f"known ones: {', '.join(LAYERS)}")
    if not prediction.has_spread and any(name != "mean" for name in layers):
        raise EosinError("one draw has no standard deviation and no quantiles", fix="export --layers mean")
    return tuple(dict.fromkeys(layers))


def with_genes(prediction: Prediction, genes: Sequence[str] | None, missing: str = "refuse") -> Prediction:
    """The prediction of `genes` only, in their order; all of it where `genes` is None.

    Parameters
    ----------
    missing
        Genes that were not predicted: `refuse`, or `skip` to leave them out.

    Raises
    ------
    EosinError
        A gene that was not predicted, unless some are left to skip it; no gene.
    """
    if genes is None:
        return prediction
    columns = {name: column for column, name in enumerate(prediction.panel.names)}
    if missing not in ("refuse", "skip"):
        raise EosinError(f"--missing-genes is '{missing}'", fix="give refuse or skip")
    unknown = [name for name in genes if name not in columns]
    if missing == "skip" and 0 < len(unknown) < len(genes):
        log.warning("left out, as they were not predicted: %s", ", ".join(unknown))
        genes = [name for name in genes if name in columns]
    elif unknown:
        first_names = ", ".join(prediction.panel.names[:6])
        raise EosinError(f"gene '{unknown[0]}' was not predicted", fix=f"the panel is {first_names}, ...")
    names = tuple(dict.fromkeys(genes))
    if not names:
        raise EosinError("no gene is named to export", fix="name some, or leave --genes out")
    chosen = [columns[name] for name in names]
    return prediction.of_genes(chosen, prediction.panel.of_genes(chosen))


def column_names(panel: GenePanel, layers: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """Headings gene by gene: `GATA3` for the mean, `GATA3_sd` for another layer.

    Raises
    ------
    EosinError
        A heading that occurs twice, or is one of `taken`.
    """
    names = [gene if layer == "mean" else f"{gene}_{layer}" for gene in panel.names for layer in layers]
    if len({*taken, *names}) < len(taken) + len(names):
        repeat = first_repeat([*taken, *names])
        raise EosinError(f"two columns would be called '{repeat}'", fix="export fewer genes by --genes")
    return names


def blocks(prediction: Prediction, layers: Sequence[str]) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of spots and their numbers [b, genes x layers], in the order of `column_names`."""
    for rows in row_blocks(len(prediction.spots), budget=_BLOCK):
        part = prediction.of_spots(rows)
        values = np.stack([LAYERS[name](part) for name in layers], -1)  # [b g layers]
        yield rows, values.reshape(len(values), -1)
        let_go(prediction.centre, prediction.draws)
