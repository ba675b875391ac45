"""Predictions or scores -> one self-contained HTML file that opens without a network."""

from eosin.report.bench import write_bench_report
from eosin.report.maps import overview_figure
from eosin.report.run import write_report

__all__ = ["overview_figure", "write_bench_report", "write_report"]
