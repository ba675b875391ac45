"""Outputs of instruments and programs that eosin does not read, known by the names of their files, and the way out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from eosin.errors import EosinError

_H5AD = "write them as .h5ad, with raw counts in X and positions in obsm['spatial']"


@dataclass(frozen=True)
class OtherOutputs:
    """Files that no reader reads.

    Attributes
    ----------
    what
        Whose they are, in words.
    names
        What their names are like, in lower case.
    fix
        What to do.
    """

    what: str
    names: re.Pattern[str]
    fix: str


_KNOWN = (
    OtherOutputs(
        "MERSCOPE",
        re.compile(r".*(?:cell_by_gene|detected_transcripts)\.(?:csv|parquet)(?:\.gz)?"),
        f"{_H5AD} (squidpy.read.vizgen), and give --positions-um",
    ),
    OtherOutputs(
        "CosMx",
        re.compile(r".*_(?:exprmat|fov_positions|tx|metadata)_file\.csv(?:\.gz)?"),
        f"{_H5AD} (squidpy.read.nanostring), and give --mpp",
    ),
    OtherOutputs(
        "Slide-seq or Curio Seeker",
        re.compile(r".*(?:bead_?locations|digital_expression|matchedbeadlocation).*\.(?:csv|txt|tsv)(?:\.gz)?"),
        f"{_H5AD}; its beads are measured beside the H&E, which must be aligned to them first",
    ),
    OtherOutputs(
        "Stereo-seq",
        re.compile(r".*\.(?:gef|gem|gem\.gz|cgef|bgef)"),
        f"{_H5AD} (stereopy: read_gef or read_gem, then stereo_to_anndata)",
    ),
    OtherOutputs(
        "legacy ST in tables of their own",
        re.compile(r".*(?:count_matrix.*|stdata.*|spot_data-selection.*)\.tsv(?:\.gz)?"),
        "call them ST-cnts/{S}.tsv (spots x genes), ST-spotfiles/{S}_selection.tsv (x, y, pixel_x, pixel_y) "
        "and ST-imgs/{patient}/{S}/",
    ),
    OtherOutputs(
        "Xenium as zarr",
        re.compile(r"(?:cell_feature_matrix|transcripts|cells|analysis)\.zarr\.zip"),
        "copy transcripts.parquet too, or cell_feature_matrix.h5 with cells.parquet",
    ),
)


def other_outputs(names: Iterable[str], *, is_file: bool = False) -> EosinError | None:
    """The error of files that are called as another program's outputs are; None where none is.

    Parameters
    ----------
    names
        Names of files, without their folders.
    is_file
        Whether what the error is of is the file itself, and no folder that holds it.
    """
    for name in names:
        for one in _KNOWN:
            if one.names.fullmatch(name.lower()):
                whose = f"{one.what} ({name}), which eosin does not read"
                problem = f"is of the outputs of {whose}" if is_file else f"holds outputs of {whose}"
                return EosinError(problem, fix=one.fix)
    return None
