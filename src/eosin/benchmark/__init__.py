"""Benchmarks: protocols and grids of cells."""

from eosin.benchmark.bootstrap import compare
from eosin.benchmark.cell import GridSettings
from eosin.benchmark.efficiency import Load, efficiency_rows, measure_efficiency
from eosin.benchmark.grid import REFERENCE, bench
from eosin.benchmark.protocol import load_protocol, protocol_facts, protocol_genes, protocol_splits
from eosin.benchmark.protocol_tables import Protocol
from eosin.benchmark.studies import STUDIES, StudyCell, needs_data, run_study, study_cells

__all__ = [
    "REFERENCE",
    "STUDIES",
    "GridSettings",
    "Load",
    "Protocol",
    "StudyCell",
    "bench",
    "compare",
    "efficiency_rows",
    "load_protocol",
    "measure_efficiency",
    "needs_data",
    "protocol_facts",
    "protocol_genes",
    "protocol_splits",
    "run_study",
    "study_cells",
]
