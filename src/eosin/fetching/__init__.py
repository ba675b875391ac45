"""Download of data sets, encoder weights and gene tables; an interrupted download is continued."""

from eosin.fetching.fetch import fetch
from eosin.fetching.sources import SOURCES, FetchOptions, Source

__all__ = ["SOURCES", "FetchOptions", "Source", "fetch"]
