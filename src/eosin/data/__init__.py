"""Measured sections: readers, splits, and the doors to AnnData and SpatialData.

`reader` what a reader is, how one is chosen and run; `readers/` one file a platform; `check` the promises of a reader.
`section_parts` the last step of every reader; `count_table`, `h5ad`, `foreign` (AnnData of other tools), `libraries`
(which spot is of which section), `missing` (values that say nothing), `array_map` (places on the capture area against
pixels), `foreign_scale` (facts of scale in an AnnData), `pooling` (molecules and small bins to squares) and
`spatialdata_image` the steps that several share.
`splits` who is learned from and who is judged on; `anndata_door` and `spatialdata_door` predictions and sections as
scverse's objects.
"""

from __future__ import annotations

from eosin.data import readers as _readers  # noqa: F401 - registers them
from eosin.data.anndata_door import Thumbnails, add_layers, read_prediction, to_anndata, write_prediction
from eosin.data.reader import READERS, Reader, describe, read, reader_for, recognise
from eosin.data.readers.hest_bench import hest_genes, hest_patches, hest_splits
from eosin.data.readers.native import write_sections
from eosin.data.spatialdata_door import to_spatialdata, write_spatialdata
from eosin.data.splits import Split, inner_groups, splits

__all__ = [
    "READERS",
    "Reader",
    "Split",
    "Thumbnails",
    "add_layers",
    "describe",
    "hest_genes",
    "hest_patches",
    "hest_splits",
    "inner_groups",
    "read",
    "read_prediction",
    "reader_for",
    "recognise",
    "splits",
    "to_anndata",
    "to_spatialdata",
    "write_prediction",
    "write_sections",
    "write_spatialdata",
]
