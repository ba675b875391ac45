"""A store whose tables are written some spots at a time is the one that is written as a whole."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eosin.exporting import export, large_store, stores
from eosin.storage.scratch import scratch_table
from eosin.types import ErrorBars, GenePanel, GeneTrust, Image, Likeness, Prediction, Spots

spatialdata: Any = pytest.importorskip("spatialdata")


def prediction(n: int = 20_000, g: int = 12, k: int = 2, *, bars: bool = True) -> Prediction:
    rng = np.random.default_rng(0)
    spots = Spots(rng.uniform(100, 2000, (n, 2)), 55.0, tuple(f"{i}x{2 * i}" for i in range(n)))
    ids = tuple(f"ENSG{j:011d}" for j in range(g))
    draws = rng.normal(2, 1, (k, n, g)).astype(np.float32)
    made = Prediction("A/1", spots, GenePanel(tuple(f"G{j}" for j in range(g)), ensembl=ids), draws, "ridge", 0)
    if not bars:
        return replace(made, image=Image(Path("A1.tif"), 0.5))
    around = ErrorBars(rng.uniform(0.2, 1, g), np.linspace(0.01, 0.99, 9), np.linspace(-2, 2, 9), 0.0)
    likeness, trust = Likeness(rng.uniform(0, 2, n), 1.0, 1.0), GeneTrust(rng.random(g), rng.random(g), "new patient")
    return replace(made, centre=made.mean, error_bars=around, likeness=likeness, trust=trust)


def files(store: Path) -> dict[str, bytes]:
    """All files but those with the pieces of tables, which are cut otherwise."""
    found = {str(file.relative_to(store)): file for file in store.rglob("*") if file.is_file()}
    return {name: file.read_bytes() for name, file in found.items() if "/c/" not in name}


@pytest.mark.parametrize("bars", [False, True])
@pytest.mark.parametrize("genes", [None, ["G2"]])
def test_blocks_give_the_store_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, genes: list[str] | None, *, bars: bool
) -> None:
    given = prediction(bars=bars)
    export(given, tmp_path / "whole.zarr", genes=genes)
    monkeypatch.setattr(stores, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(large_store, "_BYTES_AT_ONCE", 1 << 16)
    export(given, tmp_path / "blocks.zarr", genes=genes)
    whole, blocks = (spatialdata.read_zarr(tmp_path / f"{name}.zarr") for name in ("whole", "blocks"))
    (one,), (other,) = whole.tables.values(), blocks.tables.values()
    assert list(whole.tables) == list(blocks.tables)
    assert one.obs.equals(other.obs) and one.var.equals(other.var)
    assert set(one.layers) == set(other.layers) and set(one.obsm) == set(other.obsm)
    np.testing.assert_array_equal(one.X, other.X)
    for name in one.layers:
        np.testing.assert_array_equal(one.layers[name], other.layers[name])
    assert one.uns["eosin"] == other.uns["eosin"] and set(one.uns) == set(other.uns)
    assert whole.shapes["spots"].equals(blocks.shapes["spots"])
    first, second = files(tmp_path / "whole.zarr"), files(tmp_path / "blocks.zarr")
    assert set(first) == set(second)
    assert len(list((tmp_path / "blocks.zarr").rglob("X/c/*/*"))) > (3 if genes is None else 0)
    assert [name for name in first if first[name] != second[name]] == []


def test_no_table_is_made_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n, g = 12_000, 1000
    table = scratch_table((n, g), in_memory=0)
    table[:] = np.random.default_rng(0).random((n, g), dtype=np.float32)
    given = replace(prediction(n, 2, 1, bars=False), image=None)
    given = replace(given, panel=GenePanel(tuple(f"G{j}" for j in range(g))), draws=table[None], centre=table)
    monkeypatch.setattr(stores, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(large_store, "_BYTES_AT_ONCE", 1 << 18)
    export(prediction(50), tmp_path / "first.zarr")  # what is loaded and made once
    tracemalloc.start()
    export(given, tmp_path / "p.zarr")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < table.nbytes, f"{peak / 1e6:.1f} MB"
