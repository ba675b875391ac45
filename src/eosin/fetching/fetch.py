"""The verb: one order to one source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import eosin.fetching.collections
import eosin.fetching.encoder_weights  # noqa: F401 - each registers its sources
from eosin.fetching.sources import SOURCES, Order


def fetch(
    what: str,
    name: str | None = None,
    *,
    out: str | Path | None = None,
    organ: Sequence[str] | None = None,
    platform: Sequence[str] | None = None,
    id: Sequence[str] | None = None,
    parts: Sequence[str] | None = None,
    revision: str | None = None,
    url: Sequence[str] | None = None,
    dry_run: bool = False,
) -> list[str]:
    """Fetch data sets, weights or gene tables.

    Interrupted, it goes on where it was; what is there already is not fetched again. The hub is huggingface_hub's:
    `HF_TOKEN`, `HF_HOME`, `HF_ENDPOINT` and `HF_HUB_OFFLINE` do what they do there.

    Parameters
    ----------
    what
        `hest`, `stimage`, `weights` or `genes`.
    name
        For `weights` an encoder or ORGANISATION/MODEL, for `genes` the species: `human` or `mouse`.
    out
        Folder of a data set (its name by default), or file of a gene table.
    organ, platform, id
        Only sections that have one of these; upper and lower case are alike.
    parts
        Folders of HEST-1k; by default what eosin reads: `st`, `wsis`, `metadata`.
    revision
        Commit on the hub.
    url
        Where a gene table lies; several are joined by symbol.
    dry_run
        Only say what would be fetched.

    Returns
    -------
    list of str
        What was fetched and where it lies, in lines.

    Raises
    ------
    EosinError
        No such thing; access must be asked for; no connection; too little space.
    """
    source = SOURCES[what]
    order = Order(
        name,
        None if out is None else Path(out),
        tuple(organ or ()),
        tuple(platform or ()),
        tuple(id or ()),
        tuple(parts or ()),
        revision,
        tuple(url or ()),
    )
    source.check(order)
    return source.fetch(order, dry_run=dry_run)
