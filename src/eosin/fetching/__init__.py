"""Data sets, weights and gene tables, fetched once and resumed where they were cut off."""

from eosin.fetching.fetch import fetch
from eosin.fetching.sources import SOURCES, Order, Source

__all__ = ["SOURCES", "Order", "Source", "fetch"]
