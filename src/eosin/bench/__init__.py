"""Benchmarks: protocols, grids of cells, tables."""

from eosin.bench.grid import bench
from eosin.bench.table import table

__all__ = ["bench", "table"]
