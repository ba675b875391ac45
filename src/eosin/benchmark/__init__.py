"""Benchmarks: protocols, grids of cells, tables."""

from eosin.benchmark.grid import bench
from eosin.benchmark.table import table

__all__ = ["bench", "table"]
