"""A vector per gene, from co-expression on the training spots or from a file.

FLAG aligns its tokens with the vectors of a pretrained gene model. Those are a large download with its own licence;
co-expression of the training spots asks for nothing and never sees a test section.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from eosin.errors import EosinError
from eosin.models.base import Training
from eosin.row_blocks import even_rows

_MOST_SPOTS = 100_000
"""By which genes are said to go together."""

log = logging.getLogger("eosin")


class GeneVectors(ABC):
    """Where the vectors come from."""

    @abstractmethod
    def of(self, training: Training) -> np.ndarray:
        """[g d] one row per gene of the panel; a row of zeros where there is no vector."""


class CoExpression(GeneVectors):
    """From the training counts, see `coexpression`."""

    def of(self, training: Training) -> np.ndarray:
        """[g g] from the counts of the training spots, or of some of very many."""
        return coexpression(np.asarray(training.counts[even_rows(len(training.batch), _MOST_SPOTS)]))


class VectorFile(GeneVectors):
    """From a file, see `read_vectors`; genes that it lacks are counted in one line of the log."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def of(self, training: Training) -> np.ndarray:
        """[g d] from the file, which is read anew."""
        known = read_vectors(self.path)
        return match_genes(known, training.panel.names, self.path)


def coexpression(counts: np.ndarray) -> np.ndarray:
    """Gene vectors [g g] whose inner products are positive pointwise mutual information of "being high together".

    A gene is high in a spot when its count, relative to the gene's mean, is above the median of the spot's genes:
    ranks within a spot, so that rich and poor spots count alike. PPMI and its truncated SVD are those of word vectors
    (Levy and Goldberg 2014), with the mean pair of genes as chance. A gene that is high with no other gene more often
    than by chance gets zeros.
    """
    relative = counts / np.maximum(counts.mean(0, dtype=np.float64), 1e-12)
    high = (relative > np.median(relative, axis=1, keepdims=True)).astype(np.float64)
    share = high.mean(0)
    together = high.T @ high / max(len(high), 1)
    chance = np.outer(share, share)
    others = ~np.eye(len(share), dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        # about half of a spot's genes are high: in a small panel this alone makes pairs rarer than independent ones
        chance = chance * (together[others].sum() / chance[others].sum())
        information = np.log(together / chance)
    information = np.where(np.isfinite(information), np.maximum(information, 0.0), 0.0)
    np.fill_diagonal(information, 0.0)  # that a gene goes with itself says nothing
    values, axes = np.linalg.eigh(information)
    order = np.argsort(-np.abs(values), kind="stable")
    axes = axes[:, order] * np.sqrt(np.abs(values[order]))
    axes[np.abs(axes).max(1) < 1e-8] = 0.0
    return _fix_signs(axes)


def resize(vectors: np.ndarray, width: int) -> np.ndarray:
    """Vectors [g d] with `width` numbers each: padded with zeros (angles stay), or their leading singular parts."""
    g, d = vectors.shape
    if d > width:
        left, size, _ = np.linalg.svd(vectors, full_matrices=False)
        kept = _fix_signs((left * size)[:, :width])
        kept[np.abs(vectors).max(1) == 0] = 0.0
        vectors, d = kept, kept.shape[1]
    return np.concatenate([vectors, np.zeros((g, width - d))], 1).astype(np.float32)


def _fix_signs(axes: np.ndarray) -> np.ndarray:
    """Columns turned so that their largest entry is positive: the same on every machine."""
    if axes.size == 0:
        return axes
    largest = np.take_along_axis(axes, np.abs(axes).argmax(0)[None], 0)
    return axes * np.where(largest < 0, -1.0, 1.0)


def match_genes(known: dict[str, np.ndarray], names: Sequence[str], file: Path) -> np.ndarray:
    """Rows for `names`, by exact name or else by capitals; zeros for those that are missing."""
    by_capitals = {name.upper(): vector for name, vector in known.items()}
    vectors = [known.get(name, by_capitals.get(name.upper())) for name in names]
    width = len(next(iter(known.values())))
    n_missing = sum(vector is None for vector in vectors)
    if n_missing == len(names):
        raise EosinError(
            f"has vectors for none of the {len(names)} genes, which begin with '{names[0]}'",
            file=file,
            fix="give a file whose names are written like the panel's",
        )
    if n_missing:
        log.info("%d of %d genes have no vector in %s and are left out of the alignment", n_missing, len(names), file)
    return np.stack([np.zeros(width) if vector is None else vector for vector in vectors])


def read_vectors(path: str | Path) -> dict[str, np.ndarray]:
    """Gene -> vector from a file.

    Parameters
    ----------
    path
        `.safetensors` with one tensor [d] per gene, named by it; or `.csv`, `.tsv`, `.parquet` with a row per gene,
        its name in the first column (or the index of a parquet file) and numbers in all others.

    Raises
    ------
    EosinError
        No such file, another format, vectors of different lengths, or entries that are not finite numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise EosinError("no such file of gene vectors", file=path)
    vectors = _from_tensors(path) if path.suffix == ".safetensors" else _from_table(path)
    widths = {vector.shape for vector in vectors.values()}
    if not vectors or len(widths) != 1 or len(next(iter(widths))) != 1:
        raise EosinError(
            "does not hold one vector per gene, all of one length", file=path, fix="see docs/models/flag.md"
        )
    if not all(np.isfinite(vector).all() for vector in vectors.values()):
        raise EosinError("holds vectors with NaN or infinity", file=path, fix="leave those genes out")
    return vectors


def _from_tensors(path: Path) -> dict[str, np.ndarray]:
    try:
        with safe_open(str(path), framework="numpy") as file:
            return {name: np.asarray(file.get_tensor(name), dtype=np.float64) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError, ValueError) as error:
        raise EosinError(f"not readable as safetensors ({error})", file=path) from error


def _from_table(path: Path) -> dict[str, np.ndarray]:
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            if table.index.dtype != object and not pd.api.types.is_string_dtype(table.index.dtype):
                table = table.set_index(table.columns[0])
        elif path.suffix in {".csv", ".tsv"}:
            table = pd.read_csv(path, sep="," if path.suffix == ".csv" else "\t", index_col=0)
        else:
            raise EosinError(
                f"gene vectors of kind '{path.suffix}' are not known",
                file=path,
                fix="give .safetensors, .csv, .tsv or .parquet",
            )
        values = table.to_numpy(dtype=np.float64)
    except ImportError as error:
        raise EosinError(
            "parquet files need pyarrow, which is not installed", file=path, fix="give .safetensors, .csv or .tsv"
        ) from error
    except (ValueError, OSError, IndexError) as error:
        raise EosinError(f"not readable as a table of gene vectors ({error})", file=path) from error
    return {str(name): row for name, row in zip(table.index, values)}
