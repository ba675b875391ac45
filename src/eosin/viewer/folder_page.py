"""A scene as a folder that opens in a browser without a server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.slide.jpeg import jpeg
from eosin.storage.files import atomic_folder
from eosin.viewer.gene_vectors import pack, unpack
from eosin.viewer.page_files import SCRIPTS, page_file, page_html
from eosin.viewer.scene import Scene

_PICTURE_PX, _SMALLEST_PX = 4096, 512
_MARK = "eosin-view.json"
_MOST_BYTES = 2_000_000_000
_LEAST_BYTES = 1 << 18


def write_folder(scene: Scene, out: str | Path) -> Path:
    """Write `index.html` with all that it needs; a browser opens it from the disk.

    The slide is one picture of at most 4,096 pixels; data are scripts, as browsers read no other files from the disk.

    Returns
    -------
    Path
        The `index.html`.

    Raises
    ------
    EosinError
        The folder holds something else, the disk is full, or the genes would take more than 2 GB.
    """
    out = Path(out)
    _need_ours(out)
    n_vectors = len(scene.sources) * len(scene.prediction.panel)
    n_bytes = n_vectors * len(scene.prediction.spots) * 2
    if n_bytes > _MOST_BYTES:
        problem = f"{n_vectors:,} maps of {len(scene.prediction.spots):,} spots would take {n_bytes / 1e9:.1f} GB"
        raise EosinError(problem, file=out, fix="view it without --export, or export a prediction of fewer genes")
    with atomic_folder(out) as partial:
        for folder in ("static", "data"):
            (partial / folder).mkdir()
        for name in (*SCRIPTS, "page.css", "start.js", "openseadragon.LICENSE.txt"):
            (partial / "static" / name).write_text(page_file(name) or "", encoding="utf-8")
        per_script = max(1, _LEAST_BYTES // (2 * len(scene.prediction.spots)))
        for script, lines in groupby(_messages(scene, per_script), lambda one: _script_of(one[0], per_script)):
            with open(partial / script, "w", encoding="ascii") as file:
                file.writelines(_line(name, message) for name, message in lines)
        first = tuple(_script_of(name, per_script) for name in ("scene", "spots"))
        (partial / "index.html").write_text(page_html(first), encoding="utf-8")
        (partial / _MARK).write_text(json.dumps({"kind": "view", "section": scene.prediction.section}))
    return out / "index.html"


def _need_ours(out: Path) -> None:
    """Refuse to replace a folder that another tool, or the user, filled."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise EosinError("is not a folder", file=out, fix="choose another --export")
    if out.is_dir() and any(out.iterdir()) and not (out / _MARK).is_file():
        raise EosinError("holds other files", file=out, fix="choose a new folder for --export")


def _messages(scene: Scene, per_script: int) -> Iterator[tuple[str, bytes]]:
    for name in scene.names():
        message = scene.answer(name)
        if message is None:
            continue
        yield name, _of_folder(scene, message, per_script) if name == "scene" else message


def _of_folder(scene: Scene, message: bytes, per_script: int) -> bytes:
    """The facts of the scene, without draws, with its slide as data: a page from the disk saves no other pictures."""
    facts, _ = unpack(message)
    facts |= {"n_draws": None, "genes_per_script": per_script}
    if scene.pyramid is not None and facts["slide"] is not None:
        facts["slide"]["pictures"] = [_picture(pixels) for pixels in _halves(scene.pyramid.picture(_PICTURE_PX))]
    return pack(facts, {})


def _halves(pixels: np.ndarray) -> list[np.ndarray]:
    """A picture [h w 3] and smaller ones, each half as large as the next, smallest first."""
    from PIL import Image as Picture

    pictures = [pixels]
    while max(pictures[0].shape[:2]) > _SMALLEST_PX:
        height, width = pictures[0].shape[:2]
        half = Picture.fromarray(pictures[0]).resize((max(1, width // 2), max(1, height // 2)), Picture.Resampling.BOX)
        pictures.insert(0, np.asarray(half))
    return pictures


def _picture(pixels: np.ndarray) -> dict[str, Any]:
    data = "data:image/jpeg;base64," + base64.b64encode(jpeg(pixels)).decode()
    return {"url": data, "width": pixels.shape[1], "height": pixels.shape[0]}


def _script_of(name: str, per_script: int) -> str:
    """The script of a message: small genes come several in one, since a file each is slow to write and to copy."""
    kind, _, place = name.partition("/")
    if kind == "gene":
        source, _, column = place.partition("/")
        return f"data/gene_{source}_{int(column) // per_script}.js"
    return f"data/{name.replace('/', '_')}.js"


def _line(name: str, message: bytes) -> str:
    return f'eosin.receive("{name}", "{base64.b64encode(message).decode()}");\n'
