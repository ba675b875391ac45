"""`eosin.fetch`: download from one source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eosin.fetching import collections, encoder_weights, gene_tables  # noqa: F401 - each registers its sources
from eosin.fetching.sources import SOURCES, FetchOptions
from eosin.options import names_of


def fetch(
    what: str,
    name: str | None = None,
    *,
    out: str | Path | None = None,
    organ: str | Sequence[str] | None = None,
    platform: str | Sequence[str] | None = None,
    id: str | Sequence[str] | None = None,
    parts: str | Sequence[str] | None = None,
    revision: str | None = None,
    url: str | Sequence[str] | None = None,
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
        Only sections that have one of these; upper and lower case make no difference. Lists may be
        text by commas.
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
        names_of(organ) or (),
        names_of(platform) or (),
        names_of(id) or (),
        names_of(parts) or (),
        revision or None,
        (url,) if isinstance(url, str) else tuple(url or ()),
    )
    source.check(options)
    return source.fetch(options, dry_run=dry_run)
