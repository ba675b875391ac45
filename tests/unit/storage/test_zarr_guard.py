"""Stores of zarr format 2, hostile or incomplete: one line each, before anything is allocated or followed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eosin.data import read
from eosin.errors import EosinError
from unit.data.layouts import GENES, spatialdata

sd = pytest.importorskip("spatialdata")
pytestmark = pytest.mark.filterwarnings("ignore")
DATA, NAMES = "tables/table/X/data", "tables/table/obs/_index"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from spatialdata._io.format import SpatialDataContainerFormatV01

    root = tmp_path_factory.mktemp("zarr2")
    sdata = sd.read_zarr(spatialdata(root / "slide1"))
    sdata.write(root / "two.zarr", sdata_formats=SpatialDataContainerFormatV01())
    return root / "two.zarr"


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "two.zarr"))


def array(store: Path, name: str) -> str:
    """The array of that name: newer anndata writes names as a group, of text and mask."""
    return name if (store / name / ".zarray").is_file() else f"{name}/values"


def say(store: Path, name: str, *, at_root: bool, **facts: Any) -> None:
    """Change what an array says of itself: at the root (`.zmetadata`), or beside it only."""
    name = array(store, name)
    file = store / name / ".zarray"
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))
    gathered = store / ".zmetadata"
    whole = json.loads(gathered.read_text())
    if at_root:
        whole["metadata"][f"{name}/.zarray"] |= facts
        gathered.write_text(json.dumps(whole))


def pieces(store: Path, name: str) -> list[Path]:
    return [
        file for file in (store / array(store, name)).rglob("*") if file.is_file() and not file.name.startswith(".")
    ]


def test_a_sound_store_is_read(store: Path) -> None:
    assert (store / ".zmetadata").is_file() and not list(store.rglob("zarr.json"))
    assert read(store)[0].genes == GENES
    (store / ".zmetadata").unlink()
    assert read(store)[0].genes == GENES


@pytest.mark.parametrize("at_root", [True, False])
@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"shape": [10**12], "chunks": [10**9]}, "declares .* GB and holds"),
        ({"chunks": [10**10]}, "declares .* GB and holds"),  # one piece is made whole
        ({"shape": [10**12], "chunks": [1]}, "declares 1000000000000 pieces that are not there"),
        ({"shape": [3 * 10**6], "chunks": [1]}, "declares 3000000 pieces that are not there"),  # small, and hours
        ({"shape": [-5]}, "not readable as SpatialData"),
        (
            {"chunks": [0]},
            "(pieces of an impossible shape|lacks .* pieces)",
        ),  # newer zarr takes 0 for 1
        ({"dimension_separator": "/../../"}, "not readable as SpatialData"),
    ],
)
@pytest.mark.parametrize("name", [DATA, NAMES])
def test_absurd_shapes(store: Path, name: str, facts: dict, said: str, *, at_root: bool) -> None:
    say(store, name, at_root=at_root, **facts)
    begun = time.monotonic()
    with pytest.raises(EosinError, match=rf"two\.zarr: .*{said}"):
        read(store)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("at_root", [True, False])
def test_pickles_are_not_opened(store: Path, *, at_root: bool) -> None:
    say(store, NAMES, at_root=at_root, filters=[{"id": "vlen-utf8"}, {"id": "pickle", "protocol": 5}], compressor=None)
    with pytest.raises(EosinError, match=f"'{array(store, NAMES)}' is a pickle"):
        read(store)


def _outside(store: Path) -> None:
    (elsewhere := store.parent / "elsewhere").write_bytes(b"secret")
    (piece := pieces(store, DATA)[0]).unlink()
    piece.symlink_to(elsewhere)


def _loop(store: Path) -> None:
    (store / "tables" / "again").symlink_to(store / "tables")


@pytest.mark.parametrize("link", [_outside, _loop])
def test_links_are_not_followed(store: Path, link: Callable[[Path], None]) -> None:
    link(store)
    with pytest.raises(EosinError, match=r"two\.zarr: 'tables/.*' is a link; copy what it points to"):
        read(store)


def test_a_name_that_climbs_is_refused(store: Path) -> None:
    whole = json.loads((store / ".zmetadata").read_text())
    whole["metadata"][f"../../{DATA}/.zarray"] = whole["metadata"].pop(f"{DATA}/.zarray")
    (store / ".zmetadata").write_text(json.dumps(whole))
    with pytest.raises(EosinError, match=r"two\.zarr: "):
        read(store)


@pytest.mark.parametrize("name", [DATA, "tables/table/X/indices", NAMES, "tables/table/var/_index"])
def test_a_missing_piece_is_not_read_as_zeros(store: Path, name: str) -> None:
    pieces(store, name)[0].unlink()
    with pytest.raises(EosinError, match=f"'{array(store, name)}' lacks 1 of its 1 pieces; the store is incomplete"):
        read(store)


def test_missing_row_ends_are_not_read_as_empty_rows(store: Path) -> None:
    pieces(store, "tables/table/X/indptr")[0].unlink()
    with pytest.raises(EosinError, match="'tables/table/X/indptr' has no pieces"):
        read(store)


@pytest.mark.parametrize("name", [DATA, NAMES, "tables/table/X/indptr"])
def test_truncated_pieces(store: Path, name: str) -> None:
    for piece in pieces(store, name):
        piece.write_bytes(piece.read_bytes()[: piece.stat().st_size // 2])
    with pytest.raises(EosinError, match="not readable as SpatialData"):
        read(store)


@pytest.mark.parametrize("file", [".zmetadata", ".zattrs", ".zgroup"])
@pytest.mark.parametrize("text", ["[" * 100_000, "{", '{"metadata": []}', '{"zarr_format": 9}'])
def test_broken_facts(store: Path, file: str, text: str) -> None:
    (store / file).write_text(text)
    try:
        read(store)
    except EosinError as error:
        assert "two.zarr" in str(error) and "\n" not in str(error)
