"""Small outputs of Xenium and Space Ranger 4 with cells on an H&E image that shows them, and what is in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from unit.data.layouts_10x import write_h5

GENES = tuple(f"GENE{i}" for i in range(8))
SIDE_UM, MPP, PIXEL_UM = 400.0, 0.5, 0.2125
TURN = np.array([[0.0, MPP / PIXEL_UM, 300.0], [-MPP / PIXEL_UM, 0.0, 2500.0], [0, 0, 1]])
"""Pixels of the H&E image to those of the morphology image: a quarter turn."""


@dataclass(frozen=True)
class DrawnCells:
    """Cells as they lie on the H&E image, in the order of the matrix.

    Attributes
    ----------
    ids
        [n].
    xy_um, radius_um
        Centres [n 2] and radii [n].
    counts
        [n g].
    """

    ids: list[str]
    xy_um: np.ndarray
    radius_um: np.ndarray
    counts: np.ndarray

    @property
    def area_um2(self) -> np.ndarray:
        return np.pi * self.radius_um**2

    def outlines_um(self, n_corners: int = 16) -> np.ndarray:
        """[n c 2]; the first corner is not repeated."""
        angle = 2 * np.pi * np.arange(n_corners) / n_corners
        ring = np.stack([np.cos(angle), np.sin(angle)], -1)
        return self.xy_um[:, None] + self.radius_um[:, None, None] * ring


def cells(n: int = 200, seed: int = 0) -> DrawnCells:
    """Cells of two kinds, which differ in size and expression, at random places at least a few µm from the border."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(20, SIDE_UM - 20, (n, 2))
    large = rng.random(n) < 0.5
    radius = np.where(large, 6.0, 3.5) * rng.uniform(0.9, 1.1, n)
    level = np.where(large[:, None], np.linspace(1, 8, len(GENES)), np.linspace(8, 1, len(GENES)))
    return DrawnCells([f"{seed}cell{i:04d}-1" for i in range(n)], xy, radius, rng.poisson(level))


def picture(drawn: DrawnCells, seed: int = 0) -> np.ndarray:
    """Pink tissue with a dark disc at every cell, uint8 [h w 3]."""
    side = round(SIDE_UM / MPP)
    image = np.array([230.0, 170, 205]) + np.random.default_rng(seed).normal(0, 6, (side, side, 3))
    rows, columns = np.mgrid[:side, :side]
    for (x, y), radius in zip(drawn.xy_um / MPP, drawn.radius_um / MPP):
        near = (slice(max(int(y - radius) - 1, 0), int(y + radius) + 2), slice(max(int(x - radius) - 1, 0), None))
        inside = np.hypot(columns[near] - x, rows[near] - y) < radius
        image[near][inside] = (70, 40, 120) if radius > 5 / MPP else (120, 80, 150)
    return np.clip(image, 0, 255).astype(np.uint8)


def to_xenium(xy_um: np.ndarray) -> np.ndarray:
    """Places [... 2] on the H&E image in µm of the morphology image."""
    return (xy_um / MPP @ TURN[:2, :2].T + TURN[:2, 2]) * PIXEL_UM


def write_image(file: Path, image: np.ndarray, mpp: float = MPP) -> None:
    tifffile.imwrite(file, image, photometric="rgb", tile=(256, 256), resolution=(1e4 / mpp,) * 2, resolutionunit=3)


def xenium_bundle(folder: Path, name: str = "R1", *, n: int = 200, seed: int = 0, image: bool = True) -> DrawnCells:
    """A region with cells, outlines, transcripts and, where wanted, the H&E image that shows them."""
    drawn, place = cells(n, seed), folder / name
    place.mkdir(parents=True)
    (place / "experiment.xenium").write_text(json.dumps({"pixel_size": PIXEL_UM}))
    if image:
        write_image(place / "Slide_he_image.ome.tif", picture(drawn, seed))
        np.savetxt(place / "Slide_he_imagealignment.csv", TURN, delimiter=",")
    own = to_xenium if image else np.asarray
    types = ["Gene Expression"] * len(GENES) + ["Negative Control Probe"]
    with_control = np.column_stack([drawn.counts, np.ones(n, dtype=int)])
    write_h5(place / "cell_feature_matrix.h5", with_control, drawn.ids, [*GENES, "NegControlProbe_00042"], types)
    order = np.random.default_rng(seed + 100).permutation(n)  # tables in another order than the matrix
    table = pd.DataFrame({"cell_id": drawn.ids, "x_centroid": 0.0, "y_centroid": 0.0, "cell_area": drawn.area_um2})
    table[["x_centroid", "y_centroid"]] = own(drawn.xy_um)
    table.iloc[order].to_parquet(place / "cells.parquet", index=False)
    write_boundaries(place, [drawn.ids[i] for i in order], own(drawn.outlines_um()[order]))
    rows, genes = np.nonzero(drawn.counts)
    times = drawn.counts[rows, genes]
    xy = own(drawn.xy_um)[np.repeat(rows, times)]
    calls = {"feature_name": np.array(GENES)[np.repeat(genes, times)], "x_location": xy[:, 0], "y_location": xy[:, 1]}
    pd.DataFrame({**calls, "qv": 40.0}).to_parquet(place / "transcripts.parquet", index=False)
    return drawn


def write_boundaries(place: Path, ids: list[str], outlines: np.ndarray) -> None:
    """`cell_boundaries.parquet`: the first corner of every outline stands again at its end."""
    closed = np.concatenate([outlines, outlines[:, :1]], 1)
    flat = closed.reshape(-1, 2).astype(np.float32)
    table = {"cell_id": np.repeat(ids, closed.shape[1]), "vertex_x": flat[:, 0], "vertex_y": flat[:, 1]}
    pd.DataFrame(table).to_parquet(place / "cell_boundaries.parquet", index=False)


def hd_bundle(folder: Path, name: str = "H1", *, n: int = 200, seed: int = 0) -> DrawnCells:
    """`segmented_outputs/` of Space Ranger 4 with the full-resolution image."""
    drawn = cells(n, seed)
    place = folder / name / "outs" / "segmented_outputs"
    (place / "spatial").mkdir(parents=True)
    names = [f"cellid_{i + 1:09d}-1" for i in range(n)]
    write_h5(place / "filtered_feature_cell_matrix.h5", drawn.counts, names, GENES)
    (place / "spatial" / "scalefactors_json.json").write_text(json.dumps({"microns_per_pixel": MPP}))
    features = []
    for i in np.random.default_rng(seed).permutation(n):
        ring = (drawn.outlines_um()[i] / MPP).tolist()
        geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        features.append({"type": "Feature", "properties": {"cell_id": int(i) + 1}, "geometry": geometry})
    (place / "cell_segmentations.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    write_image(folder / name / f"{name}.tif", picture(drawn, seed))
    return DrawnCells(names, drawn.xy_um, drawn.radius_um, drawn.counts)
