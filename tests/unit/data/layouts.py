"""Small folders in every layout that eosin reads, made from a seed. Images are placeholders: no reader opens them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from eosin.data import write_sections
from eosin.types import Image, Section, Spots
from unit.data.layouts_10x import LAYOUTS_10X

GENES = tuple(f"GENE{i}" for i in range(30))


def lattice(n_side: int = 6, step: float = 1.0, origin: float = 1000.0) -> np.ndarray:
    x, y = np.meshgrid(np.arange(n_side), np.arange(n_side))
    return np.stack([x.ravel(), y.ravel()], 1) * step + origin


def counts(n: int, seed: int, genes: int = len(GENES)) -> np.ndarray:
    return np.random.default_rng(seed).poisson(2.0, (n, genes))


def section(
    name: str = "A1", patient: str = "A", seed: int = 0, image: Path | None = None, mpp: float = 0.37
) -> Section:
    xy_um = lattice(6, 200.0) + np.random.default_rng(seed).uniform(-9, 9, (36, 2))
    return Section(
        name=name,
        patient=patient,
        spots=Spots(xy_um, 100.0, tuple(f"s{i}" for i in range(36))),
        image=None if image is None else Image(image, mpp),
        counts=sparse.csr_matrix(counts(36, seed)),
        genes=GENES,
        domains=tuple("ab"[i % 2] for i in range(36)),
        platform="test",
        notes=("made from a seed",),
    )


def placeholder(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"not an image, and nobody looks")
    return file


def native(folder: Path) -> Path:
    image = placeholder(folder.parent / "elsewhere" / "slide.png")
    return write_sections([section("A1", "A", 0, image), section("B1", "B", 1)], folder)


def single(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    adata = anndata.AnnData(
        X=sparse.csr_matrix(counts(36, 3).astype(np.float32)),
        obs=pd.DataFrame({"patient": "P7"}, index=[f"s{i}" for i in range(36)]),
        var=pd.DataFrame(index=list(GENES)),
    )
    adata.obsm["spatial"] = lattice(6, 400.0)
    adata.uns["eosin"] = {"mpp": 0.25}
    adata.uns["spatial"] = {"lib": {"scalefactors": {"spot_diameter_fullres": 220.0}, "images": {}}}
    adata.write_h5ad(folder / "slide7.h5ad")
    placeholder(folder / "slide7.svs")
    return folder / "slide7.h5ad"


def legacy_st(folder: Path, names: tuple[str, ...] = ("A1", "A2", "B1"), *, packed: bool = True) -> Path:
    """Pitch 272 px. The first array position has no counts, the last row of counts has no position."""
    xy = lattice(6, 1.0, 10.0).astype(int)
    for i, name in enumerate(names):
        rows = [f"{x}x{y}" for x, y in xy[1:]] + ["99x99"]
        table = pd.DataFrame(counts(36, i), index=rows, columns=list(GENES))
        _write(folder / "ST-cnts" / f"{name}.tsv{'.gz' if packed else ''}", table.to_csv(sep="\t"))
        places = pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1], "new_x": xy[:, 0] + 0.01, "new_y": xy[:, 1] - 0.02})
        places["pixel_x"], places["pixel_y"], places["selected"] = xy[:, 0] * 272.0, xy[:, 1] * 272.0, 1
        _write(folder / "ST-spotfiles" / f"{name}_selection.tsv", places.to_csv(sep="\t", index=False))
        placeholder(folder / "ST-imgs" / name[0] / name / f"{name}_HE.jpg")
    return folder


def st_labels(folder: Path, name: str, labels: dict[str, str]) -> None:
    """A pathologist's file: array positions near whole numbers."""
    frame = pd.DataFrame(
        {"Row.names": list(labels), "label": list(labels.values())}
        | {axis: [int(key.split("x")[i]) + 0.06 for key in labels] for i, axis in enumerate("xy")}
    )
    _write(folder / "ST-pat" / "lbl" / f"{name}_labeled_coordinates.tsv", frame.to_csv(sep="\t", index=False))


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode())


def hest(folder: Path) -> Path:
    facts = {
        "patient": "Patient 1",
        "dataset_title": "A study",
        "st_technology": "Visium",
        "spot_diameter": 55.0,
        "inter_spot_dist": 100.0,
        "pixel_size_um_estimated": 0.5,
    }
    for i, name in enumerate(("TENX1", "TENX2")):
        adata = anndata.AnnData(
            X=sparse.csr_matrix(counts(36, i).astype(np.float32)),
            obs=pd.DataFrame(index=[f"bc{j}" for j in range(36)]),
            var=pd.DataFrame(index=["BLANK_0001", *GENES[1:]]),
        )
        adata.obsm["spatial"] = lattice(6, 200.0)
        (folder / "st").mkdir(parents=True, exist_ok=True)
        adata.write_h5ad(folder / "st" / f"{name}.h5ad")
        placeholder(folder / "wsis" / f"{name}.tif")
        (folder / "metadata").mkdir(exist_ok=True)
        (folder / "metadata" / f"{name}.json").write_text(json.dumps(facts))
    return folder


def hest_bench(folder: Path, names: tuple[str, ...] = ("INT1", "INT2", "INT3")) -> Path:
    """Patches of 448 px (0.25 µm/px) in an order of their own, two spots without a patch."""
    for part in ("splits", "adata", "patches"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        adata = anndata.AnnData(
            X=counts(36, i).astype(np.float32),
            obs=pd.DataFrame(index=[f"bc{j}" for j in range(36)]),
            var=pd.DataFrame(index=list(GENES)),
        )
        adata.obsm["spatial"] = lattice(6, 400.0)
        adata.write_h5ad(folder / "adata" / f"{name}.h5ad")
        order = np.random.default_rng(i).permutation(36)[:34]
        with h5py.File(folder / "patches" / f"{name}.h5", "w") as file:
            img = file.create_dataset("img", shape=(34, 224, 224, 3), dtype=np.uint8, compression="gzip")
            img.attrs["patch_size"], img.attrs["downsample"] = 448, 2.0
            file["coords"] = adata.obsm["spatial"][order][:, ::-1].astype(int)  # axes exchanged, as in the release
            file["barcode"] = np.array([[f"bc{j}".encode()] for j in order])
    for i, held in enumerate(names):
        for side, chosen in (("train", [n for n in names if n != held]), ("test", [held])):
            rows = {"sample_id": chosen, "patches_path": [f"patches/{n}.h5" for n in chosen]}
            rows["expr_path"] = [f"adata/{n}.h5ad" for n in chosen]
            pd.DataFrame(rows).to_csv(folder / "splits" / f"{side}_{i}.csv")
    (folder / "var_50genes.json").write_text(json.dumps({"genes": list(GENES[:5])}))
    return folder


def stimage(folder: Path) -> Path:
    """ST slides with a radius of 54 px (100 µm wide), a Visium slide; one position without counts, one row too many."""
    for technology, name, radius in (("ST", "S1", 54.0), ("Visium", "V1", 110.0)):
        ids = [f"{name}_{j}" for j in range(36)]
        step = radius * (4 if technology == "ST" else 2 * 100 / 55)
        xy = lattice(6, step) + 0.25
        places = pd.DataFrame({"yaxis": xy[:, 1], "xaxis": xy[:, 0], "r": radius}, index=ids)
        table = pd.DataFrame(counts(36, len(technology)), index=[*ids[1:], "stray"], columns=list(GENES))
        table = table.astype(float) if technology == "Visium" else table  # printed as 3.0
        _write(folder / technology / "coord" / f"{name}_coord.csv", places.to_csv())
        _write(folder / technology / "gene_exp" / f"{name}_count.csv", table.to_csv())
        placeholder(folder / technology / "image" / f"{name}.png")
    meta = pd.DataFrame({"slide": ["S1", "V1"], "species": "human", "tech": ["ST", "Visium"], "pmid": "1"})
    _write(folder / "meta" / "meta_all_gene.csv", meta.to_csv(index=False))
    return folder


def spatialdata(folder: Path) -> Path:
    """A section with its image inside, which is reduced four times."""
    from spatialdata import SpatialData
    from spatialdata.models import Image2DModel, ShapesModel, TableModel
    from spatialdata.transformations import Identity, Scale

    ids = [f"bc{j}" for j in range(36)]
    circles = ShapesModel.parse(
        lattice(6, 400.0), geometry=0, radius=110.0, index=pd.Index(ids), transformations={"global": Identity()}
    )
    adata = anndata.AnnData(
        X=sparse.csr_matrix(counts(36, 5).astype(np.float32)),
        obs=pd.DataFrame({"region": pd.Categorical(["circles"] * 36), "id": ids, "patient": "P3"}, index=ids),
        var=pd.DataFrame(index=list(GENES)),
    )
    order = np.random.default_rng(0).permutation(36)
    table = TableModel.parse(adata[order].copy(), region="circles", region_key="region", instance_key="id")
    pixels = np.random.default_rng(1).integers(0, 255, (3, 300, 400), dtype=np.uint8)
    scale = {"global": Scale([10.0, 10.0], axes=("x", "y"))}
    image = Image2DModel.parse(pixels, dims=("c", "y", "x"), transformations=scale)
    sdata = SpatialData(images={"he": image}, shapes={"circles": circles}, tables={"table": table})
    sdata.attrs["slide_properties"] = {"mpp": 0.25}
    folder.parent.mkdir(parents=True, exist_ok=True)
    sdata.write(folder.with_suffix(".zarr"))
    return folder.with_suffix(".zarr")


LAYOUTS = {
    "eosin": native,
    "h5ad": single,
    "legacy-st": legacy_st,
    "hest": hest,
    "hest-bench": hest_bench,
    "stimage": stimage,
    "spatialdata": spatialdata,
}
LAYOUTS |= LAYOUTS_10X
