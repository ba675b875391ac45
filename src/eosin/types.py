"""The records that travel between the rooms. Each checks itself when made and is never changed.

Geometry is in µm everywhere: (x, y), origin at the image's top left, x to the right, y down.
Letters of the shapes: s spots, k draws, g genes, f features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from eosin.errors import EosinError
from eosin.files import fingerprint
from eosin.gene_ids import rename_advice


@dataclass(frozen=True)
class Spots:
    """Where expression is measured or predicted.

    Attributes
    ----------
    xy_um
        Centres [s 2] in µm, float64.
    diameter_um
        Width of the tissue that a spot measures, µm.
    ids
        One name per spot, unique.
    """

    xy_um: np.ndarray
    diameter_um: float
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        xy = np.array(self.xy_um, dtype=np.float64).reshape(-1, 2)
        xy.setflags(write=False)
        object.__setattr__(self, "xy_um", xy)
        object.__setattr__(self, "ids", tuple(map(str, self.ids)))
        if len(self.ids) != len(xy):
            raise EosinError(f"{len(xy)} spot positions but {len(self.ids)} spot ids")
        if not np.isfinite(xy).all():
            bad = self.ids[int(np.flatnonzero(~np.isfinite(xy).all(1))[0])]
            raise EosinError(f"the position of spot '{bad}' is not a finite number")
        if not (np.isfinite(self.diameter_um) and self.diameter_um > 0):
            raise EosinError(f"the spot diameter is {self.diameter_um} µm", fix="it must be positive")
        if len(set(self.ids)) != len(self.ids):
            raise EosinError(f"spot id '{first_repeat(self.ids)}' occurs twice", fix="make the spot ids unique")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> Spots:
        return Spots(self.xy_um[rows], self.diameter_um, tuple(np.asarray(self.ids, dtype=object)[rows]))


@dataclass(frozen=True)
class Image:
    """A slide's image on disk and its scale; the pixels themselves stay in `slide/`.

    `mpp` is µm per pixel at full resolution, as the reader found or was told it.
    """

    path: Path
    mpp: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        check_mpp(self.mpp, self.path)


@dataclass(frozen=True)
class Features:
    """What a frozen encoder says of each spot's image.

    Attributes
    ----------
    values
        [s f] float32.
    encoder
        Name by which the encoder is asked for, as `stain`.
    key
        Encoder, version, weights, field of view and transform in one string: equal keys mean comparable numbers.
    turned
        [s 7 f] float32: the same of the image under seven flips and quarter turns, for training; None where they
        were not encoded.
    licence
        Of the encoder's weights: it binds what is trained on the features.
    commercial
        Whether that licence allows commercial use; False where it is unknown.
    """

    values: np.ndarray
    encoder: str
    key: str
    turned: np.ndarray | None = None
    licence: str = "unknown"
    commercial: bool = False

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, dtype=np.float32)
        if values.ndim != 2:
            raise EosinError(f"features have shape {values.shape}", fix="give one row per spot")
        object.__setattr__(self, "values", values)
        if self.turned is not None:
            object.__setattr__(self, "turned", np.ascontiguousarray(self.turned, dtype=np.float32))
            if self.turned.shape != (len(values), 7, values.shape[1]):
                raise EosinError(
                    f"features have shape {values.shape}, those of turned images {self.turned.shape}",
                    fix="give seven rows per spot",
                )
        if not all(np.isfinite(part).all() for part in (values, self.turned) if part is not None):
            raise EosinError(
                f"features of encoder '{self.encoder}' hold NaN or infinity", fix="encode the section again"
            )

    def take(self, rows: np.ndarray) -> Features:
        """The features of some spots, in the order of `rows`."""
        turned = None if self.turned is None else self.turned[rows]
        return replace(self, values=self.values[rows], turned=turned)


@dataclass(frozen=True)
class Section:
    """One section of tissue: spots, and what is known of them.

    Attributes
    ----------
    name, patient
        Identities that the splits rely on.
    spots
        Positions.
    image
        The H&E image, where there is one.
    features
        Encoded spot images, once encoded.
    counts, genes
        Raw counts [s g] (sparse) and their gene names; absent on sections to predict.
    domains
        A label per spot from a pathologist or a clustering, where the data has one; used by metrics only.
    notes
        What the reader noticed (dropped rows, assumed scale), one line each.
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
        values = matrix.data
        fix = "give raw counts of molecules, not normalised values"
        if not np.isfinite(values).all():
            raise EosinError(f"section '{self.name}': counts hold NaN or infinity", fix=fix)
        if values.size and values.min() < 0:
            raise EosinError(f"section '{self.name}': counts hold negative numbers", fix=fix)
        if values.size and np.any(values != np.round(values)):
            raise EosinError(f"section '{self.name}': counts hold fractions", fix=fix)

    def __len__(self) -> int:
        return len(self.spots)

    def need_features(self) -> Features:
        """The features, or one line that says how to get them."""
        if self.features is None:
            raise EosinError(f"section '{self.name}' has no features", fix="encode it first: eosin encode")
        return self.features

    def with_features(self, features: Features) -> Section:
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

    def expression(self, names: Sequence[str]) -> np.ndarray:
        """Raw counts [s g] of the named genes, dense; a gene that was not measured is an error."""
        if self.counts is None or self.genes is None:
            raise EosinError(f"section '{self.name}' has no counts", fix="give a measured section")
        column = {gene: j for j, gene in enumerate(self.genes)}
        missing = [name for name in names if name not in column]
        if missing:
            fix = "choose a panel of genes that all sections have, or leave the section out"
            raise EosinError(
                f"section '{self.name}' lacks {len(missing)} of the panel's {len(names)} genes, first '{missing[0]}'",
                fix=rename_advice(missing, self.genes) or fix,
            )
        return self.counts[:, [column[name] for name in names]].toarray()

    def fingerprint(self) -> str:
        """Hash of positions, counts and feature key: what a result was computed from."""
        counts = () if self.counts is None else (self.counts.data, self.counts.indices, self.counts.indptr)
        key = "" if self.features is None else self.features.key
        return fingerprint(self.name, self.spots.xy_um, list(self.spots.ids), list(self.genes or ()), key, *counts)


@dataclass(frozen=True)
class GenePanel:
    """The ordered genes that a model predicts, and the scale on which it does.

    Attributes
    ----------
    names
        Gene names, unique, ordered as the columns of every array.
    transform
        Name in `eosin.genes.TRANSFORMS`: how counts become the model's values.
    rule
        How it was chosen, as `var:50`.
    chosen_on
        Names of the sections that were looked at.
    """

    names: tuple[str, ...]
    transform: str = "log1p"
    rule: str = "given"
    chosen_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(map(str, self.names)))
        object.__setattr__(self, "chosen_on", tuple(self.chosen_on))
        if not self.names:
            raise EosinError("the gene panel is empty", fix="name at least one gene, as --genes var:50")
        if len(set(self.names)) != len(self.names):
            raise EosinError(f"gene '{first_repeat(self.names)}' occurs twice in the panel", fix="name each gene once")

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Prediction:
    """Draws from a model at the spots of one section, in model values (see `panel.transform`).

    Attributes
    ----------
    draws
        [k s g] float32; k = 1 for a point model.
    model, seed
        Who drew them, from which seed.
    provenance
        Settings, versions, encoder, fingerprints: JSON-able.
    """

    section: str
    spots: Spots
    panel: GenePanel
    draws: np.ndarray
    model: str
    seed: int
    image: Image | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        draws = np.asarray(self.draws, dtype=np.float32)
        object.__setattr__(self, "draws", draws)
        if draws.ndim != 3 or draws.shape[0] < 1 or draws.shape[1:] != (len(self.spots), len(self.panel)):
            raise EosinError(
                f"prediction of '{self.section}': draws have shape {draws.shape}, "
                f"expected (k, {len(self.spots)} spots, {len(self.panel)} genes)"
            )
        if not np.isfinite(draws).all():
            raise EosinError(
                f"model '{self.model}' predicted NaN or infinity on '{self.section}'",
                fix="train again with a smaller --train.lr",
            )

    @property
    def n_draws(self) -> int:
        return self.draws.shape[0]

    @property
    def mean(self) -> np.ndarray:
        """Mean over draws [s g]."""
        return self.draws.mean(0, dtype=np.float64).astype(np.float32)

    @property
    def sd(self) -> np.ndarray:
        """Standard deviation over draws [s g]; one draw has none, and that is an error, not 0."""
        if self.n_draws < 2:
            raise EosinError("one draw has no standard deviation", fix="predict with --draws 2 or more")
        return self.draws.std(0, ddof=1, dtype=np.float64).astype(np.float32)

    def quantile(self, q: float) -> np.ndarray:
        """Quantile over draws [s g], 0 <= q <= 1."""
        if self.n_draws < 2:
            raise EosinError("one draw has no quantiles", fix="predict with --draws 2 or more")
        return np.quantile(self.draws, q, axis=0).astype(np.float32)


def check_mpp(mpp: float, path: str | Path) -> float:
    """Refuse a scale that no microscope has (outside 0.05 to 10 µm per pixel)."""
    if not (np.isfinite(mpp) and 0.05 <= mpp <= 10):
        raise EosinError(f"{mpp} µm per pixel is not plausible", file=path, fix="give the true value by --mpp")
    return float(mpp)


def first_repeat(names: Sequence[str]) -> str:
    """The first name that occurs a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise ValueError("no name occurs twice")


@dataclass(frozen=True)
class Batch:
    """Spots of one or several sections or regions, one after another, never padded: all that a model may see.

    Attributes
    ----------
    xy_um
        [s 2] float64.
    features
        [s f] float32.
    starts
        [b+1] int64: part b is the rows starts[b] to starts[b+1]. Parts never see one another.
    training_rows
        [s] int64 where the spots are training spots: their rows in the whole training batch, so that a model can
        use what it knows of them out of fold. Absent at inference.
    turned
        [s 7 f] float32 features of the images flipped and turned, where all sections have them. Only training shows
        them, in place of some spots' features; no model looks here.
    """

    xy_um: np.ndarray
    features: np.ndarray
    starts: np.ndarray
    training_rows: np.ndarray | None = None
    turned: np.ndarray | None = None

    @classmethod
    def of(cls, sections: Sequence[Section]) -> Batch:
        """Whole sections, concatenated. Their features must come from one encoder."""
        keys = {section.need_features().key for section in sections}
        if len(keys) > 1:
            raise EosinError(
                f"the sections' features come from {len(keys)} encoders or settings: {', '.join(sorted(keys))}",
                fix="encode all sections alike",
            )
        turned = [turned for section in sections if (turned := section.need_features().turned) is not None]
        return cls(
            np.concatenate([section.spots.xy_um for section in sections]),
            np.concatenate([section.need_features().values for section in sections]),
            np.cumsum([0, *(len(section) for section in sections)]),
            turned=np.concatenate(turned) if len(turned) == len(sections) > 0 else None,
        )

    def regions(self, rows: Sequence[np.ndarray]) -> Batch:
        """Some of its spots as a new batch: one part for each array of rows."""
        chosen = np.concatenate(rows)
        known = None if self.training_rows is None else self.training_rows[chosen]
        turned = None if self.turned is None else self.turned[chosen]
        starts = np.cumsum([0, *(len(r) for r in rows)])
        return Batch(self.xy_um[chosen], self.features[chosen], starts, known, turned)

    def part_of_spot(self) -> np.ndarray:
        """[s] index of the part that each spot belongs to."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def __len__(self) -> int:
        return len(self.xy_um)
