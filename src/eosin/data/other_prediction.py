"""Predictions of other tools: an `.h5ad` with values in X, genes in var and places in obsm["spatial"]."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from eosin.config import need_known
from eosin.data.h5ad import kind_of, read_h5ad, spatial
from eosin.data.raw_counts import are_counts
from eosin.data.uns_spatial import normalise
from eosin.errors import EosinError
from eosin.genes import TRANSFORMS, target
from eosin.genes.transforms import MOST_MOLECULES
from eosin.geometry.same_places import Places, compare_places
from eosin.geometry.spacing import nearest_spacing
from eosin.plurals import counted
from eosin.types import GenePanel, Prediction, Section, Spots
from eosin.types.identifiers import first_repeat

log = logging.getLogger("eosin")

COUNTS = "counts"
"""The scale of values that are counts of molecules, or expected ones."""
SCALES = (*TRANSFORMS, COUNTS)
"""The scales on which another tool's values can be."""
_NEAR = 0.1  # of the distance between spots: one place
_MOST = 0.9  # share of spots that must be found
_MOST_BELOW_0 = 0.1  # share of values
_LOWEST = 0.5  # of the largest value: how far below 0 a model of logarithms falls
_CLEARLY = 3.0  # times nearer to what was measured


@dataclass(frozen=True, eq=False)
class OtherPrediction:
    """What another tool predicts for one section.

    Attributes
    ----------
    name
        Of the section: the library of `uns["spatial"]` where there is one, else the file's.
    file
        Where it lies.
    ids, genes
        Names of spots and genes, in the order of rows and columns.
    xy
        [s 2] in the file's own unit.
    values
        [s g] float64, as they stand in the file.
    """

    name: str
    file: Path
    ids: tuple[str, ...]
    genes: tuple[str, ...]
    xy: np.ndarray
    values: np.ndarray

    def in_model_values(self, scale: str | None) -> tuple[np.ndarray, str]:
        """Values [s g] as a model of eosin has them, and the name of their transform.

        Parameters
        ----------
        scale
            On which scale the file's values are: a transform of eosin, or `counts`, which become ln(1 + count).

        Raises
        ------
        EosinError
            No scale is told, an unknown one, or one on which these values cannot be.
        """
        if scale is None:
            raise EosinError(
                f"does not say on which scale its values are; {self._looks_like()}",
                file=self.file,
                fix="say it by --scale " + "|".join(SCALES),
            )
        need_known(scale, SCALES, "scale")
        if not self.values.size:
            raise EosinError("holds no spots or no genes", file=self.file, fix="predict again")
        n_below, lowest, largest = (self.values < -1e-6).sum(), self.values.min(), self.values.max()
        lowest_possible = 0.0 if scale == COUNTS else -_LOWEST * max(largest, 0.0)
        if n_below > _MOST_BELOW_0 * self.values.size or lowest < lowest_possible - 1e-6:
            raise EosinError(
                f"{n_below} of {self.values.size} values are below 0, the lowest {lowest:.3g}, so they are not on the "
                f"scale '{scale}'",
                file=self.file,
                fix="write the values before they were standardised",
            )
        if scale == COUNTS and largest > MOST_MOLECULES:
            fix = "look what the values are"
            raise EosinError(f"its values reach {largest:.4g}, more than a spot holds", file=self.file, fix=fix)
        if scale == COUNTS:
            return TRANSFORMS["log1p"].forward(self.values), "log1p"
        if are_counts(self.values) and self.values.max() > 2:
            raise EosinError(
                f"its values are whole numbers up to {self.values.max():g}, which logarithms are not",
                file=self.file,
                fix=f"say --scale {COUNTS}",
            )
        if largest > TRANSFORMS[scale].most:
            raise EosinError(
                f"its values reach {largest:.4g}, which is too much on the scale '{scale}'",
                file=self.file,
                fix=f"say --scale {COUNTS} where they are counts, or expected ones",
            )
        return self.values, scale

    def _looks_like(self) -> str:
        if are_counts(self.values):
            return f"they are whole numbers up to {self.values.max():g}, as counts are"
        return f"they lie between {self.values.min():.3g} and {self.values.max():.3g}"

    def on(self, section: Section, scale: str | None) -> Prediction:
        """The prediction at spots and genes that a section has too, with the section's names and µm.

        Spots are found by their names, else by their places in µm or pixels. What the section lacks is left out, and
        said.

        Raises
        ------
        EosinError
            Neither names nor places of the spots fit, no gene is in common, a scale that is not told or cannot be.
        """
        values, transform = self.in_model_values(scale)
        ours, theirs = self._rows(section)
        known = set(section.genes or self.genes)
        columns = np.array([j for j, gene in enumerate(self.genes) if gene in known], dtype=int)
        if not len(columns):
            raise EosinError(
                f"no gene of it is measured in section '{section.name}'",
                file=self.file,
                fix="give genes the names that the data have (symbols or Ensembl ids)",
            )
        for what, n_kept, n_all in (("spot", len(theirs), len(self.ids)), ("gene", len(columns), len(self.genes))):
            if n_kept < n_all:
                left_out = counted(n_all - n_kept, what)
                log.warning("%s: %s of %d left out that section '%s' lacks", self.file, left_out, n_all, section.name)
        if len(theirs) < len(section.spots):
            log.info("%s: predicts %d of %d spots of '%s'", self.file, len(theirs), len(section.spots), section.name)
        kept = values[np.ix_(theirs, columns)].astype(np.float32)
        panel = GenePanel(tuple(self.genes[j] for j in columns), transform, "another tool's")
        measured = section.take(ours)
        if section.counts is not None:
            self._compare_scales(self.values[np.ix_(theirs, columns)], measured, panel, str(scale))
        spots = measured.spots
        return Prediction(section.name, spots, panel, kept[None], f"file {self.file.name}", 0, section.image)

    def _compare_scales(self, values: np.ndarray, measured: Section, panel: GenePanel, told: str) -> None:
        """Say where genes' means fit what was measured much better on another scale than on the one that was said."""
        away = {}
        for scale in SCALES:
            on = replace(panel, transform="log1p" if scale == COUNTS else scale)
            theirs = np.log1p(np.maximum(values, 0)) if scale == COUNTS else values
            away[scale] = float(np.abs(theirs.mean(0) - target(measured, on).mean(0)).mean())
        best = min(away, key=lambda scale: away[scale])
        if away[told] > _CLEARLY * away[best] and away[told] > 0.1:
            log.warning(
                "%s: on the scale '%s' its genes' means are %.2g away from the measured ones, on '%s' %.2g",
                self.file,
                told,
                away[told],
                best,
                away[best],
            )

    def alone(self, scale: str | None, *, mpp: float | None = None) -> Prediction:
        """The prediction by itself, where nothing is measured.

        Parameters
        ----------
        scale
            As for `in_model_values`.
        mpp
            µm per unit of the places; None: they are taken as µm, and that is said.

        Raises
        ------
        EosinError
            An impossible `mpp`; as for `in_model_values`.
        """
        if mpp is not None and not (np.isfinite(mpp) and mpp > 0):
            raise EosinError(f"{mpp:g} µm per pixel is impossible", fix="give a positive --mpp")
        values, transform = self.in_model_values(scale)
        if mpp is None:
            log.warning("%s: places are taken as µm; where they are pixels, say µm per pixel by --mpp", self.file)
        xy_um = self.xy * (1.0 if mpp is None else mpp)
        pitch = nearest_spacing(xy_um)
        spots = Spots(xy_um, pitch if pitch > 0 else 1.0, self.ids)
        panel = GenePanel(self.genes, transform, "another tool's")
        return Prediction(self.name, spots, panel, values[None].astype(np.float32), f"file {self.file.name}", 0)

    def _rows(self, section: Section) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the section, and of this prediction, that are the same spots."""
        named = section.spots.rows_of(self.ids)
        units = (1.0,) if section.image is None else (1.0, section.image.mpp)
        if (named >= 0).mean() >= 0.5:
            ours, theirs = named[named >= 0], np.flatnonzero(named >= 0)
            self._compare_places(section, ours, theirs, units)
            return ours, theirs
        for um in units:
            away, nearest = cKDTree(section.spots.xy_um).query(self.xy * um)
            found = away <= _NEAR * nearest_spacing(section.spots.xy_um)
            if found.mean() >= _MOST and len(np.unique(nearest[found])) == found.sum():
                log.info("%s: spots are found by their places, since their names are others", self.file)
                return nearest[found], np.flatnonzero(found)
        raise EosinError(
            f"its spots (first '{self.ids[0]}') are neither named nor placed as those of section '{section.name}' "
            f"(first '{section.spots.ids[0]}')",
            file=self.file,
            fix="write the spots' names into obs_names, or their places in full-resolution pixels into obsm['spatial']",
        )

    def _compare_places(self, section: Section, ours: np.ndarray, theirs: np.ndarray, units: tuple[float, ...]) -> None:
        """Refuse spots of the same names at places that lie otherwise to one another; say where all are moved."""
        places = compare_places(self.xy[theirs], section.spots.xy_um[ours], units)
        if places is Places.OTHERS:
            raise EosinError(
                f"its spots are named as those of section '{section.name}', but lie otherwise to one another, so "
                "names or rows are exchanged",
                file=self.file,
                fix="write each spot's own place into obsm['spatial'], in the order of obs_names",
            )
        if places is Places.MOVED:
            log.warning(
                "%s: its spots are named as those of section '%s', but lie elsewhere in µm and in pixels; names are "
                "the same on every slide of a kit, so look whether it is this section",
                self.file,
                section.name,
            )


def is_of_eosin(path: str | Path) -> bool:
    """Whether eosin wrote a prediction file.

    Raises
    ------
    EosinError
        It wrote something else there, as a measured section.
    """
    kind = kind_of(path)
    if kind not in (None, "prediction"):
        raise EosinError("is no prediction that eosin wrote", file=path, fix="give a prediction written by eosin")
    return kind is not None


def read_other(path: str | Path) -> OtherPrediction:
    """Read a prediction that another tool wrote.

    Genes and spots without any value are left out, and said.

    Raises
    ------
    EosinError
        Not readable, no values, no places, names that repeat, or values that are missing here and there.
    """
    path, adata = Path(path), read_h5ad(path)
    matrix = adata.X
    if matrix is None:
        raise EosinError("holds no values (X is empty)", file=path, fix="write the predicted values into X")
    dense = matrix.toarray() if sparse.issparse(matrix) else matrix
    try:
        values = np.asarray(dense, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EosinError(f"predicted values are not numeric ({error})", file=path, fix="predict again") from error
    ids, genes = tuple(map(str, adata.obs_names)), tuple(map(str, adata.var_names))
    for what, names in (("spot", ids), ("gene", genes)):
        if len(set(names)) < len(names):
            raise EosinError(f"{what} '{first_repeat(names)}' occurs twice", file=path, fix="make names unique")
    libraries, _ = normalise(adata)
    only = libraries if len(libraries) == 1 else []
    xy = spatial(adata, path)
    if not np.isfinite(xy).all():
        n = int((~np.isfinite(xy).all(1)).sum())
        fix = "leave out the spots without a place"
        raise EosinError(f"the places of {n} of {len(xy)} spots are NaN or infinite", file=path, fix=fix)
    found = OtherPrediction(str(only[0]) if only else path.stem, path, ids, genes, xy, values)
    return _without_gaps(found)


def _without_gaps(found: OtherPrediction) -> OtherPrediction:
    known = np.isfinite(found.values)
    rows, columns = np.flatnonzero(known.any(1)), np.flatnonzero(known.any(0))
    if not len(rows):
        raise EosinError("every value is NaN", file=found.file, fix="predict again")
    values = found.values[np.ix_(rows, columns)]
    n_missing = int((~np.isfinite(values)).sum())
    if n_missing:
        gene = found.genes[columns[np.flatnonzero((~np.isfinite(values)).any(0))[0]]]
        raise EosinError(
            f"{n_missing} of {values.size} values are NaN or infinite, first of gene '{gene}'",
            file=found.file,
            fix="leave out the spots or genes that were not predicted",
        )
    for what, n_kept, n_all in (("spots", len(rows), len(found.ids)), ("genes", len(columns), len(found.genes))):
        if n_kept < n_all:
            log.warning("%s: %d of %d %s without any value left out", found.file, n_all - n_kept, n_all, what)
    return replace(
        found,
        values=values,
        xy=found.xy[rows],
        ids=_chosen(found.ids, rows),
        genes=_chosen(found.genes, columns),
    )


def _chosen(names: Sequence[str], rows: np.ndarray) -> tuple[str, ...]:
    return tuple(names[int(row)] for row in rows)
