"""Damaged and hostile files: sections or an `EosinError`, within a second's memory and without end to none."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest

from eosin.data import READERS, Reader, read
from eosin.errors import EosinError
from eosin.storage import hdf5
from unit.data.fuzz import survive
from unit.data.layouts import LAYOUTS, hest_bench, legacy_st, native, single

CASES = {"legacy-st": 60, "stimage": 60, "h5ad": 12, "hest": 12, "hest-bench": 16, "eosin": 12}


@pytest.mark.parametrize("reader", CASES)
def test_readers_survive_damage(reader: str, tmp_path: Path) -> None:
    assert survive(LAYOUTS[reader](tmp_path / "in" / "data"), reader, at_most=CASES[reader]) == []


def test_stores_survive_damage(tmp_path: Path) -> None:
    pytest.importorskip("spatialdata")
    store = LAYOUTS["spatialdata"](tmp_path / "in" / "data")
    assert survive(store, "spatialdata", at_most=25, fresh=True) == []


class Fragile(Reader):
    """Stumbles over every kind of damage in another way: the faults that the harness is for."""

    name, platform, looks_for = "fragile", "test", "anything"

    def recognise(self, path: Path) -> str | None:
        return "always"

    def names(self, path: Path) -> list[str]:
        return READERS["legacy-st"].names(path)

    def read_section(self, path: Path, name: str, *, mpp: float | None = None):
        file = path / "ST-spotfiles" / "A1_selection.tsv"
        if not file.exists():
            os.kill(os.getpid(), signal.SIGSEGV)
        if file.stat().st_size == 1:
            np.ones(200_000_000)  # 1.6 GB
        if file.stat().st_size == 8:
            raise ValueError("in {braces}")
        return READERS["legacy-st"].read_section(path, name, mpp=mpp)


def test_the_harness_finds_crashes_memory_and_other_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(READERS._known, "fragile", Fragile())
    wrong = " | ".join(survive(legacy_st(tmp_path / "data", ("A1",)), "fragile"))
    assert "A1_selection.tsv cut at 1: more than 1 GiB" in wrong
    assert "A1_selection.tsv cut at 8: ValueError: in (braces)" in wrong
    assert f"A1_selection.tsv is gone: the process ended with {-signal.SIGSEGV}" in wrong


def outward(file: Path, key: str, elsewhere: Path) -> None:
    with h5py.File(file, "a") as one, h5py.File(elsewhere, "w") as other:
        one.copy(key, other, "taken")
        del one[key]
        one[key] = h5py.ExternalLink(str(elsewhere), "/taken")


def stored_outward(file: Path, key: str, elsewhere: Path) -> None:
    with h5py.File(file, "a") as one:
        values = one[key][()]
        del one[key]
        elsewhere.write_bytes(values.tobytes())
        one.create_dataset(key, values.shape, values.dtype, external=[(str(elsewhere), 0, h5py.h5f.UNLIMITED)])


def virtual(file: Path, key: str, elsewhere: Path) -> None:
    with h5py.File(file, "a") as one, h5py.File(elsewhere, "w") as other:
        source = other.create_dataset("taken", data=one[key][()])
        layout = h5py.VirtualLayout(source.shape, source.dtype)
        layout[...] = h5py.VirtualSource(str(elsewhere), "taken", source.shape)
        del one[key]
        one.create_virtual_dataset(key, layout)


@pytest.mark.parametrize("lead", [outward, stored_outward, virtual])
def test_hdf5_that_leads_out_is_refused(lead, tmp_path: Path) -> None:
    file = single(tmp_path)
    lead(file, "obsm/spatial", tmp_path / "elsewhere.bin")
    with pytest.raises(EosinError, match=r"slide7\.h5ad: 'obsm/spatial' (leads into|is stored in) another file"):
        read(file)
    folder = hest_bench(tmp_path / "bench")
    lead(folder / "patches" / "INT1.h5", "coords", tmp_path / "elsewhere.bin")
    with pytest.raises(EosinError, match=r"INT1\.h5: 'coords' (leads into|is stored in) another file"):
        read(folder)


def test_a_seal_does_not_let_links_out(tmp_path: Path) -> None:
    from eosin.data.h5ad import _SEAL, hashlib

    file = native(tmp_path / "data") / "sections" / "A1.h5ad"
    outward(file, "obsm/spatial", tmp_path / "elsewhere.bin")
    body = file.read_bytes()
    file.write_bytes(body + _SEAL + hashlib.sha256(body).digest())
    with pytest.raises(EosinError, match=r"A1\.h5ad: 'obsm/spatial' leads into another file"):
        read(tmp_path / "data")


def test_hdf5_that_declares_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    file = single(tmp_path)
    with h5py.File(file, "a") as stored:
        del stored["X"]
        stored.create_dataset("X", (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip")
    with pytest.raises(EosinError, match=r"'X' declares 4e\+03 GB and holds 0 MB"):
        read(file)
    many = tmp_path / "many.h5"
    with h5py.File(many, "w") as stored:
        for k in range(5):
            stored.create_dataset(f"a{k}", (25_000_000,), "f4", chunks=(10**6,))  # 100 MB each
    with pytest.raises(EosinError, match="declares"), hdf5.open_foreign(many):
        pass


def test_dense_counts_may_be_mostly_zeros(tmp_path: Path) -> None:
    file = tmp_path / "large.h5"
    with h5py.File(file, "w") as stored:
        values = np.zeros((2000, 40_000), dtype=np.float32)  # 320 MB
        values[:, ::10] = np.arange(4000) % 3
        stored.create_dataset("X", data=values, chunks=(100, 40_000), compression="gzip", compression_opts=1)
    with hdf5.open_foreign(file) as stored:
        assert stored["X"].shape == (2000, 40_000)


def test_a_walk_that_does_not_end_or_crashes_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "hdf5_walk.py"
    monkeypatch.setattr(hdf5, "__file__", str(tmp_path / "hdf5.py"))
    monkeypatch.setattr(hdf5, "_PATIENCE_S", 0.5)
    for text, says in (
        ("import time; time.sleep(60)", "has no end within"),
        ("import os; os.abort()", "HDF5 crashes on it"),
        ("print('bad\\nnews'); raise SystemExit(1)", r"\(bad\)"),
    ):
        program.write_text(text)
        hdf5._probed.clear()
        with pytest.raises(EosinError, match=says):
            hdf5.probe(single(tmp_path / "data"))


@pytest.mark.parametrize("said", ["../outside.h5ad", "/etc/passwd", "adata/../../outside.h5ad"])
def test_a_table_cannot_name_files_elsewhere(said: str, tmp_path: Path) -> None:
    folder = hest_bench(tmp_path / "bench")
    for file in (folder / "splits").glob("*.csv"):
        file.write_text(file.read_text().replace("adata/INT1.h5ad", said))
    with pytest.raises(EosinError, match="leads out of the folder"):
        read(folder)
