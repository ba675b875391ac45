"""`eosin.plot`: maps of a prediction on the tissue, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eosin import data as door
from eosin.api.parts.outputs import need_suffix
from eosin.api.parts.sections import Data, truth_of
from eosin.api.parts.thumbnails import thumbnail_of_file, thumbnails
from eosin.options import ReadOptions, names_of, takes_options
from eosin.reporting.figures import save_figure
from eosin.reporting.gene_plot import gene_figure
from eosin.types import Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf", ".svg")


@takes_options(hide=("sections",))
def plot(
    prediction: Prediction | str | Path,
    *,
    genes: str | Sequence[str] | None = None,
    show: str | Sequence[str] | None = None,
    truth: Data | None = None,
    out: str | Path | None = None,
    dpi: int = 200,
    reading: ReadOptions = ReadOptions(),
) -> Figure:
    """Maps of genes on the tissue: spots of their true width on the H&E, with a scale bar and units.

    Mean and truth of a gene share one range of colours. The figure is matplotlib's own object; no display is needed.

    Parameters
    ----------
    prediction
        A prediction or its `.h5ad`.
    genes
        A row each; by default the three that are predicted best, as far as that is known.
    show
        Some of `tissue`, `mean`, `truth`, `difference`, `interval` (half the width of the 90 % interval), `sd` and
        `distance` (from training); by default tissue, mean, truth where it is given, and interval. Error bars that are
        one number for each gene are no map: the panel says the number and shows the distance.
    truth
        The measured section.
    out
        The .png, .pdf or .svg to write.
    dpi
        Dots per inch of a .png, and of pictures inside the others.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    EosinError
        An unknown gene or map, a measured map without `truth`, another suffix.

    Examples
    --------
    >>> model = eosin.train("data", features="features", model="ridge", genes="var:5", sections="A1,A2,B1")
    >>> prediction = eosin.predict(model, "data", section="B2", features="features")
    >>> figure = eosin.plot(prediction, show="mean,truth", truth="data", out="B2.png")
    >>> len(figure.axes)  # three genes, two maps each, with their colour bars
    12
    """
    need_suffix(out, SUFFIXES, "a figure is .png, .pdf or .svg")
    if isinstance(prediction, Prediction):
        small = thumbnails([prediction], max_px=1600).get(prediction.section)
    else:
        source, prediction = prediction, door.read_prediction(prediction)
        small = thumbnail_of_file(source, prediction)
    measured = None if truth is None else truth_of(prediction.section, truth, reading)
    figure = gene_figure(prediction, names_of(genes) or (), names_of(show) or (), truth=measured, thumbnail=small)
    if out is not None:
        save_figure(figure, out, dpi)
    return figure
