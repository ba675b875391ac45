"""Benchmarks: protocols, grids of cells, tables."""

from eosin.benchmark.bootstrap import compare
from eosin.benchmark.cell import GridSettings
from eosin.benchmark.efficiency import Load, efficiency_rows, measure_efficiency
from eosin.benchmark.grid import REFERENCE, bench
from eosin.benchmark.protocol import load_protocol, protocol_facts, protocol_genes, protocol_splits
from eosin.benchmark.protocol_tables import Protocol
from eosin.benchmark.studies import STUDIES, StudyCell, needs_data, run_study, study_cells
from eosin.benchmark.table import costs, remarks, shown, table

__all__ = [
    "REFERENCE",
    "STUDIES",
    "GridSettings",
    "Load",
    "Protocol",
    "StudyCell",
    "bench",
    "compare",
    "costs",
    "efficiency_rows",
    "load_protocol",
    "measure_efficiency",
    "needs_data",
    "protocol_facts",
    "protocol_genes",
    "protocol_splits",
    "remarks",
    "run_study",
    "shown",
    "study_cells",
    "table",
]
