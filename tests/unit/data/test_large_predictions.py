"""Large predictions are written and read some spots at a time, and nobody can tell from the content."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest

from eosin.data import anndata_door, read_prediction, write_prediction
from eosin.errors import EosinError
from eosin.storage import files
from eosin.types import ErrorBars, GenePanel, GeneTrust, Image, Likeness, Prediction, Spots

N, G = 120, 4


def prediction(n_draws: int = 3, *, n: int = N, bars: bool = True, mpp: float | None = 0.5) -> Prediction:
    rng = np.random.default_rng(0)
    said: dict[str, Any] = {}
    if bars:
        shape = np.array([0.01, 0.5, 0.99]), np.array([-2.0, 0.0, 2.5])
        said["error_bars"] = ErrorBars(np.linspace(0.5, 1.5, G), *shape, 0.0, basis="x")
        said["centre"] = rng.normal(size=(n, G)).astype(np.float32)
        said["likeness"] = Likeness(rng.uniform(size=n), 2.5, 1.5)
        said["trust"] = GeneTrust(np.full(G, 0.5), np.full(G, 0.2), "known patient")
    spots = Spots(rng.uniform(50, 3000, (n, 2)), 55.0, tuple(f"s{i}" for i in range(n)))
    panel = GenePanel(tuple("ABCD"), "log1p")
    image = None if mpp is None else Image(Path("slide.tif"), mpp)
    return Prediction("A1", spots, panel, rng.normal(size=(n_draws, n, G)), "m", 0, image, {"a": [1, None]}, **said)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """All predictions are large, and blocks have a few spots."""
    monkeypatch.setattr(anndata_door, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(anndata_door, "_BYTES_AT_ONCE", 1000)


@pytest.mark.parametrize("draws", [None, True])
@pytest.mark.parametrize("made", [prediction(), prediction(1), prediction(bars=False), prediction(mpp=None)])
def test_the_content_is_that_of_a_small_file(
    made: Prediction, draws: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prediction(made, tmp_path / "whole.h5ad", draws=draws)
    small = read_prediction(tmp_path / "whole.h5ad")
    monkeypatch.setattr(anndata_door, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(anndata_door, "_BYTES_AT_ONCE", 1000)
    write_prediction(made, tmp_path / "blocks.h5ad", draws=draws)
    one, other = (anndata.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("whole", "blocks"))
    assert np.array_equal(one.X, other.X) and one.obs.equals(other.obs) and one.var.equals(other.var)
    for group in ("layers", "obsm"):
        parts = [dict(getattr(adata, group)) for adata in (one, other)]
        assert parts[0].keys() == parts[1].keys()
        assert all(np.array_equal(parts[0][key], parts[1][key]) for key in parts[0])
        assert all(parts[0][key].dtype == parts[1][key].dtype for key in parts[0])
    assert one.uns["eosin"] == other.uns["eosin"]
    for name in ("whole", "blocks"):  # each is read as a large one now
        found = read_prediction(tmp_path / f"{name}.h5ad")
        assert np.array_equal(found.draws, small.draws) and np.array_equal(found.mean, small.mean)
        assert found.provenance == small.provenance and found.spots.ids == small.spots.ids
        assert np.array_equal(found.spots.xy_um, small.spots.xy_um)
        assert found.has_spread == small.has_spread
        if small.has_spread:
            assert np.array_equal(found.quantile(0.9), small.quantile(0.9))


def test_draws_of_older_files_are_read(tmp_path: Path, small_blocks: None) -> None:
    made = prediction(bars=False)
    adata = anndata_door.to_anndata(made)
    for k, draw in enumerate(made.draws):
        adata.layers[f"sample_{k}"] = draw
    anndata_door.write_h5ad(adata, tmp_path / "old.h5ad")
    assert np.array_equal(read_prediction(tmp_path / "old.h5ad").draws, made.draws)


def test_a_small_prediction_is_not_written_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anndata_door, "write_h5ad_in_blocks", None)
    write_prediction(prediction(), tmp_path / "p.h5ad")
    assert read_prediction(tmp_path / "p.h5ad").n_draws == 1


@pytest.mark.parametrize("old", [True, False])
def test_a_fault_at_any_write_leaves_the_old_file_or_none(
    old: Any, tmp_path: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, made = tmp_path / "p.h5ad", prediction(n=30)
    if old:
        write_prediction(prediction(n=9), path)
    before = path.read_bytes() if old else None
    n_writes, fails_at = 0, 10**9

    class Disk(io.FileIO):
        def write(self, data: Any) -> int:
            nonlocal n_writes
            n_writes += 1
            if n_writes >= fails_at:
                raise OSError(28, "No space left on device")
            return super().write(data)

    monkeypatch.setattr(files, "open", lambda path, mode, buffering=-1: Disk(path, "w+"), raising=False)
    monkeypatch.setattr(files, "_flush", lambda path: None)
    write_prediction(made, tmp_path / "other.h5ad")
    (tmp_path / "other.h5ad").unlink()
    n_all = n_writes
    assert n_all > 20
    for fails_at in np.unique(np.linspace(1, n_all, 15).astype(int)):  # noqa: B007 - the disk looks at it
        n_writes = 0
        with pytest.raises(EosinError, match="disk is full"):
            write_prediction(made, path)
        assert [file.name for file in tmp_path.iterdir()] == (["p.h5ad"] if old else [])
        assert before is None or path.read_bytes() == before
    fails_at = 10**9
    write_prediction(made, path)
    assert np.array_equal(read_prediction(path).mean, made.mean)


def test_no_altered_byte_goes_unnoticed(tmp_path: Path, small_blocks: None) -> None:
    path = tmp_path / "p.h5ad"
    write_prediction(prediction(), path)
    content = path.read_bytes()
    for place in np.random.default_rng(0).choice(len(content), 20, replace=False):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(EosinError):
            read_prediction(path)


def test_a_block_that_fails_leaves_nothing(tmp_path: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    made, n = prediction(), 0

    def tables(*args: Any, **kwargs: Any) -> Any:
        nonlocal n
        n += 1
        if n > 5:
            raise KeyboardInterrupt
        return kept(*args, **kwargs)

    kept = anndata_door._tables
    monkeypatch.setattr(anndata_door, "_tables", tables)
    with pytest.raises(KeyboardInterrupt):
        write_prediction(made, tmp_path / "p.h5ad")
    assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anndata_door, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(anndata_door, "_BYTES_AT_ONCE", 1 << 18)
    n, g = 4000, 500
    rng = np.random.default_rng(0)
    bars = ErrorBars(np.ones(g), np.array([0.1, 0.5, 0.9]), np.array([-1.0, 0.0, 1.0]), 0.0)
    spots, panel = prediction(n=n).spots, GenePanel(tuple(f"G{j}" for j in range(g)), "log1p")
    mean = rng.normal(size=(n, g)).astype(np.float32)
    made = replace(
        prediction(n=n), spots=spots, panel=panel, draws=mean[None], centre=mean, error_bars=bars, trust=None
    )
    tracemalloc.start()
    write_prediction(made, tmp_path / "p.h5ad")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < mean.nbytes  # four such tables are in the file
