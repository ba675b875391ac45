"""The table of a page's genes: every number as text and as what it is sorted by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eosin.reporting.gene_rows import GeneNumbers
from eosin.reporting.html import number
from eosin.types.gene_trust import LEVEL_ONLY, MAP


@dataclass(frozen=True)
class GeneCell:
    """A cell: its text, what it is sorted by, and how it is marked."""

    text: str
    sort: str
    class_: str = ""


@dataclass(frozen=True)
class GeneLine:
    """A gene: its place among the maps of the page, its name, its trust and its cells."""

    place: int
    name: str
    trust: str
    cells: list[GeneCell]


@dataclass(frozen=True)
class GeneTable:
    """The table.

    Attributes
    ----------
    heads
        For each column its name and a line that explains it.
    lines
        The genes, in the order of the page's maps.
    trusts
        Which words of trust occur, in their order.
    """

    heads: list[tuple[str, str]]
    lines: list[GeneLine]
    trusts: list[str]


def gene_table(numbers: GeneNumbers, columns: Sequence[int]) -> GeneTable:
    """The table of the genes whose maps are on the page."""
    shown = [
        (numbers.pcc, "PCC", "Pearson correlation with the measured values over spots"),
        (numbers.ridge, "PCC of the ridge", "the same of the tuned ridge regression"),
        (_lead(numbers), "to ridge", "how far it is ahead of the ridge, or behind"),
        (numbers.beyond, "given depth", "correlation once the total RNA of a spot is taken out"),
        (numbers.coverage, "inside 90 %", "share of measured values inside the 90 % interval"),
        (numbers.half_width, "± 90 %", "half the width of the 90 % interval"),
        (numbers.held_out, "held out", "correlation on training sections that were held out"),
        (numbers.held_out_beyond, "held out, given depth", "the same once the total RNA of a spot is taken out"),
    ]
    known = [(values, head, line) for values, head, line in shown if values is not None]
    heads = [(head, line) for _, head, line in known]
    if numbers.verdicts is not None:
        heads.append(("trust", "what training says: map, level only, or no"))
    lines = []
    for place, j in enumerate(columns):
        cells = [_cell(head, float(values[j])) for values, head, _ in known]
        trust = "" if numbers.verdicts is None else numbers.verdicts[j]
        if numbers.verdicts is not None:
            cells.append(
                GeneCell(trust, str({MAP: 2, LEVEL_ONLY: 1}.get(trust, 0)), "trust " + trust.replace(" ", "-"))
            )
        lines.append(GeneLine(place, numbers.names[j], trust, cells))
    order = [MAP, LEVEL_ONLY]
    trusts = sorted({line.trust for line in lines if line.trust}, key=lambda t: order.index(t) if t in order else 9)
    return GeneTable(heads, lines, trusts)


def _lead(numbers: GeneNumbers) -> np.ndarray | None:
    return None if numbers.pcc is None or numbers.ridge is None else numbers.pcc - numbers.ridge


def _cell(head: str, value: float) -> GeneCell:
    if not np.isfinite(value):
        return GeneCell("–", "")
    text, class_ = number(value, 2), ""
    if head == "inside 90 %":
        text = f"{value:.0%}"
    elif head == "to ridge":
        text = f"{value:+.2f}".replace("-", "−") if abs(value) >= 0.005 else "0.00"
        class_ = "ahead" if value >= 0.005 else "behind" if value <= -0.005 else ""
    return GeneCell(text, f"{value:.6g}", class_)
