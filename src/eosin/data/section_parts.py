"""The last step of every reader: from what it found in the files to a checked `Section`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from eosin.data.gene_features import genes_of
from eosin.data.image_scale import own_scale
from eosin.data.missing import is_missing
from eosin.data.odd_counts import cut_off
from eosin.data.plausible_spots import check_spread, odd_width, shared_places
from eosin.data.reader import IMAGE_SUFFIXES, blame
from eosin.genes.columns import GeneNames, Naming
from eosin.slide import is_slide, without_spots_off_image
from eosin.types import Features, Footprints, Image, Section, Spots

_MANY_EMPTY = 0.05
"""Share of spots without a molecule from which on it is said."""


@dataclass(frozen=True)
class SectionParts:
    """What a reader found of one section.

    Attributes
    ----------
    file
        Named in the error where the parts do not make a section.
    name
        The section's name.
    xy_um, diameter_um, ids
        The spots: centres [s 2] in µm, width in µm, names [s].
    counts, genes
        Counts [s g] and what the file calls their columns; neither where a section has no counts.
    patient
        The section's own name where the files do not say it.
    image
        The H&E image and its scale.
    domains
        A label per spot [s].
    platform
        The measuring platform.
    features
        Encoded spot images, where the file holds them.
    notes
        What was left out or assumed, one line each.
    footprints
        Areas and outlines of cells; None for spots.
    is_image_of_positions
        Whether the positions are known to be pixels of the image, as where the user gave its scale (`own_scale`).
    """

    file: Path
    name: str
    xy_um: np.ndarray
    diameter_um: float
    ids: Sequence[str]
    counts: sparse.csr_matrix | None = None
    genes: GeneNames | None = None
    patient: str | None = None
    image: Image | None = None
    domains: tuple[str, ...] | None = None
    platform: str = "unknown"
    features: Features | None = None
    notes: Sequence[str] = ()
    footprints: Footprints | None = None
    is_image_of_positions: bool = True

    def section(self, naming: Naming | None = None) -> Section:
        """The checked section.

        Parameters
        ----------
        naming
            What genes are to be called; columns of one name are added up or refused. `None` leaves columns as they
            are, for a reader that has named them before.

        Raises
        ------
        EosinError
            Two columns of one name, positions in another unit than µm or shared by many spots, or what `own_scale`,
            `Spots` and `Section` refuse; the error names a file.
        """
        counts, genes, notes = self.counts, self.genes, tuple(self.notes)
        image = self.image
        with blame(self.file):
            check_spread(self.xy_um)
            if self.footprints is None:
                notes = (*notes, *odd_width(self.xy_um, self.diameter_um), *shared_places(self.xy_um))
            if image is not None:
                image, other = own_scale(image, self.xy_um, is_that_of_positions=self.is_image_of_positions)
                notes = (*notes, *other, *_namesakes(image.path))
            if counts is not None and genes is not None:
                genes, kept, others = genes_of(genes)
                counts, notes = counts if kept is None else sparse.csr_matrix(counts[:, kept]), (*notes, *others)
                if naming is not None:
                    counts, genes, added_up = naming.counts(counts, genes)
                    notes = (*notes, *added_up)
            if counts is not None:
                notes = (*notes, *_empty_spots(counts), *cut_off(counts))
            section = Section(
                name=self.name,
                patient=self.name if self.patient is None or self._is_no_patient() else self.patient,
                spots=Spots(self.xy_um, self.diameter_um, tuple(self.ids), self.footprints),
                image=image,
                features=self.features,
                counts=counts,
                genes=None if genes is None else genes.names,
                ensembl=None if genes is None else genes.ensembl,
                symbols=None if genes is None else genes.symbols,
                domains=self.domains,
                platform=self.platform,
                notes=notes,
            )
        return without_spots_off_image(section)

    def _is_no_patient(self) -> bool:
        """Whether the patient's name is a text made of a missing value: `nan` would be one patient of many sections."""
        return self.patient != "" and is_missing(self.patient)


def _empty_spots(counts: sparse.csr_matrix) -> list[str]:
    """A note where many spots hold no molecule, as positions beside the tissue do."""
    per_spot = np.diff(counts.indptr)
    n_empty = int((per_spot == 0).sum())
    if n_empty <= _MANY_EMPTY * len(per_spot):
        return []
    return [f"{n_empty} of {len(per_spot)} spots hold no molecule: are they beside the tissue?"]


def _namesakes(image: Path) -> list[str]:
    """A note where another image of the same name lies beside one, in another format."""
    name = image.name.lower()
    suffix = next((one for one in sorted(IMAGE_SUFFIXES, key=len, reverse=True) if name.endswith(one)), "")
    called = {f"{name.removesuffix(suffix)}{other}" for other in IMAGE_SUFFIXES} - {name} if suffix else set()
    others = sorted(name for key, names in _by_lower_case(image.parent).items() if key in called for name in names)
    return [f"{', '.join(others)} beside {image.name} is not used"] if others else []


def left_out(n_left_out: int, n_all: int, which: str) -> list[str]:
    """A note `{n_left_out} of {n_all} {which} and were left out`, where there are any."""
    return [f"{n_left_out} of {n_all} {which} and were left out"] if n_left_out else []


def find_image(places: Iterable[Path], suffixes: Sequence[str] = IMAGE_SUFFIXES) -> Path | None:
    """The first slide that is there among paths without suffix, each with every suffix of an image, in any case."""
    beside: dict[Path, dict[str, list[str]]] = {}
    for place in places:
        if place.parent not in beside:
            beside[place.parent] = _by_lower_case(place.parent)
        for suffix in suffixes:
            for name in beside[place.parent].get(f"{place.name}{suffix}".lower(), ()):
                if name.startswith(place.name) and is_slide(file := place.with_name(name)):
                    return file
    return None


def _by_lower_case(folder: Path) -> dict[str, list[str]]:
    """Names of all that is in a folder, by the same in lower case; none where there is no such folder."""
    names: dict[str, list[str]] = {}
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(folder), reverse=True):  # S.png before S.PNG
            names.setdefault(name.lower(), []).append(name)
    return names
