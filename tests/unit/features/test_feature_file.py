"""A feature file says the same whether its table is read into memory or left on disk."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.features.feature_file import read_features
from eosin.storage.lazy_rows import LazyRows

VALUES = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
COORDS = np.arange(12).reshape(6, 2)


def test_turned_features_are_read_where_they_are_wanted(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"], file["coords"] = VALUES, COORDS
        file["turned"] = np.repeat(VALUES[:, None], 7, 1)
        file.attrs["turns"] = "seven of them"
    assert read_features(tmp_path / "a.h5").turned is None
    turned = read_features(tmp_path / "a.h5", turned=True).turned
    assert turned is not None and turned.shape == (6, 7, 4)


@pytest.mark.parametrize(
    ("name", "table", "on_disk"),
    [
        ("features", VALUES, True),
        ("embeddings", VALUES, True),
        ("features", VALUES[None], False),  # as CLAM writes it
        ("features", np.zeros((0, 4), np.float32), False),
        ("features", np.array([[b"a", b"b"]] * 6), False),
        ("features", VALUES[:, 0], False),
        ("features", VALUES[:5], True),
    ],
)
def test_a_table_on_disk_is_taken_as_one_in_memory_is(
    name: str, table: np.ndarray, tmp_path: Path, *, on_disk: bool
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[name], file["coords"] = table, COORDS[: len(table)] if not table.size else COORDS
    answers = [_answer(tmp_path / "a.h5", on_disk=False), _answer(tmp_path / "a.h5", on_disk=True)]
    if isinstance(answers[0], str):
        assert answers[0] == answers[1]
        return
    assert isinstance(answers[1], LazyRows) == on_disk
    np.testing.assert_array_equal(np.asarray(answers[1][:]), answers[0])


def _answer(path: Path, *, on_disk: bool) -> np.ndarray | LazyRows | str:
    try:
        return read_features(path, on_disk=on_disk).values
    except EosinError as error:
        return str(error)
