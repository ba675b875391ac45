"""One picture of a result: H&E, measured and predicted maps of a few genes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eosin.reporting.figures import INK, MapSheet, to_png
from eosin.reporting.gathered import check_genes, truth_values
from eosin.reporting.maps import Thumbnail, draw_image, draw_layer, extent_of, gene_layers
from eosin.types import GenePanel, Prediction, Section


def overview_figure(
    prediction: Prediction,
    genes: Sequence[str],
    *,
    truth: Section | None = None,
    thumbnail: Thumbnail | None = None,
    dpi: int = 144,
) -> bytes:
    """One picture of a result: a row per gene with H&E, measured and predicted mean.

    Parameters
    ----------
    prediction
        What to show.
    genes
        Genes of its panel, one row each.
    truth
        The measured section; without it the column is left out.
    thumbnail
        The H&E image and its µm per pixel; without it the spots' places are shown.

    Returns
    -------
    bytes
        A PNG.

    Raises
    ------
    EosinError
        A gene that is not in the panel; a truth that does not match.
    """
    check_genes(genes, prediction.panel)
    measured = None if truth is None else truth_values(prediction, truth)
    extent = extent_of(prediction.spots, thumbnail)
    rows = [gene_layers(prediction, g, _column(measured, prediction.panel, g)) for g in genes]
    sheet = MapSheet(len(rows), len(rows[0]), extent, left=0.4, slide=True)
    for i, (gene, layers) in enumerate(zip(genes, rows)):
        axis = sheet.image(i)
        draw_image(axis, thumbnail, prediction.spots, extent)
        axis.set_ylabel(gene, fontsize=13, fontweight="bold", color=INK)
        for j, layer in enumerate(layers):
            draw_layer(*sheet.panel(i, j), prediction.spots, layer, extent)
    return to_png(sheet.figure, dpi)


def _column(values: np.ndarray | None, panel: GenePanel, gene: str) -> np.ndarray | None:
    return None if values is None else values[:, panel.names.index(gene)]
