from __future__ import annotations

import numpy as np
import pytest

from eosin.viewer.gene_vectors import MISSING, pack, pack_vectors, quantised, restored, unpack


@pytest.mark.parametrize("scale", [1e-6, 1.0, 3e5])
def test_values_come_back_to_half_a_step(scale: float) -> None:
    values = np.random.default_rng(0).normal(2, 1, 5000) * scale
    codes, low, high = quantised(values)
    assert codes.dtype == np.dtype("<u2") and codes.max() == MISSING - 1
    assert np.abs(restored(codes, low, high) - values).max() <= (high - low) / (MISSING - 1) * 0.501
    assert low == values.min() and high == values.max()


def test_what_is_not_finite_is_missing() -> None:
    codes, low, high = quantised(np.array([1.0, np.nan, np.inf, -np.inf, 3.0]))
    assert codes.tolist() == [0, MISSING, MISSING, MISSING, MISSING - 1]
    assert np.isnan(restored(codes, low, high)).tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("values", [[], [2.0], [2.0, 2.0], [np.nan, np.nan]])
def test_no_range(values: list[float]) -> None:
    codes, low, high = quantised(np.array(values))
    np.testing.assert_array_equal(restored(codes, low, high), values)


def test_a_message_holds_facts_and_arrays_of_any_length() -> None:
    arrays = {"a": np.arange(3, dtype=np.uint16), "b": np.zeros(0, np.float32), "c": np.array([1.5, 2], np.float32)}
    facts, back = unpack(pack({"name": "µ <b>", "none": None}, arrays))
    assert facts == {"name": "µ <b>", "none": None}
    assert {name: array.tolist() for name, array in back.items()} == {"a": [0, 1, 2], "b": [], "c": [1.5, 2]}
    assert [array.dtype.itemsize for array in back.values()] == [2, 4, 4]


def test_every_array_begins_at_a_multiple_of_four_bytes() -> None:
    message = pack_vectors({"mean": np.array([1.0, 2, 3]), "low": np.array([0.0, 1, 2])}, {"x": "é"})
    header = int.from_bytes(message[:4], "little")
    assert header % 4 == 0 and (len(message) - 4 - header) == 16
    facts, arrays = unpack(message)
    assert restored(arrays["low"], **facts["ranges"]["low"]).tolist() == [0, 1, 2]


def test_facts_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError):
        pack({"x": float("nan")}, {})
