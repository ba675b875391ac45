"""Predictions or scores -> one self-contained HTML file that opens without a network."""

from eosin.reporting.bench import write_bench_report
from eosin.reporting.maps import overview_figure
from eosin.reporting.run import write_report

__all__ = ["overview_figure", "write_bench_report", "write_report"]
