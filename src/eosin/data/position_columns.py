"""Which two columns of a table hold x and y of the spots: by their names, since some tools put the row first.

Never by their order alone: a table whose first two columns are `row`, `column` or `in_tissue`, `array_row` would be
read with its axes exchanged, or as something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_WORD = re.compile(
    r"(?P<before>image|img|pixel|pix|pxl|px|pos|coord|center|centre|centroid)?"
    r"(?P<axis>x|y|col|column|row)"
    r"(?P<after>axis|coord|coords|pos|pixel|pix|px)?"
)
"""A word that names an axis, alone or grown together with another one: `imagecol`, `yaxis`."""
_NUMBERED = re.compile(r"(?P<stem>.*?)[^a-z0-9]?(?P<number>[012])")
_ROW_FIRST = ("centroid", "axis")
"""Numbered columns of scikit-image (`centroid-0`) and napari (`axis-0`) count rows first."""
_UNNAMED = ("", "spatial", "dim", "v", "coord", "coords", "pos", "position", "st")
"""Numbered columns of what was an array without names: x before y, by the convention of `obsm["spatial"]`."""
X_AND_Y_UM = (("x_um", "y_um"), ("x_centroid", "y_centroid"), ("center_x", "center_y"))
"""Columns of `obs` in which tools keep positions in µm."""
_UM_PAIRS = (("x_centroid", "y_centroid"), ("center_x", "center_y"), ("x_location", "y_location"))
"""Positions in µm by the tool: Xenium's cells and molecules, MERSCOPE's cells."""
_UM = {"um", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"}
_PIXEL = {"pxl", "pixel", "pixels", "px", "pix", "fullres", "image", "img"}
_ELSEWHERE = {"array", "grid", "index", "idx", "new", "local", "hires", "lowres", "tile", "fov", "nm", "std", "sd"}
"""Words of places on the array, of distances and of other pictures, which are no positions on the image."""
_USUAL = ("fullres in pxl", "image", "pixel")
"""Of several pairs in pixels the one that Space Ranger, then Seurat, then legacy ST calls so."""


@dataclass(frozen=True)
class PositionColumns:
    """The columns of x and y.

    Attributes
    ----------
    x, y
        As the table calls them.
    in_um
        Whether their names say µm.
    note
        What was assumed, `""` where the names say it.
    """

    x: object
    y: object
    in_um: bool = False
    note: str = ""


def position_columns(columns: Iterable[object]) -> PositionColumns | None:
    """The columns of x and y by their names, µm before pixels before others; None where names do not tell.

    Of two pairs that are as good as one another none is taken.
    """
    columns = list(columns)
    pairs: dict[tuple[str, bool], dict[str, object]] = {}
    for column in columns:
        if (found := _axis_of(str(column))) is not None:
            axis, stem, of_lattice = found
            pairs.setdefault((stem, of_lattice), {}).setdefault(axis, column)
    ranked = sorted(
        (rank, stem, pair["x"], pair["y"])
        for (stem, of_lattice), pair in pairs.items()
        if len(pair) == 2 and (rank := _rank(stem, pair, of_lattice=of_lattice)) is not None
    )
    if ranked and (len(ranked) == 1 or ranked[0][0] < ranked[1][0]):
        (kind, _), _, x, y = ranked[0]
        return PositionColumns(x, y, in_um=kind == 0)
    return None if ranked else _numbered(columns)


def _axis_of(name: str) -> tuple[str, str, bool] | None:
    """The axis that a name tells, the rest of its words in order, and whether it is called as rows and columns are."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.replace("µ", "u").replace("μ", "u")).lower()
    axes, rest = [], []
    for word in re.findall(r"[a-z0-9]+", name):
        if (match := _WORD.fullmatch(word)) is None:
            rest.append(word)
        else:
            axes.append(match["axis"])
            rest += [part for part in (match["before"], match["after"]) if part]
    if len(axes) != 1:
        return None
    return ("x" if axes[0] in ("x", "col", "column") else "y"), " ".join(sorted(rest)), axes[0] not in ("x", "y")


def _rank(stem: str, pair: dict[str, object], *, of_lattice: bool) -> tuple[int, int] | None:
    """How well a pair says that it is positions: the lower the better; None for what is none."""
    words = set(stem.split())
    if words & _ELSEWHERE:
        return None
    if words & _UM or any(str(pair["x"]).lower() == x and str(pair["y"]).lower() == y for x, y in _UM_PAIRS):
        return 0, 0
    if words & _PIXEL:
        return 1, _USUAL.index(stem) if stem in _USUAL else len(_USUAL)
    return (3 if of_lattice else 2), int(bool(words))  # x, y before what else is called so


def _numbered(columns: list[object]) -> PositionColumns | None:
    """The first two columns where they are one name with the numbers 0 and 1, or 1 and 2."""
    matches = [_NUMBERED.fullmatch(str(column).lower()) for column in columns[:2]]
    if len(matches) < 2 or matches[0] is None or matches[1] is None:
        return None
    stem, numbers = matches[0]["stem"], (matches[0]["number"], matches[1]["number"])
    if stem != matches[1]["stem"] or numbers not in (("0", "1"), ("1", "2")):
        return None
    first, second = columns[:2]
    if stem.endswith(_ROW_FIRST):
        return PositionColumns(second, first)
    if stem in _UNNAMED:
        return PositionColumns(
            first, second, note=f"columns '{first}', '{second}' of obsm['spatial'] are taken as x, y"
        )
    return None
