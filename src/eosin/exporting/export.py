"""`eosin.export`: a prediction or a feature file, written for another program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eosin.data import read_prediction
from eosin.errors import EosinError
from eosin.exporting import flat_tables, geojson_file, stores  # noqa: F401 - each registers its formats
from eosin.exporting.formats import ExportOptions, format_of
from eosin.exporting.rows import with_genes
from eosin.features.feature_section import is_feature_file, section_of_features
from eosin.options import names_of
from eosin.types import Prediction


def export(
    source: Prediction | str | Path,
    out: str | Path,
    *,
    genes: str | Sequence[str] | None = None,
    missing_genes: str = "refuse",
    layers: str | Sequence[str] | None = None,
    outline: str | None = None,
    mpp: float | None = None,
) -> Path:
    """Write a prediction, or a feature file, in the format that the suffix of `out` names.

    Parameters
    ----------
    source
        A prediction, its `.h5ad`, or a feature file (`.h5`).
    out
        `.geojson` (QuPath), `.csv`, `.parquet`, `.h5ad` (AnnData) or `.zarr` (SpatialData); whole or not at all.
    genes
        Only these genes, in this order; a list, or text by commas.
    missing_genes
        Named genes that were not predicted: `refuse`, or `skip` to leave them out.
    layers
        For tables and GeoJSON: some of `mean`, `sd`, `q05`, `q95`; by default the mean and, with two draws or more, sd.
    outline
        For GeoJSON: `circle` (default), `square`, `point`, or `cell` (the default of cells that have outlines).
    mpp
        µm per pixel, where the prediction or the feature file does not say it.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    EosinError
        No such format, gene or layer; an option that the format does not use; the file is no prediction.
    """
    out = Path(out)
    file_format = format_of(out)
    if not isinstance(source, Prediction) and out.exists() and out.resolve() == Path(source).resolve():
        raise EosinError("would be written over itself", file=out, fix="choose another --out")
    genes = names_of(genes)
    options = ExportOptions(names_of(layers), outline, mpp)
    if not isinstance(source, Prediction) and is_feature_file(source):
        if genes is not None or layers is not None or outline is not None:
            raise EosinError("a feature file has no genes, layers and outlines", file=source, fix="leave them out")
        file_format.write_features(section_of_features(source, "unknown", mpp=mpp), out)
        return out
    prediction = source if isinstance(source, Prediction) else read_prediction(source)
    file_format.check(options)
    file_format.write(with_genes(prediction, genes, missing_genes), out, options)
    return out
