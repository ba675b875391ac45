"""Barcodes of a matrix against those of the positions: joined as they are, else by the part that the slide gives.

Every slide of Visium has the same barcodes, so that two samples' files join without complaint: what a filtered matrix
holds tells whether they belong together.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from eosin.data.libraries import BARCODE_CORE
from eosin.data.missing import as_text
from eosin.errors import EosinError

_CORE = re.compile(BARCODE_CORE.encode())
_MOST_BESIDE, _ALL = 0.01, 0.99
"""Share of a filtered matrix that may lie beside the tissue; and of all positions, from which on it is not filtered."""


def match_barcodes(barcodes: np.ndarray, known: np.ndarray, file: Path) -> tuple[np.ndarray, list[str]]:
    """[b] the place of each barcode among `known`, -1 where there is none; and a note where endings differ.

    Parameters
    ----------
    barcodes, known
        [b], [n] bytes.
    file
        The matrix, named in errors.

    Raises
    ------
    EosinError
        No barcode is known, also without what stands before and behind its core; or the matrix is of several samples.
    """
    import pandas as pd

    place = pd.Index(known).get_indexer(pd.Index(barcodes)) if len(known) else np.full(len(barcodes), -1)
    if (place >= 0).any():
        return place, []
    cores, known_cores = _cores(barcodes), _cores(known)
    of_core = {core: row for row, core in enumerate(known_cores) if core}
    place = np.array([of_core.get(core, -1) if core else -1 for core in cores], dtype=np.int64)
    if not (place >= 0).any():
        raise no_match(barcodes, file)
    given, listed = (as_text(values[row]) for values, row in zip((barcodes, known), _pair(place)))
    if len(of_core) < sum(map(bool, known_cores)):
        fix = "give one sample at a time"
        raise EosinError(f"the positions hold barcodes of several samples, as '{listed}'", file=file, fix=fix)
    if len(set(cores)) < len(cores):
        fix = "give spaceranger aggr's outs/ as a whole, or the matrix of one sample"
        raise EosinError(f"holds barcodes of several samples, as '{given}'", file=file, fix=fix)
    return place, [f"barcodes differ in their ending and were joined without it: '{given}' of the matrix is '{listed}'"]


def _pair(place: np.ndarray) -> tuple[int, int]:
    row = int(np.flatnonzero(place >= 0)[0])
    return row, int(place[row])


def _cores(barcodes: np.ndarray) -> list[bytes]:
    """The part of each barcode that the slide gives; empty where there is none."""
    return [match.group(1) if (match := _CORE.search(barcode)) else b"" for barcode in barcodes.tolist()]


def no_match(barcodes: np.ndarray, file: Path) -> EosinError:
    """The error of a matrix that shares no barcode with the positions."""
    example = f"'{as_text(barcodes[0])}'" if len(barcodes) else "none"
    problem = f"no barcode of the matrix ({example}) is among the positions in tissue"
    return EosinError(problem, file=file, fix="pair matrix and spatial/ of one sample")


def check_filtered(place: np.ndarray, in_tissue: np.ndarray, file: Path) -> None:
    """Refuse a filtered matrix that holds spots beside the tissue: it is of another sample than the positions.

    Parameters
    ----------
    place
        [b] the position of each row, -1 for none.
    in_tissue
        [n] bool, of the positions.
    file
        The matrix; one that is called raw may hold any spot, and so may one that holds all.
    """
    n_known = int((place >= 0).sum())
    if "raw" in file.name or n_known >= _ALL * len(in_tissue):
        return
    n_beside, n_unknown = int((~in_tissue[place[place >= 0]]).sum()), len(place) - n_known
    if n_beside > _MOST_BESIDE * len(place):
        problem = f"{n_beside} of {len(place)} barcodes of a filtered matrix are beside the tissue"
        fix = (
            "matrix and spatial/ are of two samples, pair those of one; if tissue was marked anew, give the raw matrix"
        )
        raise EosinError(problem, file=file, fix=fix)
    if n_unknown > _MOST_BESIDE * len(place):
        problem = (
            f"{n_unknown} of {len(place)} barcodes have no position, first of them row {int(np.argmin(place)) + 1}"
        )
        fix = "matrix and spatial/ are of two samples, or the matrix is of several: give those of one sample"
        raise EosinError(problem, file=file, fix=fix)
