"""Feature-barcode matrices of 10x Genomics: `*_feature_bc_matrix.h5`, or the folder of `matrix.mtx.gz` and its names.

These files come from elsewhere: they are opened as `eosin.storage.hdf5` opens such, and what they declare is checked
against what they hold before anything is allocated.
"""

from __future__ import annotations

import contextlib
import gzip
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from eosin.data.gene_features import GENE_EXPRESSION, are_genes, genes_of
from eosin.data.reader import blame
from eosin.errors import EosinError
from eosin.genes.columns import AS_GIVEN, GeneNames, Naming
from eosin.storage.hdf5 import open_foreign
from eosin.types.gene_ids import kind_of

if TYPE_CHECKING:
    import h5py

AGAIN = "the file is cut short, damaged or of another kind; copy or download it again"
_HEADINGS = frozenset({"gene_id", "gene_ids", "ensembl_id", "feature_id", "id", "gene", "genes", "barcode", "barcodes"})
"""First cells of a heading, which these files have only where another program wrote them."""
_BLOCK = 1 << 22
"""Values read at a time: 4 M, 50 MB, and a few times that while they are added up."""
_INT32 = 2**31 - 1
_TIGHTEST = 1100
"""gzip packs no tighter than 1032 to 1: a declared size beyond this many times the stored size is false."""


class FeatureMatrix(ABC):
    """Counts of genes by barcode, read in blocks of rows.

    Attributes
    ----------
    barcodes
        [b] bytes, unique.
    genes
        What the genes are called; features of other types are left out, columns of one name added up.
    notes
        What was left out or added up.
    """

    def __init__(
        self, barcodes: Sequence[Any] | np.ndarray, features: dict[str, np.ndarray], file: Path, naming: Naming
    ):
        self.file = file
        self.barcodes = np.asarray(barcodes, dtype="S")
        if not _are_unique(self.barcodes):
            raise EosinError("a barcode occurs twice", file=file, fix="give one sample at a time")
        with blame(file):
            self.genes, self._columns, self.notes = _genes(features, naming)
        self._as_in_file = _is_identity(self._columns)
        if not len(self.genes):
            raise EosinError(f"holds no feature of type '{GENE_EXPRESSION}'", file=file, fix="give gene expression")

    def blocks(self) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """The first row of each block and its counts [rows g], in order."""
        for start, block in self._raw_blocks():
            counts = _whole(block, self.file)
            yield start, counts if self._as_in_file else sparse.csr_matrix(counts @ self._columns)

    def rows(self, wanted: np.ndarray) -> sparse.csr_matrix:
        """Counts [len(wanted) g] of the rows `wanted`: numbers, ascending.

        Written into arrays that are there from the start: joined afterwards, blocks would take twice the memory.
        """
        most = int(self._n_values(wanted))
        values, columns = np.empty(most, dtype=np.float32), np.empty(most, dtype=np.int32)
        ends = np.zeros(len(wanted) + 1, dtype=np.int64 if most > _INT32 else np.int32)
        n_read = 0
        for start, block in self.blocks():
            first, last = np.searchsorted(wanted, [start, start + len(block.indptr) - 1])
            part = block if last - first == len(block.indptr) - 1 else block[wanted[first:last] - start]
            until = n_read + part.indptr[-1]
            values[n_read:until], columns[n_read:until] = part.data[: part.indptr[-1]], part.indices[: part.indptr[-1]]
            ends[first + 1 : last + 1] = part.indptr[1:].astype(np.int64) + n_read
            n_read = until
        if n_read < most // 2:  # mostly of other features: let the rest go
            values, columns = values[:n_read].copy(), columns[:n_read].copy()
        return sparse.csr_matrix((values[:n_read], columns[:n_read], ends), shape=(len(wanted), len(self.genes)))

    @abstractmethod
    def _n_values(self, rows: np.ndarray) -> int:
        """How many values some rows have in the file, with all features."""

    @abstractmethod
    def _raw_blocks(self) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """As `blocks`, with all features."""


@contextlib.contextmanager
def open_matrix(place: Path, naming: Naming = AS_GIVEN) -> Iterator[FeatureMatrix]:
    """Open a matrix: an `.h5` file, or a folder with `matrix.mtx`, `features.tsv`, `barcodes.tsv` (also `.gz`).

    In place of the folder stands the file `matrix.mtx` where all three have a prefix, as `GSM1_P1_matrix.mtx.gz`.
    `naming` says what genes are to be called; symbols unless it asks for ids.

    Raises
    ------
    EosinError
        The file is missing, cut short, links to other files, contradicts itself or holds no gene expression.
    """
    with contextlib.ExitStack() as stack:
        with reading(place, "a 10x matrix"):  # the opening only: what the caller raises later is its own
            matrix = (
                _Text(place, naming)
                if _is_text(place)
                else _OnDisk(stack.enter_context(_open_h5(place)), place, naming)
            )
        yield matrix


@contextlib.contextmanager
def reading(file: Path, what: str) -> Iterator[None]:
    """Turn whatever a library raises on a damaged file into an error that names the file; `what` it should be."""
    try:
        yield
    except (MemoryError, EosinError):
        raise
    except Exception as error:  # HDF5, Arrow, zlib and the text readers raise nearly anything, wherever the damage is
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EosinError(f"not readable as {what} ({reason})", file=file, fix=AGAIN) from error


class _OnDisk(FeatureMatrix):
    """The `matrix` group of an HDF5 file; only the names and row ends are held in memory."""

    def __init__(self, file: h5py.File, path: Path, naming: Naming):
        group = _child(file, "matrix", path)
        features = _child(group, "features", path)
        names = {key: _array(features, key, path, "S") for key in ("id", "name", "feature_type") if key in features}
        super().__init__(_array(group, "barcodes", path, "S"), names, path, naming)
        shape = _array(group, "shape", path, "iu")
        self._ends = _array(group, "indptr", path, "iu").astype(np.int64)
        self._values, self._at = _vector(group, "data", path, "iuf"), _vector(group, "indices", path, "iu")
        self._n = len(next(iter(names.values()))), len(self.barcodes)
        if tuple(shape) != self._n:
            named = f"{self._n[0]} features and {self._n[1]} barcodes"
            raise EosinError(f"declares a shape of {tuple(map(int, shape))} but names {named}", file=path, fix=AGAIN)
        ends = self._ends
        fits = len(ends) == self._n[1] + 1 and ends[0] == 0 and ends[-1] == len(self._values) == len(self._at)
        if not fits or np.any(np.diff(ends) < 0):
            raise EosinError("its values and row ends do not agree", file=path, fix=AGAIN)

    def _n_values(self, rows: np.ndarray) -> int:
        return int((self._ends[rows + 1] - self._ends[rows]).sum())

    def _raw_blocks(self) -> Iterator[tuple[int, sparse.csr_matrix]]:
        start = 0
        while start < len(self.barcodes):
            end = int(np.searchsorted(self._ends, self._ends[start] + _BLOCK, side="right")) - 1
            end = min(max(end, start + 1), len(self.barcodes))
            first, last = int(self._ends[start]), int(self._ends[end])
            with reading(self.file, "a 10x matrix"):
                at, values = self._at[first:last], self._values[first:last]
            if len(at) and (at.min() < 0 or at.max() >= self._n[0]):
                raise EosinError(f"holds counts of feature {at.max()}, of {self._n[0]}", file=self.file, fix=AGAIN)
            rows = (self._ends[start : end + 1] - first).astype(np.int32)
            yield start, sparse.csr_matrix((values, at.astype(np.int32), rows), (end - start, self._n[0]))
            start = end


def _are_unique(names: np.ndarray) -> bool:
    """Whether no name occurs twice; of millions in order, as these files mostly are, without sorting them."""
    if np.all(names[1:] > names[:-1]):
        return True
    ordered = np.sort(names)
    return not np.any(ordered[1:] == ordered[:-1])


def _is_identity(columns: sparse.csr_matrix) -> bool:
    """Whether a map from columns of the file to genes leaves them as they are."""
    is_square = len(set(columns.shape or ())) == 1
    own = np.arange(len(columns.indptr))
    one_each = np.array_equal(columns.indptr, own) and np.array_equal(columns.indices, own[:-1])
    return is_square and one_each and bool(np.all(columns.data == 1))


def _is_text(place: Path) -> bool:
    return place.is_dir() or place.name.endswith((".mtx", ".mtx.gz"))


class _Text(FeatureMatrix):
    """Text files of a folder, those with a prefix where `place` is one of them; read whole."""

    def __init__(self, place: Path, naming: Naming):
        folder, prefix = (place, "") if place.is_dir() else (place.parent, place.name.partition("matrix.mtx")[0])
        barcodes = [row[0] for row in _table(folder, f"{prefix}barcodes.tsv")]
        rows = _table(folder, f"{prefix}features.tsv", f"{prefix}genes.tsv")
        if rows and any(len(row) != len(rows[0]) for row in rows):
            raise EosinError("features have rows of different lengths", file=folder, fix=AGAIN)
        columns = [np.array(column, dtype="S") for column in zip(*(map(str.encode, row) for row in rows))]
        features: dict[str, np.ndarray] = dict(zip(("id", "name", "feature_type"), columns))
        super().__init__([barcode.encode() for barcode in barcodes], features, folder, naming)
        self._counts = _read_mtx(_one_of(folder, f"{prefix}matrix.mtx"), len(rows), len(barcodes))

    def _n_values(self, rows: np.ndarray) -> int:
        return int(np.diff(self._counts.indptr)[rows].sum())

    def _raw_blocks(self) -> Iterator[tuple[int, sparse.csr_matrix]]:
        yield 0, self._counts


def _genes(features: dict[str, np.ndarray], naming: Naming) -> tuple[GeneNames, sparse.csr_matrix, list[str]]:
    """What the genes are called, the map [features g] from columns of the file to them, and notes."""
    names = features.get("name", features.get("id", np.zeros(0, dtype="S1"))).astype(object)
    ids = features["id"].astype(object) if "id" in features else np.full(len(names), b"", dtype=object)
    kept = np.ones(len(names), dtype=bool)
    if "feature_type" in features:
        kept = are_genes(features["feature_type"])
    notes = []
    if n_others := int((~kept).sum()):
        notes.append(f"{n_others} features of other types than gene expression were left out")
    in_file = GeneNames(*(tuple(name.decode("utf-8") for name in part[kept]) for part in (names, ids)))
    if kind_of(in_file.names) == "ensembl" and in_file.ensembl and kind_of(in_file.ensembl) != "ensembl":
        in_file = GeneNames(in_file.ensembl, in_file.names)
        notes.append("symbols stand before Ensembl ids, where 10x has them behind")
    in_file, named, others = genes_of(in_file)
    notes += others
    if named is not None:
        kept[np.delete(np.flatnonzero(kept), named)] = False
    columns = naming.columns(in_file)
    ones = np.ones(len(in_file), dtype=np.float32)
    selected = sparse.csr_matrix((ones, (np.flatnonzero(kept), np.arange(len(in_file)))), (len(names), len(in_file)))
    return columns.genes, columns.add_up(selected), [*notes, *columns.notes]


def _whole(block: sparse.csr_matrix, file: Path) -> sparse.csr_matrix:
    """The block as float32, if it holds counts; checked here, because sums hide what single values show."""
    values = block.data
    whole = values.dtype.kind in "iu" or (np.isfinite(values).all() and np.all(values == np.round(values)))
    if values.size and not (whole and values.min() >= 0):
        raise EosinError("holds values that are no counts", file=file, fix="give raw counts of molecules")
    return sparse.csr_matrix(block, dtype=np.float32)


# --- HDF5 ---------------------------------------------------------------------------------------------------------


def _open_h5(path: Path) -> contextlib.AbstractContextManager[h5py.File]:
    if not path.is_file():
        raise EosinError("no such file", file=path, fix="give the sample its matrix of counts")
    return open_foreign(path)


def _child(group: h5py.Group, name: str, path: Path) -> Any:
    if name not in group:
        raise EosinError(f"has no '{name}' in '{group.name}'", file=path, fix="give a file written by Space Ranger")
    return group[name]


def _vector(group: h5py.Group, name: str, path: Path, kinds: str) -> Any:
    """The dataset `name`, of one axis and of a kind of NumPy's, whose declared size its stored bytes can hold."""
    dataset = _child(group, name, path)
    if getattr(dataset, "ndim", None) != 1:
        raise EosinError(f"'{dataset.name}' is no list of values", file=path, fix=AGAIN)
    is_text = dataset.dtype.kind in "OS"
    if (not is_text or kinds != "S") and dataset.dtype.kind not in kinds:
        raise EosinError(f"'{dataset.name}' holds {dataset.dtype}", file=path, fix=AGAIN)
    if dataset.size * dataset.dtype.itemsize > _TIGHTEST * dataset.id.get_storage_size() + 4096:
        raise EosinError(f"'{dataset.name}' declares {dataset.size} values that are not there", file=path, fix=AGAIN)
    return dataset


def _array(group: h5py.Group, name: str, path: Path, kinds: str) -> np.ndarray:
    values = _vector(group, name, path, kinds)[:]
    return np.array([_bytes(value) for value in values], dtype="S") if values.dtype.kind == "O" else values


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


# --- text ---------------------------------------------------------------------------------------------------------


def _one_of(folder: Path, *names: str) -> Path:
    for name in names:
        for file in (folder / f"{name}.gz", folder / name):
            if file.is_file():
                return file
    raise EosinError(f"no {names[0]}.gz", file=folder, fix="give matrix.mtx.gz, features.tsv.gz and barcodes.tsv.gz")


def _table(folder: Path, *names: str) -> list[list[str]]:
    file = _one_of(folder, *names)
    with reading(file, "a table"):
        data = file.read_bytes()
        text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8")
    rows = [[cell.strip('"') for cell in line.split("\t")] for line in text.splitlines() if line]  # R puts quotes
    return rows[1:] if rows and rows[0][0].strip().lower() in _HEADINGS else rows


def _read_mtx(file: Path, n_features: int, n_barcodes: int) -> sparse.csr_matrix:
    """Counts [b features] of a Matrix Market file, whose header must agree with the names and the file's size."""
    from scipy.io import mminfo, mmread

    with reading(file, "a Matrix Market file"):
        rows, columns, entries, layout, kind, symmetry = mminfo(file)
        if (layout, symmetry) != ("coordinate", "general") or kind not in ("integer", "real"):
            raise EosinError(f"is a {symmetry} {layout} matrix of {kind} values", file=file, fix=AGAIN)
        if (rows, columns) != (n_features, n_barcodes):
            named = f"{n_features} features and {n_barcodes} barcodes are named"
            turned = "transpose it: features are rows" if (columns, rows) == (n_features, n_barcodes) else AGAIN
            raise EosinError(f"declares {rows} x {columns}, but {named}", file=file, fix=turned)
        most = file.stat().st_size * (_TIGHTEST if file.suffix == ".gz" else 1) / 6  # "1 1 1\n"
        if entries > most:
            raise EosinError(f"declares {entries} values that are not there", file=file, fix=AGAIN)
        return sparse.csr_matrix(sparse.csc_matrix(mmread(file, spmatrix=True)).T)
