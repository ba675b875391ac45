"""A SpatialData store of a prediction that may be larger than the memory: its tables are written some spots at a time.

What a store holds beside these tables (shapes, positions, names, records) is made by `eosin.data.spatialdata_door`, of
the same prediction with one gene; tables of all genes are handed to the writer as arrays that are made block by block.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.data import to_anndata, to_spatialdata
from eosin.exporting.rows import LAYERS
from eosin.storage.files import atomic_folder
from eosin.storage.scratch import let_go
from eosin.types import Prediction

if TYPE_CHECKING:
    from anndata import AnnData

_BYTES_AT_ONCE = 1 << 24
_NAMES = {"std": "sd", "q05": "q05", "q95": "q95"}
"""Layers of an AnnData, and what `LAYERS` calls them."""


def write_large_store(prediction: Prediction, path: Path) -> None:
    """Write what `eosin.data.write_spatialdata` writes, whole or not at all.

    Raises
    ------
    EosinError
        The package `spatialdata` is not installed, or the store cannot be written.
    """
    of_one_gene = prediction.of_genes([0], prediction.panel.of_genes([0]))
    store = to_spatialdata(of_one_gene, path=path)
    ((name, table),) = store.tables.items()
    with atomic_folder(path) as partial, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store.tables[name] = _of_all_genes(table, prediction)
        partial.rmdir()  # SpatialData writes into no folder that is there
        store.write(partial)


def _of_all_genes(table: AnnData, prediction: Prediction) -> AnnData:
    """The table of one gene with the genes, numbers and error bars of all."""
    import anndata

    of_one_spot = to_anndata(prediction.of_spots(slice(0, 1)))
    record = {**table.uns["eosin"]}
    if "error_bars" in record:
        record["error_bars"] = of_one_spot.uns["eosin"]["error_bars"]
    return anndata.AnnData(
        X=_lazy(prediction, LAYERS["mean"]),
        obs=table.obs,
        var=of_one_spot.var,
        obsm=dict(table.obsm),
        layers={name: _lazy(prediction, LAYERS[_NAMES[name]]) for name in table.layers},
        uns={**table.uns, "eosin": record},
    )


def _lazy(prediction: Prediction, numbers: Callable[[Prediction], np.ndarray]) -> Any:
    """Numbers [s g] of a prediction that are made where they are written."""
    from dask import array

    shape = len(prediction.spots), len(prediction.panel)
    return array.from_array(_Rows(prediction, numbers), chunks=_blocks(shape), name=False, asarray=False)


def _blocks(shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns that are made together: whole chunks of the store, of which a part is read, changed and written.

    Threads that write into one chunk would also lose what the other one wrote.
    """
    import zarr

    in_chunk = zarr.create_array(store={}, shape=shape, dtype=np.float32).chunks[0]
    n_chunks = max(1, _BYTES_AT_ONCE // (4 * shape[1] * in_chunk))
    return min(n_chunks * in_chunk, shape[0]), shape[1]


class _Rows:
    """Numbers [s g] of a prediction as an array of which rows are asked for."""

    dtype, ndim = np.dtype(np.float32), 2

    def __init__(self, prediction: Prediction, numbers: Callable[[Prediction], np.ndarray]):
        self.prediction, self.numbers = prediction, numbers
        self.shape = len(prediction.spots), len(prediction.panel)

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        rows, genes = key
        found = self.numbers(self.prediction.of_spots(rows))[:, genes]
        let_go(self.prediction.centre, self.prediction.draws)
        return found
