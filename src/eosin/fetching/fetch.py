"""`eosin.fetch`: download from one source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eosin.fetching import collections, encoder_weights, gene_tables  # noqa: F401 - each registers its sources
from eosin.fetching.sources import SOURCES, FetchOptions


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
    """Download data sets, weights or gene tables.

    An interrupted download is continued, and files that are complete are not downloaded again. The hub is that of
    huggingface_hub, with its `HF_TOKEN`, `HF_HOME`, `HF_ENDPOINT` and `HF_HUB_OFFLINE`.

    Parameters
    ----------
    what
        `hest`, `stimage`, `weights` or `genes`.
    name
        For `weights` an encoder or ORGANISATION/MODEL, for `genes` the species: `human` or `mouse`.
    out
        Folder of a data set (its name by default), or file of a gene table.
    organ, platform, id
        Only sections that have one of these; upper and lower case make no difference.
    parts
        Folders of HEST-1k; by default what eosin reads: `st`, `wsis`, `metadata`.
    revision
        Commit on the hub.
    url
        Addresses of gene tables; several are joined by symbol.
    dry_run
        Only list what would be downloaded.

    Returns
    -------
    list of str
        Lines that say what was downloaded and where it is.

    Raises
    ------
    EosinError
        No such thing; no access to it; no connection; too little space; an option that the source does not use.
    """
    source = SOURCES[what]
    options = FetchOptions(
        name or None,
        None if out is None else Path(out),
        tuple(organ or ()),
        tuple(platform or ()),
        tuple(id or ()),
        tuple(parts or ()),
        revision or None,
        tuple(url or ()),
    )
    source.check(options)
    return source.fetch(options, dry_run=dry_run)
