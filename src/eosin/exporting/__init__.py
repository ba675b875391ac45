"""Predictions and features written for other programs; the suffix of the file names the format."""

from eosin.exporting.export import export
from eosin.exporting.formats import FORMATS, ExportOptions, Format

__all__ = ["FORMATS", "ExportOptions", "Format", "export"]
