"""Benchmarks: protocols, grids of cells, tables."""

from eosin.benchmark.grid import REFERENCE, bench
from eosin.benchmark.protocol import Protocol, load_protocol, protocol_facts, protocol_genes, protocol_splits
from eosin.benchmark.studies import STUDIES, StudyCell, run_study, study_cells
from eosin.benchmark.table import costs, remarks, table

__all__ = [
    "REFERENCE",
    "STUDIES",
    "Protocol",
    "StudyCell",
    "bench",
    "costs",
    "load_protocol",
    "protocol_facts",
    "protocol_genes",
    "protocol_splits",
    "remarks",
    "run_study",
    "study_cells",
    "table",
]
