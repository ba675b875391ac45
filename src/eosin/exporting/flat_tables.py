"""`.csv` and `.parquet`: one row a spot, for R, pandas and spreadsheets."""

from __future__ import annotations

import csv
import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.exporting.formats import FORMATS, ExportOptions, Format
from eosin.exporting.rows import blocks, chosen_layers, column_names
from eosin.row_blocks import row_blocks
from eosin.storage.files import atomic_file
from eosin.types import Prediction, Section, Spots

PLACE = ("spot", "x_um", "y_um")
"""The first columns: the spot's name and its centre, µm from the top left of the image."""
AREA = "area_um2"
"""A column after these, of cells: the area in which molecules were counted; empty where it is not known."""
_ROWS = 8192


def place_columns(spots: Spots) -> tuple[str, ...]:
    """The columns before the numbers."""
    return PLACE if spots.footprints is None else (*PLACE, AREA)


def _place_text(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


@dataclass(frozen=True)
class Sheet:
    """The content of a table.

    Attributes
    ----------
    spots
        Names, centres and, of cells, areas.
    names
        Headings of the numbers.
    parts
        Blocks of rows, with their numbers [b n].
    about
        Section, model and transform, or encoder: for formats that can hold it.
    """

    spots: Spots
    names: Sequence[str]
    parts: Iterator[tuple[slice, np.ndarray]]
    about: Mapping[str, object]

    def place(self, rows: slice) -> np.ndarray:
        """The numbers of some rows that say where they are and, of cells, how large [b 2 or 3]."""
        xy, footprints = self.spots.xy_um[rows], self.spots.footprints
        return xy if footprints is None else np.column_stack([xy, footprints.area_um2[rows]])


class TableFormat(Format):
    """A table with a row for each spot; what is left open is how it is written."""

    takes = frozenset({"layers"})

    def write(self, prediction: Prediction, path: Path, options: ExportOptions) -> None:
        """Write the spots with the layers of each gene."""
        layers = chosen_layers(prediction, options.layers)
        about = {"section": prediction.section, "model": prediction.model, "transform": prediction.panel.transform}
        names = column_names(prediction.panel, layers, place_columns(prediction.spots))
        self.write_sheet(Sheet(prediction.spots, names, blocks(prediction, layers), about), path)

    def write_features(self, section: Section, path: Path) -> None:
        """Write the spots with their features, in columns `f0`, `f1`, ..."""
        features = section.need_features()
        names = [f"f{i}" for i in range(features.values.shape[1])]
        parts = ((rows, features.values[rows]) for rows in row_blocks(len(section), budget=_ROWS))
        about = {"section": section.name, "encoder": features.encoder, "encoder_key": features.key}
        self.write_sheet(Sheet(section.spots, names, parts, about), path)

    @abstractmethod
    def write_sheet(self, sheet: Sheet, path: Path) -> None:
        """Write the table to `path`, block by block."""


class Csv(TableFormat):
    """Comma-separated text, UTF-8, with a heading."""

    opened_by = "R, pandas, spreadsheets"

    def write_sheet(self, sheet: Sheet, path: Path) -> None:
        """Write the table with places to 0.001 µm and numbers to six digits."""
        with atomic_file(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*place_columns(sheet.spots), *sheet.names])
            for rows, values in sheet.parts:
                for spot, place, numbers in zip(sheet.spots.ids[rows], sheet.place(rows), values):
                    writer.writerow([spot, *map(_place_text, place), *(f"{v:.6g}" for v in numbers.tolist())])


class Parquet(TableFormat):
    """Apache Parquet, one row group a block; `Sheet.about` is in the schema's metadata under `eosin`, as JSON."""

    opened_by = "pandas, polars, R's arrow"

    def write_sheet(self, sheet: Sheet, path: Path) -> None:
        """Write the table with numbers as float32 and places as float64."""
        import pyarrow as pa
        from pyarrow import parquet

        places = place_columns(sheet.spots)
        types = [pa.string(), *[pa.float64()] * (len(places) - 1), *[pa.float32()] * len(sheet.names)]
        schema = pa.schema(list(zip([*places, *sheet.names], types)), {"eosin": json.dumps(dict(sheet.about))})
        with atomic_file(path) as partial:
            try:
                with parquet.ParquetWriter(partial, schema) as writer:
                    for rows, values in sheet.parts:
                        place = [column.copy() for column in sheet.place(rows).T]
                        numbers = [np.ascontiguousarray(column, dtype=np.float32) for column in values.T]
                        columns = [list(sheet.spots.ids[rows]), *place, *numbers]
                        writer.write_table(pa.table(columns, schema=schema))
            except pa.ArrowException as error:
                raise EosinError(f"cannot be written as parquet ({error})", file=path) from error


FORMATS.add("csv", Csv())
FORMATS.add("parquet", Parquet())
