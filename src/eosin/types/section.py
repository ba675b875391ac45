"""One section of tissue, measured or to be predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from eosin.errors import EosinError
from eosin.row_blocks import row_blocks
from eosin.storage.files import fingerprint
from eosin.types.display import first_of, html_table, one_line, thumbnail_of
from eosin.types.features import Features
from eosin.types.gene_ids import kind_of, rename_advice
from eosin.types.identifiers import first_repeat, ids_beside, names_beside
from eosin.types.places import Image, Spots

_AT_ONCE = 1 << 24
"""Counts that are looked at together: a slide of small bins has a hundred million."""


@dataclass(frozen=True)
class Section:
    """One section of tissue: its spots, and their images, features and counts where there are any.

    Attributes
    ----------
    name, patient
        Name of the section, and of the patient; splits into training and test go by them.
    spots
        Positions, names and diameter of the spots, or of cells; then with their footprints.
    image
        The H&E image, where there is one.
    features
        Features of the spots, once encoded.
    counts, genes
        Raw counts [s g] (sparse, float32) and their gene names; both None on sections to predict.
    domains
        A label per spot from a pathologist or a clustering, where the data has one; used by metrics only.
    platform
        How expression was measured, as `visium`.
    notes
        What the reader noticed (dropped rows, assumed scale), one line each.
    ensembl, symbols
        The genes' other names [g], where the files have them: Ensembl ids (without version) of genes named by
        symbols, or symbols of genes named by Ensembl ids; `""` for a gene without one. `--gene-names` renames genes
        by these where no table is given.

    Raises
    ------
    EosinError
        No spots, parts whose numbers of spots or genes differ, a gene named twice, or counts that are not whole
        numbers of 0 or more.
    """

    name: str
    patient: str
    spots: Spots
    image: Image | None = None
    features: Features | None = None
    counts: sparse.csr_matrix | None = None
    genes: tuple[str, ...] | None = None
    domains: tuple[str, ...] | None = None
    platform: str = "unknown"
    notes: tuple[str, ...] = ()
    ensembl: tuple[str, ...] | None = None
    symbols: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.spots) == 0:
            raise EosinError(f"section '{self.name}' has no spots", fix="leave it out")
        if self.features is not None and len(self.features.values) != len(self.spots):
            raise EosinError(
                f"section '{self.name}' has {len(self.spots)} spots but {len(self.features.values)} rows of features",
                fix="encode the section again",
            )
        if self.domains is not None and len(self.domains) != len(self.spots):
            raise EosinError(f"section '{self.name}': {len(self.domains)} domain labels, {len(self.spots)} spots")
        if (self.counts is None) != (self.genes is None):
            raise EosinError(f"section '{self.name}' needs counts and gene names together")
        if self.counts is not None and self.genes is not None:
            self._check_counts(self.counts, tuple(self.genes))
        genes, whose = self.genes or (), f"section '{self.name}'"
        object.__setattr__(self, "ensembl", ids_beside(genes, self.ensembl, whose))
        object.__setattr__(self, "symbols", names_beside(genes, self.symbols, "symbols", whose))

    def _check_counts(self, counts: Any, genes: tuple[str, ...]) -> None:
        matrix = sparse.csr_matrix(counts, dtype=np.float32)
        object.__setattr__(self, "counts", matrix)
        object.__setattr__(self, "genes", genes)
        if matrix.shape != (len(self.spots), len(genes)):
            raise EosinError(
                f"section '{self.name}': counts are {matrix.shape}, "
                f"expected ({len(self.spots)} spots, {len(genes)} genes)"
            )
        if len(set(genes)) != len(genes):
            raise EosinError(
                f"section '{self.name}': gene '{first_repeat(genes)}' occurs twice", fix="make gene names unique"
            )
        fix = "give raw counts of molecules, not normalised values"
        for block in row_blocks(len(matrix.data), budget=_AT_ONCE):
            values = matrix.data[block]
            if not np.isfinite(values).all():
                raise EosinError(f"section '{self.name}': counts hold NaN or infinity", fix=fix)
            if values.min() < 0:
                raise EosinError(f"section '{self.name}': counts hold negative numbers", fix=fix)
            if np.any(values != np.round(values)):
                raise EosinError(f"section '{self.name}': counts hold fractions", fix=fix)

    def __repr__(self) -> str:
        facts = self._facts()
        n_genes = "" if self.genes is None else f"{len(self.genes):,} genes"
        features = facts["features"] and f"features {facts['features']}"
        image = "" if self.image is None else f"image {self.image.path.name!r} at {facts['scale']}"
        patient = f"patient {self.patient!r}"
        return one_line("Section", repr(self.name), patient, facts["spots"], n_genes, features, image)

    def _repr_html_(self) -> str:
        facts = {**self._facts(), "genes": first_of(self.genes), "image": self.image and self.image.path}
        about = {"patient": self.patient, "platform": self.platform}
        return html_table(f"Section {self.name}", {**about, **facts}, thumbnail_of(self.image))

    def _facts(self) -> dict[str, str]:
        return {
            "spots": self.spots.summary(),
            "features": "" if self.features is None else self.features.summary(),
            "scale": "" if self.image is None else f"{self.image.mpp:.4g} µm/px",
        }

    def __len__(self) -> int:
        return len(self.spots)

    def said_to_be_of(self, patient: str | None) -> Section:
        """The section as one of a patient whom the user names; None leaves it as it is.

        Raises
        ------
        EosinError
            Its file names another patient.
        """
        if patient is None or patient == self.patient:
            return self
        if self.patient != self.name:
            raise EosinError(
                f"--patient is '{patient}', but section '{self.name}' is of patient '{self.patient}' by its file",
                fix="leave out --patient",
            )
        return replace(self, patient=patient)

    def need_features(self) -> Features:
        """The features.

        Raises
        ------
        EosinError
            The section has none; the message says how to get them.
        """
        if self.features is None:
            raise EosinError(f"section '{self.name}' has no features", fix="encode it first: eosin encode")
        return self.features

    def with_features(self, features: Features) -> Section:
        """The section with these features [s f] in place of its own."""
        return replace(self, features=features)

    def take(self, rows: np.ndarray) -> Section:
        """The section at some of its spots, in the order of `rows`."""
        return replace(
            self,
            spots=self.spots.take(rows),
            features=None if self.features is None else self.features.take(rows),
            counts=None if self.counts is None else self.counts[rows],
            domains=None if self.domains is None else tuple(np.asarray(self.domains, dtype=object)[rows]),
        )

    def at(self, ids: Sequence[str]) -> Section:
        """The measured section at the predicted spots, by their names and in their order.

        Raises
        ------
        EosinError
            A predicted spot was not measured.
        """
        return self.take(self.rows_at(ids))

    def rows_at(self, ids: Sequence[str]) -> np.ndarray:
        """The rows [n] of predicted spots, by their names.

        Raises
        ------
        EosinError
            A predicted spot was not measured.
        """
        rows = self.spots.rows_of(ids)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            raise EosinError(
                f"section '{self.name}': {len(missing)} of {len(ids)} predicted spots were not measured, "
                f"first '{ids[missing[0]]}'",
                fix="predict at the measured spots",
            )
        return rows

    def expression(self, names: Sequence[str]) -> np.ndarray:
        """Raw counts [s g] of the named genes, dense float32, in the order of `names`.

        Raises
        ------
        EosinError
            The section has no counts, or lacks a gene.
        """
        if self.counts is None or self.genes is None:
            raise EosinError(f"section '{self.name}' has no counts", fix="give a measured section")
        column = {gene: j for j, gene in enumerate(self.genes)}
        missing = [name for name in names if name not in column]
        if missing:
            fix = "choose a panel of genes that all sections have, or leave the section out"
            raise EosinError(
                f"section '{self.name}' lacks {len(missing)} of the panel's {len(names)} genes, first '{missing[0]}'",
                fix=self.rename_advice(missing) or fix,
            )
        return self.counts[:, [column[name] for name in names]].toarray()

    def rename_advice(self, wanted: Sequence[str]) -> str | None:
        """How to read the section so that its genes have names of the kind of `wanted`; None where they already do."""
        others = {"ensembl": self.ensembl, "symbol": self.symbols}[kind_of(wanted)]
        return rename_advice(wanted, self.genes or (), by_own=others is not None)

    def fingerprint(self) -> str:
        """Hash (16 hex digits) of name, positions, spot names, genes, counts, and key and values of the features.

        The data of a result. It is computed once: it is asked for in every epoch and for every cell of a grid.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        counts = () if self.counts is None else (self.counts.data, self.counts.indices, self.counts.indptr)
        key, values = ("", ()) if self.features is None else (self.features.key, (self.features.values,))
        spots, genes = self.spots, list(self.genes or ())
        return fingerprint(self.name, spots.xy_um, list(spots.ids), genes, key, *counts, *values)
