"""Flags that several commands of the command line share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from eosin.errors import EosinError

Mpp = Annotated[float | None, Parameter(help="µm per pixel at full resolution, for images that do not say it")]
Reader = Annotated[str | None, Parameter(help="reader to use; by default the one that recognises the layout")]
CommercialOnly = Annotated[
    bool, Parameter(negative="", help="refuse what is not known to be licensed for commercial use")
]
TileWidth = Annotated[
    str | None, Parameter(help="the encoder's field of view, µm, or several by commas; its own by default")
]
Out = Annotated[Path, Parameter(name=["--out", "-o"])]


@Parameter(name="*")
@dataclass(frozen=True)
class How:
    """Flags of every command that reads measured sections."""

    bin_um: Annotated[float | None, Parameter(help="width of pseudo-spots, µm, for Visium HD and Xenium")] = None
    gene_names: Annotated[
        str | None, Parameter(help="call genes by `symbol` or `ensembl`, as the files tell or by the gene table")
    ] = None
    gene_table: Annotated[Path | None, Parameter(help="table of symbol, ensembl_id, aliases, previous, species")] = None
    duplicates: Annotated[str, Parameter(help="columns of one gene name: `sum` or `refuse`")] = "sum"


AS_IS = How()


@Parameter(name="*")
@dataclass(frozen=True)
class Laid:
    """Flags of every command that lays spots on a bare image."""

    lattice: Annotated[str, Parameter(help="spots of a bare image: `square` or `hexagonal`, as Visium's")] = "square"
    pitch_um: Annotated[float, Parameter(help="distance of the spots of a bare image, µm")] = 100.0
    spot_um: Annotated[
        float | None, Parameter(help="width of the spots of a bare image, µm; by default their distance")
    ] = None
    points: Annotated[
        Path | None,
        Parameter(help="spots of a bare image: table with x,y (px) or x_um,y_um and id, or GeoJSON Points"),
    ] = None
    tissue: Annotated[Path | None, Parameter(help="GeoJSON mask of a bare image's tissue; else it is found")] = None


ON_TISSUE = Laid()


Biomarkers = Annotated[
    str | None,
    Parameter(help="genes to score by name, by commas; by default GATA3,ERBB2,UBE2C,VWF where the panel has one"),
]
Pathways = Annotated[Path | None, Parameter(help=".gmt file of gene sets whose co-expression is compared")]


def widths_of(text: str | None) -> list[float] | None:
    """Numbers by commas; none where nothing is given."""
    try:
        return None if text is None else [float(width) for width in text.split(",")]
    except ValueError:
        raise EosinError(f"--tile-um is '{text}'", fix="give a width in µm, or several by commas, as 165,330") from None


def names_of(text: str | None) -> list[str] | None:
    """Names by commas; none where nothing is named."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


def counted(n: int, what: str) -> str:
    """`1 spot`, `2 spots`."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
