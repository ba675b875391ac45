"""The verbs of the main job, with the names of the command line: read, encode, train, predict; from files to files.

Each takes paths or records and returns records; `eosin.train`, `eosin.predict`, ... are these. The verbs that compare
are in `comparing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from eosin import data as door
from eosin import engine
from eosin.api.inputs import (
    CACHE,
    Data,
    Settings,
    is_bare_image,
    need_commercial_encoder,
    need_no_layout,
    need_reading,
    open_target,
    section_of_image,
    sections_of,
    shows_turned,
    with_features,
)
from eosin.config import read_toml
from eosin.data import Reading
from eosin.encoders import Encoder, get_encoder
from eosin.encoders.parts.field_of_view import with_tile
from eosin.engine import Trained
from eosin.errors import EosinError
from eosin.features import attach, need_commercial
from eosin.features import encode as encode_section
from eosin.features.feature_section import is_feature_file, section_of_features
from eosin.genes import choose_panel
from eosin.slide import Lattice, Tissue, find_tissue, layout_of, open_slide, write_tissue
from eosin.types import Prediction, Section


def read(
    path: str | Path,
    *,
    sections: Sequence[str] | None = None,
    reader: str | None = None,
    mpp: float | None = None,
    features: str | Path | None = None,
    encoder: str = "stain",
    symmetries: bool = False,
    **how: Unpack[Reading],
) -> list[Section]:
    """Read measured sections; with `features`, also what `encode` wrote for them.

    Parameters
    ----------
    path
        A data folder or file in a layout that a reader knows (`eosin list readers`).
    sections
        Names of the sections to read; all by default.
    mpp
        µm per pixel of the images, for files that do not say it.
    features
        Folder of feature files; a section without one stays without features.
    symmetries
        Also take the features of turned tiles, where they are there: eight times the memory, for `train.augment`.
    bin_um, gene_names, gene_table, duplicates
        Pseudo-spots of this width (Visium HD, Xenium); genes called by `symbol` or `ensembl`, as the files tell or by
        this table; columns of one gene: `sum` or `refuse`. All verbs that read take them.
    """
    found = door.read(path, reader=reader, sections=sections, mpp=mpp, **how)
    if features is None:
        return found
    name = get_encoder(encoder).spec
    return [attach(section, Path(features), name, turned=symmetries) or section for section in found]


def encode(
    data: Data,
    *,
    out: str | Path | None = None,
    encoder: str | Encoder = "stain",
    tile_um: float | Sequence[float] | None = None,
    sections: Sequence[str] | None = None,
    reader: str | None = None,
    mpp: float | None = None,
    symmetries: bool = False,
    device: str = "auto",
    precision: str | None = None,
    commercial_only: bool = False,
    lattice: str | Lattice = "square",
    pitch_um: float = 100.0,
    spot_um: float | None = None,
    points: str | Path | None = None,
    tissue: str | Path | None = None,
    keep: bool = True,
    **how: Unpack[Reading],
) -> list[Section]:
    """Encode every section's spots, or those laid on a bare image, one feature file each; what is done is skipped.

    Parameters
    ----------
    out
        The folder of feature files; `eosin-cache` by default.
    tile_um
        The encoder's field of view, µm, or several; its own by default. It is no matter of how wide a spot is.
    symmetries
        Also encode every tile under seven flips and quarter turns, for training with `augment`; files without them
        are completed.
    device
        `auto` (all GPUs, for an encoder with weights), or names by commas.
    precision
        The encoder's setting of that name.
    commercial_only
        Refuse an encoder whose licence does not allow commercial use.
    lattice, pitch_um, spot_um, points, tissue
        Where the spots of a bare image are, as in `predict`.
    keep
        Return the sections with their features. Without, memory holds those of one section at a time.
    """
    machine = get_encoder(with_tile(encoder, tile_um), **({} if precision is None else {"precision": precision}))
    if commercial_only:
        need_commercial_encoder(machine)
    folder = Path(out) if out is not None else CACHE
    need_reading(how)
    layout = layout_of(lattice, pitch_um, spot_um, points, tissue)
    if isinstance(data, str | Path) and is_bare_image(data, reader):
        found = [section_of_image(data, layout, mpp=mpp)]
    else:
        if isinstance(data, str | Path):
            need_no_layout(layout, Path(data))
        found = sections_of(data, sections, reader, mpp, **how)
    done = (encode_section(one, machine, cache=folder, symmetries=symmetries, device=device) for one in found)
    return [one if keep else replace(one, features=None) for one in done]


def train(
    data: Data,
    *,
    features: str | Path | None = None,
    encoder: str | Encoder = "stain",
    tile_um: float | Sequence[float] | None = None,
    model: str = "stflow",
    genes: str = "var:50",
    transform: str = "log1p",
    settings: Settings | str | Path | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    commercial_only: bool = False,
    sections: Sequence[str] | None = None,
    reader: str | None = None,
    mpp: float | None = None,
    **how: Unpack[Reading],
) -> Trained:
    """Train a model on measured sections; what is not encoded yet is encoded first, into a cache folder.

    Parameters
    ----------
    data
        A data folder, or sections that were read.
    encoder, tile_um
        As for `encode`. The model remembers both, and `predict` encodes alike.
    model
        A name with an optional preset, as `stflow`, `stflow:paper`, `ridge`.
    genes
        How the panel is chosen on these sections: `var:50`, `hvg:50`, `hmhvg:200`, a file, or names by commas.
    settings
        Tables `model` and `train`, or a TOML file that has them.
    out
        Checkpoint folder, written every epoch; `resume` continues the run that lies there.
    commercial_only
        Refuse features whose licence does not allow commercial use, or is not known.
    """
    tables = read_toml(settings) if isinstance(settings, str | Path) else settings
    turned = shows_turned(model, tables)  # refuses an unknown setting before the images are encoded
    if features is not None and not Path(features).is_dir():
        raise EosinError("no such folder of features", file=features, fix="run eosin encode first, or leave it out")
    measured = sections_of(data, sections, reader, mpp, **how)
    panel = choose_panel(genes, measured, transform=transform)  # likewise a panel that cannot be had
    wide = with_tile(encoder, tile_um)
    ready = with_features(measured, wide, features, symmetries=turned, commercial_only=commercial_only)
    return engine.train(ready, model=model, settings=tables, panel=panel, seed=seed, out=out, resume=resume)


def predict(
    model: Trained | str | Path,
    target: Section | str | Path,
    *,
    draws: int = 16,
    seed: int = 0,
    section: str | None = None,
    features: str | Path | None = None,
    lattice: str | Lattice = "square",
    pitch_um: float = 100.0,
    spot_um: float | None = None,
    points: str | Path | None = None,
    tissue: str | Path | None = None,
    reader: str | None = None,
    mpp: float | None = None,
    commercial_only: bool = False,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    **how: Unpack[Reading],
) -> Prediction:
    """Predict the expression of a section; none is needed, and none is looked at.

    Parameters
    ----------
    model
        A trained model or its checkpoint folder.
    target
        A section; a data folder (with `section` where it holds several); a bare image, on whose tissue a
        lattice of spots is laid; or a feature file of TRIDENT or CLAM, whose tiles are the spots.
    lattice, pitch_um, spot_um
        Of a bare image: `square` or `hexagonal`, distance of its spots, and their width (by default the distance).
    points
        Of a bare image: a table (`x`, `y` in pixels or `x_um`, `y_um`; `id`) or GeoJSON of positions, for a lattice.
    tissue
        Of a bare image: GeoJSON mask, for the tissue that is found.
    commercial_only
        Refuse a model, or features, whose licence does not allow commercial use, or is not known.
    settings
        Other settings of how draws are made, as `{"n_steps": 10}`; those that what was learned depends on are refused.
    out
        Where to write the prediction as `.h5ad`.
    """
    need_reading(how)
    layout = layout_of(lattice, pitch_um, spot_um, points, tissue)
    trained = model if isinstance(model, Trained) else engine.load(model)
    if settings:
        trained = engine.with_settings(trained, settings)
    if commercial_only:
        need_commercial(f"model '{trained.name}'", trained.licence, commercial=trained.commercial)
    if isinstance(target, Section):
        one = target
    elif reader is None and is_feature_file(target):
        one = section_of_features(target, trained.encoder, mpp=mpp)
    else:
        one = open_target(target, section, layout, reader, mpp, **how)
    (one,) = with_features([one], trained.encoder, features, commercial_only=commercial_only)
    prediction = engine.predict(trained, one, draws=draws, seed=seed)
    if out is not None:
        save_prediction(prediction, out)
    return prediction


def tissue(path: str | Path, *, out: str | Path | None = None, mpp: float | None = None) -> Tissue:
    """Find the tissue of an image; with `out`, write its outlines as GeoJSON for QuPath, and for `predict`."""
    if out is not None and Path(out).suffix.lower() not in (".geojson", ".json"):
        raise EosinError("outlines are written as GeoJSON", file=out, fix="call it .geojson, so that others know it")
    with open_slide(path, mpp=mpp) as slide:
        found = find_tissue(slide)
        if not found.mask.any():
            raise EosinError("no tissue was found", file=path, fix="check the image, or draw a mask in QuPath")
        if out is not None:
            write_tissue(out, found, slide.mpp)
    return found


def save_prediction(prediction: Prediction, path: str | Path) -> None:
    """Write a prediction as `.h5ad` with its draws and, where the image is there, its thumbnails."""
    small = None
    if prediction.image is not None and prediction.image.path.is_file():
        with open_slide(prediction.image.path, mpp=prediction.image.mpp) as slide:
            (hires, fine), (lowres, coarse) = slide.thumbnail(1200), slide.thumbnail(400)
        small = door.Thumbnails(hires, lowres, fine, coarse)
    door.write_prediction(prediction, path, draws=True, thumbnails=small)
