"""A published section, written by hand in the layouts of public collections and other tools, is read back equal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from eosin.data import read, recognise
from eosin.features.attach import attach
from eosin.features.feature_section import section_of_features
from eosin.types import Section

HER2ST = Path(__file__).resolve().parents[2] / "../shared/data/her2st"
pytestmark = pytest.mark.skipif(not HER2ST.is_dir(), reason="no real sections in ../shared/data/her2st")


@pytest.fixture(scope="module")
def section() -> Section:
    return read(HER2ST, sections=["C6"])[0]


def px(section: Section) -> np.ndarray:
    assert section.image is not None
    return section.spots.xy_um / section.image.mpp


def table(section: Section) -> anndata.AnnData:
    obs, var = pd.DataFrame(index=list(section.spots.ids)), pd.DataFrame(index=list(section.genes or ()))
    made = anndata.AnnData(X=section.counts, obs=obs, var=var)
    made.obsm["spatial"] = px(section)
    return made


def same(one: Section, other: Section) -> None:
    """Spots (in any order), positions within a pixel, and all counts."""
    assert one.image and one.counts is not None and other.counts is not None
    assert one.genes and other.genes and sorted(one.genes) == sorted(other.genes)
    row = {spot: i for i, spot in enumerate(other.spots.ids)}
    rows = np.array([row[spot] for spot in one.spots.ids])
    assert len(one) == len(other)
    assert np.abs(one.spots.xy_um - other.spots.xy_um[rows]).max() <= one.image.mpp
    column = {gene: j for j, gene in enumerate(other.genes)}
    moved = other.counts[rows][:, [column[gene] for gene in one.genes]]
    assert (one.counts != moved).nnz == 0 and one.counts.sum() > 100_000


def back(path: Path, reader: str, **how) -> Section:
    assert recognise(path)[0].name == reader
    (one,) = read(path, **how)
    return one


def test_hest(section: Section, tmp_path: Path) -> None:
    assert section.image is not None
    for folder in ("st", "wsis", "metadata"):
        (tmp_path / folder).mkdir()
    table(section).write_h5ad(tmp_path / "st" / "SPA1.h5ad")
    (tmp_path / "wsis" / "SPA1.tif").symlink_to(section.image.path.resolve())
    facts = {"patient": "C", "st_technology": "Spatial Transcriptomics", "inter_spot_dist": 200.0}
    facts |= {"pixel_size_um_estimated": section.image.mpp, "spot_diameter": 100.0}
    (tmp_path / "metadata" / "SPA1.json").write_text(json.dumps(facts))
    one = back(tmp_path, "hest")
    same(section, one)
    assert (one.patient, one.spots.diameter_um, one.notes) == ("C", 100.0, ()) and one.image


def test_hest_bench(section: Section, tmp_path: Path) -> None:
    assert section.image is not None
    for folder in ("adata", "patches", "splits"):
        (tmp_path / folder).mkdir()
    table(section).write_h5ad(tmp_path / "adata" / "SPA1.h5ad")
    order = np.random.default_rng(0).permutation(len(section))
    width = 112 / section.image.mpp
    with h5py.File(tmp_path / "patches" / "SPA1.h5", "w") as file:
        images = file.create_dataset("img", (len(order), 224, 224, 3), "u1", compression="gzip")
        images.attrs.update({"patch_size": round(width), "downsample": width / 224})
        file["coords"] = np.round(px(section)[order] - width / 2).astype(int)
        file["barcode"] = np.array([[section.spots.ids[i].encode()] for i in order])
    row = pd.DataFrame({"sample_id": ["SPA1"], "patches_path": ["patches/SPA1.h5"], "expr_path": ["adata/SPA1.h5ad"]})
    row.to_csv(tmp_path / "splits" / "train_0.csv")
    row.to_csv(tmp_path / "splits" / "test_0.csv")
    same(section, back(tmp_path, "hest-bench"))


def test_stimage(section: Section, tmp_path: Path) -> None:
    assert section.image is not None and section.counts is not None
    for folder in ("coord", "gene_exp", "image"):
        (tmp_path / "ST" / folder).mkdir(parents=True)
    xy = px(section)
    places = pd.DataFrame({"yaxis": xy[:, 1], "xaxis": xy[:, 0], "r": 50 / section.image.mpp}, section.spots.ids)
    places.to_csv(tmp_path / "ST" / "coord" / "C6_coord.csv")
    counts = pd.DataFrame(section.counts.toarray(), section.spots.ids, list(section.genes or ()))
    counts.sample(frac=1, random_state=1).to_csv(tmp_path / "ST" / "gene_exp" / "C6_count.csv")  # as 0.0, 1.0
    (tmp_path / "ST" / "image" / "C6.png").symlink_to(section.image.path.resolve())
    one = back(tmp_path, "stimage")
    same(section, one)
    assert one.image and one.image.mpp == pytest.approx(section.image.mpp) and one.spots.diameter_um == 100.0


@pytest.mark.filterwarnings("ignore")
def test_spatialdata(section: Section, tmp_path: Path) -> None:
    """Shapes in µm, the image a quarter of it: both meet in the system of full-resolution pixels."""
    sd = pytest.importorskip("spatialdata")
    from PIL import Image as Pillow
    from spatialdata.models import Image2DModel, ShapesModel, TableModel
    from spatialdata.transformations import Scale

    assert section.image is not None
    mpp = section.image.mpp
    with Pillow.open(section.image.path) as picture:
        small = np.asarray(picture.convert("RGB").reduce(4))
    ids = pd.Index(section.spots.ids)
    circles = ShapesModel.parse(
        np.array(section.spots.xy_um), geometry=0, radius=50.0, index=ids,
        transformations={"global": Scale([1 / mpp] * 2, axes=("x", "y")), "um": Scale([1.0, 1.0], axes=("x", "y"))},
    )  # fmt: skip
    picture = Image2DModel.parse(
        np.moveaxis(small, -1, 0), dims=("c", "y", "x"), transformations={"global": Scale([4.0, 4.0], axes=("x", "y"))}
    )
    made = table(section)
    made.obs["region"], made.obs["spot"] = pd.Categorical(["circles"] * len(section)), list(ids)
    annotating = TableModel.parse(made, region="circles", region_key="region", instance_key="spot")
    sdata = sd.SpatialData(images={"he": picture}, shapes={"circles": circles}, tables={"table": annotating})
    sdata.write(tmp_path / "C6.zarr")
    one = back(tmp_path / "C6.zarr", "spatialdata")
    same(section, one)
    assert one.image and one.image.mpp == pytest.approx(4 * mpp) and one.spots.diameter_um == pytest.approx(100)
    with Pillow.open(one.image.path) as copied:
        assert np.array_equal(np.asarray(copied), small)


@pytest.mark.filterwarnings("ignore")
def test_out_to_spatialdata_and_back(section: Section, tmp_path: Path) -> None:
    pytest.importorskip("spatialdata")
    from eosin.data import write_spatialdata

    write_spatialdata(section, tmp_path / "C6.zarr")
    one = back(tmp_path / "C6.zarr", "spatialdata")
    same(section, one)
    assert (one.name, one.patient, one.image, one.domains) == ("C6", "C", section.image, section.domains)


def test_plain_anndata(section: Section, tmp_path: Path) -> None:
    assert section.image is not None
    table(section).write_h5ad(tmp_path / "C6.h5ad")
    same(section, back(tmp_path / "C6.h5ad", "h5ad", mpp=section.image.mpp))


def test_trident(section: Section, tmp_path: Path) -> None:
    assert section.image is not None
    order = np.random.default_rng(0).permutation(len(section))
    values = np.random.default_rng(1).normal(size=(len(section), 32)).astype(np.float32)
    width = round(112 / section.image.mpp)
    with h5py.File(tmp_path / "C6.h5", "w") as file:
        file["features"], file["coords"] = values[order], np.round(px(section)[order] - width / 2).astype(np.int64)
        file["coords"].attrs.update({"patch_size": 224, "patch_size_level0": width, "level0_magnification": 14})
    attached = attach(replace(section, features=None), tmp_path, "uni")
    assert attached and attached.features and np.array_equal(attached.features.values, values)
    alone = section_of_features(tmp_path / "C6.h5", "uni", mpp=section.image.mpp)
    assert np.abs(alone.spots.xy_um - section.spots.xy_um[order]).max() <= section.image.mpp
    assert np.array_equal(alone.need_features().values, values[order])
