"""`.h5ad` and `.zarr`: AnnData and SpatialData, for scanpy, squidpy and the viewers of scverse."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eosin.data.anndata_door import write_prediction
from eosin.data.h5ad import put_positions, write_h5ad
from eosin.exporting.formats import FORMATS, ExportOptions, Format
from eosin.types import Prediction, Section

IN_MEMORY_BYTES = 1 << 24
"""Predicted means up to which a store is made as a whole."""


class H5ad(Format):
    """One AnnData file without the draws: the mean in `X`, error bars in layers; or features in `X`."""

    opened_by = "scanpy, squidpy"

    def write(self, prediction: Prediction, path: Path, options: ExportOptions) -> None:
        """Write the prediction as `eosin.data` does, without its draws."""
        self.check(options)
        write_prediction(prediction, path, draws=False)

    def write_features(self, section: Section, path: Path) -> None:
        """Write the features of every spot in `X`, with positions and the encoder's key."""
        import anndata
        import pandas as pd

        features = section.need_features()
        obs = pd.DataFrame(index=pd.Index(section.spots.ids, dtype=object))
        var = pd.DataFrame(index=pd.Index([f"f{i}" for i in range(features.values.shape[1])], dtype=object))
        adata = anndata.AnnData(X=np.asarray(features.values), obs=obs, var=var)
        put_positions(adata, section.spots.xy_um, None if section.image is None else section.image.mpp)
        adata.uns["eosin"] = {
            "kind": "features",
            "section": section.name,
            "encoder": features.encoder,
            "encoder_key": features.key,
            "spatial_unit": "um" if section.image is None else "px",
        }
        write_h5ad(adata, path, compress=False)


class Zarr(Format):
    """A SpatialData store: spots as circles in pixels and µm, the prediction as the table that annotates them."""

    opened_by = "SpatialData, napari-spatialdata"

    def write(self, prediction: Prediction, path: Path, options: ExportOptions) -> None:
        """Write the prediction as a store, which is a folder."""
        from eosin.data.spatialdata_door import write_spatialdata
        from eosin.exporting.large_store import write_large_store

        self.check(options)
        write = write_large_store if prediction.draws[0].nbytes > IN_MEMORY_BYTES else write_spatialdata
        write(prediction, path)


FORMATS.add("h5ad", H5ad())
FORMATS.add("zarr", Zarr())
