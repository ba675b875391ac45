"""The index of a cohort's pages: a small map for each slide, a link to its page, and a search."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from eosin.plurals import counted
from eosin.reporting.html import now, write_page

MOST_PICTURES = 300
"""Slides whose maps lie in the page; a page of very many stays bounded."""


@dataclass(frozen=True)
class SlideCard:
    """A slide in the index.

    Attributes
    ----------
    name
        What it is called.
    page
        File name of its page, beside the index; None where there is none.
    lines
        What is said of it.
    picture
        A small map as JPEG; None where there is none.
    is_warning
        Whether a reader should look: a failure, a slide unlike training.
    """

    name: str
    page: str | None
    lines: tuple[str, ...]
    picture: bytes | None = None
    is_warning: bool = False

    @property
    def link(self) -> str | None:
        """The relative address of the page."""
        return None if self.page is None else quote(self.page)

    @property
    def source(self) -> str:
        """The map as a `data:` address."""
        return "data:image/jpeg;base64," + base64.b64encode(self.picture or b"").decode()


def write_cohort_index(
    path: str | Path, slides: Sequence[SlideCard], *, gene: str | None = None, when: str | None = None
) -> Path:
    """Write the page that finds the pages of a cohort, which lie beside it.

    Parameters
    ----------
    path
        The file; it appears whole or not at all.
    slides
        In their order.
    gene
        Of which gene the small maps are.
    """
    notes = []
    n_pictures = sum(slide.picture is not None for slide in slides)
    if n_pictures:
        notes.append(
            f"Each map is the predicted mean of {gene or 'the slide’s best gene'}, in a colour range of its own; the "
            "pages have all genes."
        )
    if n_pictures > MOST_PICTURES:
        notes.append(f"The first {MOST_PICTURES} slides have their map here.")
    failed = sum(slide.page is None for slide in slides)
    return write_page(
        path,
        "cohort_page.html",
        title=f"Cohort of {counted(len(slides), 'slide')}",
        lead=(*((f"{failed} without a page",) if failed else ()), when or now()),
        notes=notes,
        slides=slides,
        most_pictures=MOST_PICTURES,
    )
