"""Which bins of Visium HD there are in a folder, and where; empty folders of their names are none."""

from __future__ import annotations

import contextlib
import gzip
import re
import zlib
from pathlib import Path

from eosin.data.readers.tenx import tenx_folder as tenx
from eosin.data.readers.tenx.samples import Sample
from eosin.errors import EosinError

_POSITIONS = ("tissue_positions.parquet", "tissue_positions.csv", "tissue_positions_list.csv")
_BARCODE = re.compile(rb"s_(\d{3})um_\d+_\d+")
_OF_HD = (
    "binned_outputs",
    "segmented_outputs",
    "cell_segmentations.geojson",
    "spatial/tissue_positions.parquet",
)


def sizes(folder: Path) -> dict[int, Path]:
    """The bin sizes in µm that are there, and their folders: those of a sample, or a folder of bins alone.

    A folder without a file counts only where all are so: then whoever reads it says that it is empty.
    """
    folders = {}
    for place in (folder / "binned_outputs", folder):
        for square in sorted(place.glob("square_*um")):
            if (size := _size_by_name(square)) is not None and square.is_dir():
                folders.setdefault(size, square)
    filled = {size: square for size, square in folders.items() if is_filled(square)}
    if filled:
        return filled
    if not folders and (size := _size_of_alone(folder)) is not None:
        return {size: folder}
    return folders


def is_filled(place: Path) -> bool:
    """Whether a file is there, or a folder with a file in it."""
    if place.is_dir():
        return any(file.is_file() and not file.name.startswith(".") for file in place.rglob("*"))
    return place.exists()


def is_hd(folder: Path) -> bool:
    """Whether a sample's folder holds bins or cells of Visium HD, and not only empty folders of their names."""
    return any(is_filled(folder / name) for name in _OF_HD) or any(map(is_filled, sizes(folder).values()))


def _size_by_name(square: Path) -> int | None:
    match = re.fullmatch(r"square_(\d{1,4})um", square.name)
    return int(match.group(1)) if match and int(match.group(1)) > 0 else None


def _size_of_alone(folder: Path) -> int | None:
    """The bin size of a folder that holds positions of bins itself: by its name, its scale factors, or a barcode."""
    positions = Sample(folder).file(*_POSITIONS)
    if positions is None:
        return None
    if (size := _size_by_name(folder.resolve())) is not None:
        return size
    with contextlib.suppress(EosinError):
        if bin_um := tenx.read_factors(folder).get("bin_size_um"):
            return round(bin_um)
    match = None if positions.name.endswith(".parquet") else _BARCODE.search(_beginning(positions))
    return int(match.group(1)) if match and int(match.group(1)) > 0 else None


def _beginning(file: Path) -> bytes:
    try:
        with gzip.open(file) if file.suffix == ".gz" else open(file, "rb") as stream:
            return stream.read(400)
    except (OSError, EOFError, zlib.error):
        return b""  # whoever reads it says what is wrong with it


def positions_file(square: Path) -> Path:
    """The table of positions of one bin size."""
    return Sample(square).file(*_POSITIONS) or square / "spatial" / _POSITIONS[0]
