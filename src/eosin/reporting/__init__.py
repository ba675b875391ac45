"""Predictions or scores -> one self-contained HTML file that opens without a network."""

from eosin.reporting.cohort_page import SlideCard, write_cohort_index
from eosin.reporting.grid_page import write_bench_report
from eosin.reporting.overview import overview_figure
from eosin.reporting.prediction_page import write_report

__all__ = ["SlideCard", "overview_figure", "write_bench_report", "write_cohort_index", "write_report"]
