"""Readers: one file a platform. Importing this registers those that ship with eosin."""

from eosin.data.readers import (  # noqa: F401 - each registers its reader
    hest,
    hest_bench,
    legacy_st,
    native,
    single_h5ad,
    spatialdata_store,
    stimage,
)
from eosin.data.readers.tenx import visium, visium_hd, xenium  # noqa: F401 - each registers its reader
