"""Reader of SpatialData stores (`.zarr`): a table of counts, the shapes it annotates, and their image.

Positions are brought through the store's coordinate systems into pixels of the image. Stores that keep their slide
beside them, as wsidata's do, are read with that slide.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.config import need_known
from eosin.data.array_map import SAME
from eosin.data.footprint_table import footprints_of_shapes
from eosin.data.foreign import counts_of, domains_of, on_tissue, patient_of
from eosin.data.h5ad import our_record
from eosin.data.reader import READERS, Reader
from eosin.data.section_parts import SectionParts, find_image, left_out
from eosin.data.spatialdata_image import MICRONS, Alignment, align, rgb_image, write_image
from eosin.data.uns_spatial import stated_scale
from eosin.errors import EosinError
from eosin.slide import is_slide
from eosin.storage.zarr_guard import check_zarr, is_zarr_group
from eosin.types import Image, Section, check_mpp

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True)
class _Place:
    """One section within a store: a table, and one of the regions that it annotates."""

    store: Path
    table: str
    region: str


class SpatialDataReader(Reader):
    """One `.zarr` store of SpatialData, or a folder of them."""

    name = "spatialdata"
    platform = "various"
    looks_for = "a .zarr store with tables/ and shapes/, or a folder of such"

    def recognise(self, path: Path) -> str | None:
        """The number of stores, none of which is opened."""
        n_stores = len(_stores(path))
        return f"{n_stores} SpatialData stores with tables/ and shapes/" if n_stores else None

    def names(self, path: Path) -> list[str]:
        """A section per region that a table annotates."""
        return list(_places(path))

    def read_section(self, path: Path, name: str, *, mpp: float | None = None) -> Section:
        """One region of a store, in pixels of its image brought to µm."""
        places = _places(path, name)
        if name not in places:
            need_known(name, _places(path), "section", file=path)
        place = places[name]
        with _readable(place.store):
            sdata = open_store(place.store)
            return _parts(sdata, place, name, mpp).section(self.naming)


def open_store(path: Path) -> Any:
    """A store as `SpatialData`, checked by `check_zarr`."""
    spatialdata = need_spatialdata(path)
    check_zarr(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats and names; what matters is checked
        return spatialdata.read_zarr(path)


def need_spatialdata(path: str | Path) -> Any:
    """The package `spatialdata`, which is an extra."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import spatialdata
    except ImportError as error:
        fix = "pip install 'eosin[scverse]'"
        raise EosinError(f"SpatialData needs the package spatialdata ({error})", file=path, fix=fix) from error
    return spatialdata


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what the libraries raise on a damaged store, which is nearly anything, into one line."""
    try:
        yield
    except EosinError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        fix = "the store is incomplete or damaged; write or download it again"
        raise EosinError(f"not readable as SpatialData ({reason})", file=path, fix=fix) from error


def _is_store(path: Path) -> bool:
    return is_zarr_group(path) and (path / "tables").is_dir() and (path / "shapes").is_dir()


def _stores(path: Path) -> list[Path]:
    return [path] if _is_store(path) else sorted(store for store in path.glob("*.zarr") if _is_store(store))


def _places(path: Path, name: str | None = None) -> dict[str, _Place]:
    """The sections of all stores: named as the store where it has one, else as store and region.

    With a `name`, only stores that may hold it are opened: it begins with theirs.
    """
    sections = {}
    for store in _stores(path):
        stem = store.resolve().name.removesuffix(".zarr")
        if name is not None and name != stem and not name.startswith(f"{stem}-"):
            continue
        with _readable(store):
            places = _places_of(store)
        regions = [place.region for place in places]
        for place in places:
            ending = [place.region] if regions.count(place.region) == 1 else [place.table, place.region]
            sections["-".join([stem, *ending] if len(places) > 1 else [stem])] = place
    return sections


def _places_of(store: Path) -> list[_Place]:
    """Tables that annotate shapes and are no prediction; only their attributes are read."""
    import zarr
    from anndata.io import read_elem

    need_spatialdata(store)
    check_zarr(store)
    tables, places = zarr.open_group(store / "tables", mode="r"), []
    for table in sorted(tables.group_keys()):
        if f"{table}/uns/spatialdata_attrs" not in tables:
            continue
        group: Any = tables[table]
        record = read_elem(group["uns/eosin"]) if "uns/eosin" in group else {}
        if isinstance(record, dict) and record.get("kind") == "prediction":
            continue
        regions = np.atleast_1d(read_elem(group["uns/spatialdata_attrs"])["region"])
        places += [_Place(store, table, region) for region in map(str, regions) if (store / "shapes" / region).is_dir()]
    return places


def _parts(sdata: Any, place: _Place, name: str, mpp: float | None) -> SectionParts:
    """What the store says of one section: spots in µm, counts, image, patient."""
    store = place.store
    adata, shapes, notes = _matched(sdata, place)
    record = our_record(adata, store)
    image = rgb_image(sdata)
    alignment = align(sdata.shapes[place.region], None if image is None else sdata[image])
    unit_um, scale_notes = _um_per_unit(mpp, record, sdata, alignment, store)
    notes += scale_notes
    scale = check_mpp(unit_um * alignment.units_per_px, store)
    xy, width = _circles(shapes, store)
    to_px = alignment.to_px
    xy_px = xy @ to_px[:2, :2].T + to_px[:2, 2]
    width_px = width * math.sqrt(abs(float(np.linalg.det(to_px[:2, :2]))))
    reduced = alignment.units_per_px / alignment.units_per_slide_px
    if not math.isclose(reduced, 1):
        notes.append(f"the image is reduced {reduced:.3g} times: {scale:.3g} µm/px")
    counts, genes, count_notes = counts_of(adata, store)
    file, image_notes = _image_file(sdata, image, place, record)
    patient, patient_notes = (str(record["patient"]), []) if "patient" in record else patient_of(adata, name)
    return SectionParts(
        store,
        str(record["name"]) if len(_places_of(store)) == 1 and "name" in record else name,
        xy_px * scale,
        float(width_px * scale),
        adata.obs_names,
        counts,
        genes,
        patient=patient,
        image=file and Image(file, scale),
        domains=domains_of(adata),
        platform=str(record.get("platform", "unknown")),
        notes=[*notes, *count_notes, *patient_notes, *image_notes],
        footprints=footprints_of_shapes(adata, shapes, to_px[:2] * scale),
    )


def _matched(sdata: Any, place: _Place) -> tuple[AnnData, Any, list[str]]:
    """The table's rows of the region that have a shape, those shapes in their order, and a note on the others."""
    table, shapes = sdata.tables[place.table], sdata.shapes[place.region]
    facts = table.uns["spatialdata_attrs"]
    rows = np.flatnonzero(np.asarray(table.obs[facts["region_key"]].astype(str)) == place.region)
    if not shapes.index.is_unique:
        raise EosinError(f"names of shapes '{place.region}' repeat", file=place.store)
    at = shapes.index.get_indexer(table.obs[facts["instance_key"]].iloc[rows].to_numpy())
    kept = at >= 0
    if not kept.any():
        fix = f"its column '{facts['instance_key']}' must name rows of the shapes"
        raise EosinError(f"table '{place.table}' names no shape of '{place.region}'", file=place.store, fix=fix)
    notes = left_out(int((~kept).sum()), len(rows), "rows of the table have no shape")
    adata, tissue_notes = on_tissue(table[rows[kept]].copy())
    at = shapes.index.get_indexer(adata.obs[facts["instance_key"]].to_numpy())
    return adata, shapes.iloc[at], [*notes, *tissue_notes]


def _circles(shapes: Any, store: Path) -> tuple[np.ndarray, float]:
    """Centres [s 2] and the usual width of circles or polygons, in the shapes' own unit."""
    kinds = set(shapes.geometry.geom_type)
    if kinds == {"Point"} and "radius" in shapes:
        xy = np.stack([shapes.geometry.x, shapes.geometry.y], 1)
        return xy.astype(np.float64), 2 * float(np.median(shapes["radius"]))
    if kinds <= {"Polygon", "MultiPolygon"}:
        centres = shapes.geometry.centroid
        return np.stack([centres.x, centres.y], 1), math.sqrt(float(np.median(shapes.geometry.area)))
    raise EosinError(f"shapes are {' and '.join(sorted(map(str, kinds)))}", file=store, fix="give circles or polygons")


def _um_per_unit(
    mpp: float | None, record: dict[str, Any], sdata: Any, alignment: Alignment, store: Path
) -> tuple[float, list[str]]:
    """µm per unit of the system, and a note where two that are told differ.

    From a pixel's width as given or as eosin or wsidata wrote it, or a system in µm.
    """
    slide = sdata.attrs.get("slide_properties")
    stored = stated_scale(slide, store, " of slide_properties") if isinstance(slide, dict) else None
    ours = 1.0 if record.get("spatial_unit") == "um" else stated_scale(record, store, " of uns['eosin']")
    by_system = None if alignment.um_per_unit is None else alignment.um_per_unit * alignment.units_per_slide_px
    named = {"--mpp": mpp, "uns['eosin']": ours, "slide_properties": stored, "the system in µm": by_system}
    told = {where: value for where, value in named.items() if value is not None and not isinstance(value, bool)}
    if told:
        (first, value), *others = told.items()
        scale = value if first == "the system in µm" else check_mpp(value, store)
        differ = [f"{where} {other:.4g}" for where, other in others if abs(other / scale - 1) > SAME]
        notes = [f"{first} says {scale:.4g} µm per pixel of the slide, {', '.join(differ)}"] if differ else []
        return scale / alignment.units_per_slide_px, notes
    whose = "a pixel of the full-resolution slide" if alignment.system != "global" else "a unit of 'global'"
    fix = f"give --mpp, the µm of {whose}; or a coordinate system called {MICRONS[0]}"
    raise EosinError("does not say the scale of its shapes", file=store, fix=fix)


def _image_file(sdata: Any, image: str | None, place: _Place, record: dict[str, Any]) -> tuple[Path | None, list[str]]:
    """The slide as a file: the one that eosin noted, the one beside the store, or the store's image written out."""
    if image is None:
        stem = place.store.resolve().parent / place.store.resolve().name.removesuffix(".zarr")
        noted = Path(str(record["image"])) if "image" in record else None
        file = noted if noted is not None and is_slide(noted) else find_image([stem])
        return file, [] if file else ["the store holds no RGB image, and no slide of its name lies beside it"]
    try:
        file = write_image(sdata[image], image, place.store)
    except EosinError as error:  # a folder that cannot be written; counts and positions are there all the same
        return None, [f"image '{image}' could not be copied out of the store ({error})"]
    return file, [f"image '{image}' was copied out of the store to {file}"]


READERS.add(SpatialDataReader.name, SpatialDataReader())
