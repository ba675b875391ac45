"""`eosin.view`: a prediction on its slide, in the browser."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eosin import data as door
from eosin.errors import EosinError
from eosin.options import ReadOptions, takes_options
from eosin.types import Prediction, Section
from eosin.viewer import Viewing, compose, in_notebook, widget_of, write_folder

if TYPE_CHECKING:
    from eosin.api.parts.sections import Data

log = logging.getLogger("eosin")

Given = Prediction | str | Path


@takes_options(hide=("sections",))
def view(
    prediction: Given,
    *,
    truth: Data | None = None,
    compare: Given | Sequence[Given] = (),
    slide: str | Path | None = None,
    regions: str | Path | None = None,
    export: str | Path | None = None,
    port: int = 0,
    browser: bool = True,
    widget: bool | None = None,
    reading: ReadOptions = ReadOptions(),
) -> Any:
    """Show a prediction on its slide: gene by gene, beside what was measured and how sure it is.

    The page is served on this machine only, to whoever has its address; nothing is fetched from a network.

    Parameters
    ----------
    prediction
        A prediction or its `.h5ad`.
    truth
        The measured section: adds what was measured, and the difference.
    compare
        Predictions of the same section by other models.
    slide
        The slide, where it is no longer where the prediction was made from.
    regions
        GeoJSON of regions, as QuPath writes it: their genes are compared with the rest.
    export
        Write a folder that opens without a server, instead of serving the page.
    port
        Of the server; 0 for any that is free.
    browser
        Whether to open the page in a browser.
    widget
        A widget instead of a server; None: in a notebook.

    Returns
    -------
    Viewing, widget or Path
        The server (`address`, `wait()`, `close()`; it ends with its `with` block), the widget, or the `index.html` of
        the folder.

    Raises
    ------
    EosinError
        No such file, no shared spots or genes, predictions on other scales, a port that is taken, packages that the
        server needs and that are not there (`pip install "eosin[view]"`).

    Examples
    --------
    >>> model = eosin.train("data", features="features", model="ridge", genes="var:5", sections="A1,A2,B1")
    >>> prediction = eosin.predict(model, "data", section="B2", features="features")
    >>> with eosin.view(prediction, truth="data", browser=False) as viewing:
    ...     viewing.address.startswith("http://127.0.0.1:")
    True
    """
    shown = _read(prediction)
    others = [compare] if isinstance(compare, Prediction | str | Path) else compare
    scene = compose(
        shown,
        truth=None if truth is None else _measured(shown.section, truth, reading),
        others=[_read(other) for other in others],
        slide=slide,
        mpp=reading.mpp,
        regions=regions,
    )
    for note in scene.notes:
        log.info("%s: %s", shown.section, note)
    if export is not None:
        with contextlib.closing(scene):
            return write_folder(scene, export)
    try:
        if in_notebook() if widget is None else widget:
            return widget_of(scene)
        viewing = Viewing(scene, port)
    except EosinError:
        scene.close()
        raise
    if browser and not viewing.open_browser():
        log.info("no browser was found: open the address yourself")
    return viewing


def _measured(section: str, truth: Data, reading: ReadOptions) -> Section:
    from eosin.api.parts.sections import (
        truth_of,
    )  # it knows encoders, which load torch: a page without truth needs none

    return truth_of(section, truth, reading)


def _read(given: Given) -> Prediction:
    return given if isinstance(given, Prediction) else door.read_prediction(given)
