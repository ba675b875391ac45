"""Benchmarks: protocols and grids of cells."""

from eosin.benchmark.bootstrap import compare
from eosin.benchmark.cell import GridSettings
from eosin.benchmark.efficiency import Load, efficiency_rows, measure_efficiency
from eosin.benchmark.grid import bench, estimated, run
from eosin.benchmark.grid_part import run_part
from eosin.benchmark.plan import REFERENCE, prepare
from eosin.benchmark.protocol import load_protocol, protocol_facts, protocol_genes, protocol_splits
from eosin.benchmark.protocol_tables import Protocol
from eosin.benchmark.studies import STUDIES, StudyCell, needs_data, study_cells
from eosin.benchmark.study_run import run_study

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
    "estimated",
    "load_protocol",
    "measure_efficiency",
    "needs_data",
    "prepare",
    "protocol_facts",
    "protocol_genes",
    "protocol_splits",
    "run",
    "run_part",
    "run_study",
    "study_cells",
]
