"""Predictions and features in the files of other programs: one format, one object, chosen by the file's suffix."""

from eosin.exporting.formats import FORMATS, Format, Wish
from eosin.exporting.run import export

__all__ = ["FORMATS", "Format", "Wish", "export"]
