"""Tables of slides as people and programs write them: their rows as text, and the paths that they name."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eosin.data.missing import as_text, is_missing
from eosin.errors import EosinError
from eosin.storage.delimited import read_table

_LOG = logging.getLogger("eosin")
COLUMNS = ("path", "id", "section", "patient", "mpp", "reader", "points", "tissue")
_TABLES_OF_POSITIONS = {"x", "y", "x_um", "y_um", "barcode", "in_tissue"}
_ANEW = "write it anew, with a column path"
_MEANT = {
    "path": "file|filename|filepath|image|imagepath|slide|slidepath|uri|paths",
    "id": "slideid|sampleid|name|sample|samplename|ids",
    "section": "sectionid|sectionname|sections|library|libraryid",
    "patient": "patientid|patientname|patients|patientno|subject|subjectid|donor|donorid|case|caseid|individual",
    "mpp": "mpp(x|y|um|level0)|(um|µm|microns)(per)?(px|pixel)|pixel(size|width|spacing)(um)?|spacing|resolution|scale",
    "reader": "readers|platform|technology|format",
    "points": "point|pointsfile|positions|coordinates|coords",
    "tissue": "tissuemask|mask|annotation|annotations|geojson|tissues",
}
"""What people call the columns, without anything but letters and digits."""


def manifest_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The line of each row, and what it says by column; columns without a use are logged, those near one warned of.

    Raises
    ------
    EosinError
        No table, no column `path`, a column twice, or a row of another length than the heading.
    """
    columns, rows = _of_parquet(path) if path.suffix.lower() == ".parquet" else _of_text(path)
    if "path" not in columns:
        positions = _TABLES_OF_POSITIONS & set(columns)
        fix = "give the slide, and this table by --points" if positions else "name the column of files 'path'"
        raise EosinError("has no column 'path', which a table of slides has", file=path, fix=fix)
    if twice := [name for name in COLUMNS if columns.count(name) > 1]:
        raise EosinError(f"has the column '{twice[0]}' twice", file=path, fix="leave one of them")
    _say_unused(columns, path)
    told = [(line, {name: cell.strip() for name, cell in zip(columns, row) if name in COLUMNS}) for line, row in rows]
    return [(line, {name: cell for name, cell in row.items() if not is_missing(cell)}) for line, row in told]


def _of_text(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    table = read_table(path, _ANEW)
    return table.columns, list(zip(table.lines, table.rows))


def _of_parquet(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    import pandas as pd

    try:
        table = pd.read_parquet(path)
    except Exception as error:  # parsers raise errors of many kinds
        text = " ".join(str(error).split())[:200]
        raise EosinError(f"is no table ({text})", file=path, fix=_ANEW) from error
    values: list[list[Any]] = table.to_numpy(dtype=object).tolist()
    rows = [["" if is_missing(cell) else as_text(cell) for cell in row] for row in values]
    return [str(column).strip().lower() for column in table.columns], list(enumerate(rows, 2))


def _say_unused(columns: Sequence[str], path: Path) -> None:
    """Log columns without a use; warn where one is by its name what a missing one is for."""
    idle = []
    for name in [name for name in columns if name and name not in COLUMNS]:
        plain = re.sub(r"[\W_]+", "", name)
        meant = next((known for known, names in _MEANT.items() if re.fullmatch(names, plain)), None)
        if meant is not None and meant not in columns:
            _LOG.warning("%s: column '%s' is not used; call it '%s' if it is that", path, name, meant)
        else:
            idle.append(name)
    if idle:
        _LOG.info("%s: not used: %s", path, ", ".join(idle))


def path_in(manifest: Path, text: str) -> Path:
    """A path that a manifest names, relative to it: `~` is the home, and `\\` parts folders where no file has it."""
    if "\0" in text:
        raise EosinError("a path holds a character that no path can", file=manifest, fix="write the table anew as text")
    own = Path(text)
    if text.startswith("~"):
        try:
            own = own.expanduser()
        except RuntimeError:  # no such user: a file that begins so
            own = Path(text)
    place = manifest.parent / own
    if "\\" in text and not place.exists():
        place = manifest.parent / text.replace("\\", "/")
    return place if place.exists() else _composed_otherwise(place)


def _composed_otherwise(place: Path) -> Path:
    """The file whose name has the same letters, composed as another system does (`ü`, or `u` and a mark)."""
    forms = (place.with_name(unicodedata.normalize(form, place.name)) for form in ("NFC", "NFD") if place.name)
    return next((other for other in forms if other.exists()), place)
