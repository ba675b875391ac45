"""Predictions and features in the files of other programs: one format, one object, chosen by the file's suffix."""

from eosin.exporting.export import export
from eosin.exporting.formats import FORMATS, Format, Wish

__all__ = ["FORMATS", "Format", "Wish", "export"]
