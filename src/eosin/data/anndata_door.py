"""Predictions as AnnData, as scanpy and squidpy expect them, and back.

`X` is the mean in the panel's model values, `layers` hold the error bars, `obsm["spatial"]` the centres in
pixels of the full image, `uns["spatial"]` what the plots need, `uns["eosin"]` where it all came from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.data.footprint_table import get_footprints, put_footprints
from eosin.data.h5ad import (
    SCHEMA,
    get_positions,
    our_record,
    put_positions,
    read_h5ad,
    read_rest_of_h5ad,
    write_h5ad,
    write_h5ad_in_blocks,
)
from eosin.data.reader import blame
from eosin.errors import EosinError
from eosin.row_blocks import row_blocks
from eosin.storage.scratch import let_go, scratch_table
from eosin.types import ErrorBars, GenePanel, GeneTrust, Image, Likeness, Prediction, Spots

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Thumbnails", "add_layers", "read_prediction", "to_anndata", "write_h5ad", "write_prediction"]

IN_MEMORY_BYTES = 1 << 28
"""Numbers of a prediction, or size of its file, beyond which it is written and read some spots at a time."""
_BYTES_AT_ONCE = 1 << 24
_BLANK_PX = {"hires": 600, "lowres": 200}  # longest sides of the white images that stand in for absent thumbnails


@dataclass(frozen=True)
class Thumbnails:
    """Two small images of the whole slide, for the plots of scanpy and squidpy.

    Attributes
    ----------
    hires, lowres
        uint8 [height width 3].
    hires_um_per_px, lowres_um_per_px
        Their scales; both begin at the slide's top left.
    """

    hires: np.ndarray
    lowres: np.ndarray
    hires_um_per_px: float
    lowres_um_per_px: float

    def __post_init__(self) -> None:
        for name in ("hires", "lowres"):
            image, scale = getattr(self, name), getattr(self, f"{name}_um_per_px")
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
                raise EosinError(f"thumbnail '{name}' is {image.dtype} {image.shape}", fix="give uint8 [h w 3]")
            if not (np.isfinite(scale) and scale > 0):
                raise EosinError(f"thumbnail '{name}' has {scale} µm/px", fix="give its true scale")


def to_anndata(prediction: Prediction, *, draws: bool = False, thumbnails: Thumbnails | None = None) -> AnnData:
    """A prediction as an AnnData that `scanpy.pl.spatial` and `squidpy.pl.spatial_scatter` draw at once.

    Parameters
    ----------
    prediction
        Draws at the spots of one section.
    draws
        Also store the draws, as `obsm["draws"]` [s k g]; without them `read_prediction` gives back mean and error bars.
    thumbnails
        Small images of the slide; a blank one stands in where absent.

    Returns
    -------
    AnnData
        `X` mean [s g] float32; with error bars or two draws `layers` `std`, `q05`, `q95` of the distribution;
        `obsm["spatial"]` [s 2] float64 in pixels of the full image, x before y (µm where there is no image:
        `uns["eosin"]["spatial_unit"]` says which);
        `var["gene_ids"]` the genes' Ensembl ids, where the panel knows them; `var["trust"]`, `["inner_pcc"]` and
        `["inner_pcc_beyond_depth"]` what training says of each gene; `obs["distance"]` from training and `["ood"]`,
        whether that is beyond the limit. Of cells also `obs["cell_id"]`, `obs["cell_area"]` in µm², and where they are
        known `uns["cell_outlines"]` (see `eosin.data.footprint_table`).
    """
    return _with_tables(prediction, thumbnails, _tables(prediction, draws=draws))


def _tables(prediction: Prediction, *, draws: bool) -> dict[str, np.ndarray]:
    """What an AnnData has of numbers of genes at spots, by name: `X`, `layers/std`, ..., `obsm/draws`."""
    tables = {"X": prediction.mean}
    if prediction.has_spread:
        tables["layers/std"] = prediction.sd
        tables |= {f"layers/{name}": prediction.quantile(q) for name, q in (("q05", 0.05), ("q95", 0.95))}
    if draws:
        tables["obsm/draws"] = np.ascontiguousarray(prediction.draws.transpose(1, 0, 2))  # [s k g]
    return tables


def _with_tables(prediction: Prediction, thumbnails: Thumbnails | None, tables: Mapping[str, np.ndarray]) -> AnnData:
    """The AnnData with some of `_tables`, or none."""
    import anndata
    import pandas as pd

    obs = pd.DataFrame(index=pd.Index(prediction.spots.ids, dtype=object))
    var = pd.DataFrame(index=pd.Index(prediction.panel.names, dtype=object))
    if prediction.panel.ensembl is not None:
        var["gene_ids"] = list(prediction.panel.ensembl)
    if prediction.likeness is not None:
        obs["distance"], obs["ood"] = prediction.likeness.distance, prediction.likeness.is_far
    if prediction.trust is not None:
        for name, column in prediction.trust.columns().items():
            var[name] = column
    adata = anndata.AnnData(X=tables.get("X"), obs=obs, var=var)
    for name in tables:
        kind, _, key = name.partition("/")
        if key:
            getattr(adata, kind)[key] = tables[name]
    mpp = None if prediction.image is None else prediction.image.mpp
    put_positions(adata, prediction.spots.xy_um, mpp)
    put_footprints(adata, prediction.spots, mpp)
    library = prediction.section.replace("/", "_")  # a slash would open a group within the file
    adata.uns["spatial"] = {library: _library(prediction, mpp, thumbnails or _blank(prediction))}
    adata.uns["eosin"] = _record(prediction, mpp)
    return adata


def _library(prediction: Prediction, mpp: float | None, thumbnails: Thumbnails) -> dict[str, Any]:
    """What one library of `uns["spatial"]` holds; scale factors turn `obsm["spatial"]` into thumbnail pixels."""
    unit_um = 1.0 if mpp is None else mpp
    return {
        "images": {"hires": thumbnails.hires, "lowres": thumbnails.lowres},
        "scalefactors": {
            "tissue_hires_scalef": unit_um / thumbnails.hires_um_per_px,
            "tissue_lowres_scalef": unit_um / thumbnails.lowres_um_per_px,
            "spot_diameter_fullres": prediction.spots.diameter_um / unit_um,
        },
        "metadata": {"drawn_by": "eosin"},
    }


def _blank(prediction: Prediction) -> Thumbnails:
    """White images from the origin to one spot beyond the last, so that plots have something to lie on."""
    extent_um = np.maximum(prediction.spots.xy_um.max(0), 0) + prediction.spots.diameter_um
    made: dict[str, Any] = {}
    for name, longest in _BLANK_PX.items():
        scale = float(extent_um.max()) / longest
        width, height = np.maximum(np.ceil(extent_um / scale).astype(int), 1)
        made |= {name: np.full((height, width, 3), 255, dtype=np.uint8), f"{name}_um_per_px": scale}
    return Thumbnails(**made)


def _record(prediction: Prediction, mpp: float | None) -> dict[str, Any]:
    """`uns["eosin"]`: plain values only; nested records as JSON, since HDF5 has no place for None and mixed lists."""
    panel = prediction.panel
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "prediction",
        "section": prediction.section,
        "model": prediction.model,
        "seed": int(prediction.seed),
        "n_draws": prediction.n_draws,
        "mirrored": prediction.mirrored,
        "panel_rule": panel.rule,
        "panel_chosen_on": json.dumps(list(panel.chosen_on)),
        "transform": panel.transform,
        "units": f"{panel.transform} of counts",
        "spatial_unit": "um" if mpp is None else "px",
        "unit": prediction.spots.unit,
        "diameter_um": float(prediction.spots.diameter_um),
        "licence": str(prediction.provenance.get("licence", "unknown")),
        "commercial": bool(prediction.provenance.get("commercial", False)),
        "versions": json.dumps({name: _version(name) for name in ("eosin", "anndata", "numpy", "scipy", "torch")}),
        "provenance": json.dumps(dict(prediction.provenance), default=str),
    }
    if prediction.likeness is not None:
        likeness = prediction.likeness
        record |= {"spot_limit": float(likeness.spot_limit), "slide_limit": float(likeness.slide_limit)}
        record["slide_verdict"] = likeness.verdict
    if prediction.trust is not None:
        record["trust_of"] = prediction.trust.kind
    if prediction.error_bars is not None:
        record["error_bars"] = json.dumps(prediction.error_bars.to_json())
    if prediction.image is not None and mpp is not None:
        record |= {"mpp": float(mpp), "image": str(prediction.image.path)}
    return record


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def write_prediction(
    prediction: Prediction, path: str | Path, *, draws: bool | None = None, thumbnails: Thumbnails | None = None
) -> None:
    """Write a prediction as `.h5ad`, whole or not at all; a large one is made and written some spots at a time.

    Parameters
    ----------
    draws
        Whether to write the draws; None: only where there are no error bars, whose place they take.
    """
    draws = prediction.error_bars is None if draws is None else draws
    shapes = _shapes(prediction, draws=draws)
    per_spot = sum(4 * int(np.prod(shape[1:])) for shape in shapes.values())
    if per_spot * len(prediction.spots) > IN_MEMORY_BYTES:
        blocks = _blocks(prediction, per_spot, draws=draws)
        write_h5ad_in_blocks(_with_tables(prediction, thumbnails, {}), path, shapes, blocks)
        return
    write_h5ad(to_anndata(prediction, draws=draws, thumbnails=thumbnails), path, compress=False)


def _shapes(prediction: Prediction, *, draws: bool) -> dict[str, tuple[int, ...]]:
    """The shapes of `_tables`, for a prediction of any size."""
    some = _tables(prediction.of_spots(slice(0, 1)), draws=draws)
    return {name: (len(prediction.spots), *table.shape[1:]) for name, table in some.items()}


def _blocks(prediction: Prediction, per_spot: int, *, draws: bool) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """`_tables` some spots at a time."""
    for rows in row_blocks(len(prediction.spots), budget=_BYTES_AT_ONCE, per_row=per_spot):
        yield rows, _tables(prediction.of_spots(rows), draws=draws)
        let_go(prediction.draws, prediction.centre)


def read_prediction(path: str | Path) -> Prediction:
    """Read a prediction that eosin wrote.

    Where the draws were not stored, the mean comes back as one draw. The numbers of a large file are copied to files
    without a name (in `TMPDIR`), which numpy reads as it reads memory.

    Raises
    ------
    EosinError
        The file is missing, broken, altered out of shape, or no prediction of eosin's.
    """
    path = Path(path)
    large = path.is_file() and path.stat().st_size > IN_MEMORY_BYTES
    adata, kept = read_rest_of_h5ad(path, _place_of, _is_draw) if large else (read_h5ad(path), {})
    record = our_record(adata, path, "prediction")
    needed = ("section", "model", "seed", "n_draws", "transform", "diameter_um", "panel_rule")
    if missing := [key for key in needed if key not in record]:
        raise EosinError(f"uns['eosin'] lacks '{missing[0]}'", file=path, fix="predict again")
    mpp = record.get("mpp")
    bars, mean = _json(record, "error_bars", path, {}), kept.get("X", adata.X)
    draws = _draws(adata, kept, int(record["n_draws"]), path)
    with blame(path):
        xy_um, ids = get_positions(adata, mpp, path), tuple(adata.obs_names)
        footprints = get_footprints(adata, 1.0 if mpp is None else mpp, path)
        panel = GenePanel(
            tuple(map(str, adata.var_names)),
            str(record["transform"]),
            str(record["panel_rule"]),
            tuple(_json(record, "panel_chosen_on", path, [])),
            tuple(map(str, adata.var["gene_ids"])) if "gene_ids" in adata.var else None,
        )
        return Prediction(
            section=str(record["section"]),
            spots=Spots(xy_um, record["diameter_um"], ids, footprints),
            panel=panel,
            draws=draws,
            model=str(record["model"]),
            seed=int(record["seed"]),
            image=Image(Path(record["image"]), mpp) if mpp is not None and "image" in record else None,
            provenance=_json(record, "provenance", path, {}),
            mirrored=bool(record.get("mirrored", False)),  # files of before this was written: taken for independent
            centre=np.asarray(mean, dtype=np.float32) if bars else None,
            error_bars=ErrorBars.from_json(bars) if bars else None,
            trust=_trust(adata, record),
            likeness=_likeness(adata, record),
        )


def _trust(adata: AnnData, record: Mapping[str, Any]) -> GeneTrust | None:
    """Verdicts on genes; None in files of before there were any."""
    if "trust_of" not in record or not {"inner_pcc", "inner_pcc_beyond_depth"} <= set(adata.var):
        return None
    columns = (adata.var[name].to_numpy(float) for name in ("inner_pcc", "inner_pcc_beyond_depth"))
    return GeneTrust(*columns, kind=str(record["trust_of"]))


def _likeness(adata: AnnData, record: Mapping[str, Any]) -> Likeness | None:
    """Distances from training; None in files of before there were any."""
    if not {"spot_limit", "slide_limit"} <= set(record) or "distance" not in adata.obs:
        return None
    limits = (float(record["spot_limit"]), float(record["slide_limit"]))
    return Likeness(adata.obs["distance"].to_numpy(np.float32), *limits)


def _place_of(name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """Where a large table of a file is kept: the mean [s g]; draws [s k g] so that each lies in one piece."""
    if len(shape) == 2 and name == "X":
        return scratch_table(shape)
    if len(shape) == 3:
        return scratch_table((shape[1], shape[0], shape[2])).transpose(1, 0, 2)
    return None


def _is_draw(layer: str) -> bool:
    """Whether a layer is a draw, as in older files."""
    return layer.startswith("sample_")


def _draws(adata: AnnData, kept: Mapping[str, np.ndarray], n_draws: int, path: Path) -> np.ndarray:
    """Draws [k s g], in older files one in a layer; or the mean [1 s g]."""
    if "draws" in adata.obsm or "obsm/draws" in kept:
        draws = kept["obsm/draws"] if "obsm/draws" in kept else np.asarray(adata.obsm["draws"])
        if draws.ndim != 3 or draws.shape[1:] != (n_draws, adata.n_vars) or draws.dtype.kind != "f":
            raise EosinError(f"holds draws of shape {draws.shape}", file=path, fix="predict again")
        return np.ascontiguousarray(draws.transpose(1, 0, 2), dtype=np.float32)
    stored = [f"sample_{k}" for k in range(n_draws) if f"sample_{k}" in adata.layers]
    if stored and len(stored) < n_draws:
        raise EosinError(f"holds {len(stored)} of its {n_draws} draws", file=path, fix="predict again")
    if "X" in kept and not stored:
        return kept["X"][None]
    arrays = [adata.layers[key] for key in stored] or [kept.get("X", adata.X)]
    try:
        return np.stack([np.asarray(array, dtype=np.float32) for array in arrays])
    except (TypeError, ValueError) as error:
        raise EosinError(f"predicted values are not numeric ({error})", file=path, fix="predict again") from error


def _json(record: Mapping[str, Any], key: str, path: Path, default: Any) -> Any:
    try:
        value = json.loads(record.get(key, json.dumps(default)))
    except (TypeError, ValueError) as error:
        raise EosinError(f"uns['eosin']['{key}'] is no JSON ({error})", file=path, fix="predict again") from error
    if not isinstance(value, type(default)):
        raise EosinError(f"uns['eosin']['{key}'] holds {type(value).__name__}", file=path, fix="predict again")
    return value


def add_layers(adata: AnnData, prediction: Prediction, key: str = "eosin") -> None:
    """Add a prediction to a measured AnnData, in place; only layers are added.

    `layers[key]` is the mean and `layers[f"{key}_std"]` the standard deviation around it, where there is one, both
    float32 [s g] over all of the object's spots and genes; NaN where nothing was predicted.

    Raises
    ------
    EosinError
        Spots or genes have no name in common, or names repeat.
    """
    for axis, names in (("spot", adata.obs_names), ("gene", adata.var_names)):
        if not names.is_unique:
            raise EosinError(f"the AnnData's {axis} names repeat", fix="make them unique")
    rows = adata.obs_names.get_indexer(list(prediction.spots.ids))
    columns = adata.var_names.get_indexer(list(prediction.panel.names))
    for axis, positions in (("spot", rows), ("gene", columns)):
        if (positions < 0).all():
            fix = f"give the AnnData of section '{prediction.section}'"
            raise EosinError(f"the AnnData and the prediction have no {axis} in common", fix=fix)
    values = {key: prediction.mean} | ({f"{key}_std": prediction.sd} if prediction.has_spread else {})
    for name, value in values.items():
        layer = np.full(adata.shape, np.nan, dtype=np.float32)
        layer[np.ix_(rows[rows >= 0], columns[columns >= 0])] = value[np.ix_(rows >= 0, columns >= 0)]
        adata.layers[name] = layer
