"""The command that shows a prediction in the browser. `cli` takes it up."""

from __future__ import annotations

from pathlib import Path

from eosin.cli.existing import need_existing
from eosin.cli.flags import Flag, OneReading, given, listed, unset
from eosin.options import names_of


def view(
    prediction: Path,
    *,
    truth: Path | None = None,
    compare: list[str] | None = None,
    slide: Path | None = None,
    regions: Path | None = None,
    export: Path | None = None,
    port: int = 0,
    no_browser: Flag = False,
    reading: OneReading = unset(OneReading),
) -> None:
    """Show a prediction on its slide in the browser: genes, what was measured, how sure it is. Ctrl-C ends it.

    Parameters
    ----------
    prediction
        A predicted .h5ad.
    truth
        Data folder with the measured section: adds what was measured, and the difference.
    compare
        Predictions of the same section by other models, by commas.
    slide
        The slide, where it is no longer where the prediction was made from.
    regions
        .geojson of regions, as QuPath writes it: their genes are compared with the rest.
    export
        Write a folder that opens without a server, instead of serving the page.
    port
        Of the server on this machine; 0 for any that is free.
    no_browser
        Only print the address.
    """
    others = [Path(name) for name in names_of(listed(compare)) or ()]
    need_existing(prediction, truth, slide, regions, *others)
    from eosin.api.view import view as run
    from eosin.cli import show

    options = {"truth": truth, "compare": others, "slide": slide, "regions": regions, "export": export}
    shown = run(prediction, port=port, browser=not no_browser, **options, **given(reading))
    if isinstance(shown, Path):
        show.lines([f"{shown} written; it opens without a server"])
        return
    with shown:
        show.lines([shown.address])
        shown.wait()
