"""`eosin info FEATURES.h5` says what the file is, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from eosin.api.info import info
from eosin.features import write_features
from eosin.features.feature_facts import holds_features

N = 5
VALUES = np.arange(N * 3, dtype=np.float32).reshape(N, 3)


def ours(path: Path, **tables: np.ndarray) -> Path:
    about = {"mpp": 0.5, "tile_um": 112.0, "patch_size": 224, "patch_size_level0": 224, "level0_width": 9}
    about |= {"level0_height": 9, "encoder": "toy?px=3", "encoder_key": "toy;1", "views": "112um/224px"}
    about |= {"licence": "CC-BY-NC", "commercial": False}
    write_features(path, [f"s{i}" for i in range(N)], np.full((N, 2), 500.0), VALUES, about, **tables)
    return path


def theirs(path: Path, attrs: dict[str, object], **tables: object) -> Path:
    with h5py.File(path, "w") as file:
        for name, table in tables.items():
            file[name] = table
        file["coords"] = np.zeros((N, 2), int)
        file["coords"].attrs.update(attrs)
    return path


def test_of_eosin(tmp_path: Path) -> None:
    marks = np.array([True, False, True, True, True])
    told = info(ours(tmp_path / "A1.h5", turned=np.repeat(VALUES[:, None], 7, 1), readable=marks))
    assert (told["kind"], told["written_by"], told["encoder"], told["key"]) == (
        "features",
        "eosin",
        "toy?px=3",
        "toy;1",
    )
    assert (told["spots"], told["features"], told["turned"], told["unreadable"]) == (N, 3, 7, 1)
    assert (told["tile_um"], told["mpp"], told["windows"]) == (112.0, 0.5, "112um/224px")
    assert (told["licence"], told["commercial"]) == ("CC-BY-NC", False)
    assert info(ours(tmp_path / "B.h5"))["turned"] == 0


TRIDENT = {"patch_size": 224, "patch_size_level0": 448, "target_magnification": 20, "level0_magnification": 40}
CLAM = {"patch_size": 256, "patch_level": 1, "downsample": np.array([4.0, 4.0])}


@pytest.mark.parametrize(
    ("attrs", "tool", "width_px"), [(TRIDENT, "TRIDENT", 448.0), (CLAM, "CLAM", 1024.0)], ids=["trident", "clam"]
)
def test_of_other_tools(attrs: dict[str, object], tool: str, width_px: float, tmp_path: Path) -> None:
    path = theirs(tmp_path / "A1.h5", attrs, features=VALUES[None])
    told = info(path)
    assert (told["written_by"], told["spots"], told["features"], told["spot_names"]) == (tool, N, 3, False)
    assert told["tile_px_level0"] == width_px and told["tile_um"] is None and told["mpp"] is None
    assert "does not say" in told["encoder"] and (told["licence"], told["commercial"]) == ("unknown", False)
    assert info(path, mpp=0.25)["tile_um"] == width_px / 4


def test_of_the_hest_benchmark(tmp_path: Path) -> None:
    path = theirs(tmp_path / "A1.h5", {}, embeddings=VALUES, barcodes=np.array([b"a", b"b", b"c", b"d", b"e"]))
    assert "HEST" in info(path)["written_by"] and info(path)["spot_names"]


def test_other_hdf5_is_not_taken_for_features(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "counts.h5", "w") as file:
        file["matrix/data"] = np.zeros(3)
    (tmp_path / "text.h5").write_text("features, coords")
    assert not holds_features(tmp_path / "counts.h5") and not holds_features(tmp_path / "text.h5")
    assert not holds_features(tmp_path)
