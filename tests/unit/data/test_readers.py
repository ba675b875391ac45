"""Choosing a reader, choosing sections, and single files."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pytest
from scipy import sparse

from eosin.data import describe, read, recognise
from eosin.errors import EosinError
from unit.data.layouts import counts, lattice, legacy_st, native, single


def test_unknown_folder_lists_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match=r"no reader fits.*hest:.*legacy-st: ST-cnts/"):
        read(tmp_path)


def test_absent_path(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match="no such file or folder"):
        read(tmp_path / "nothing")


def test_named_reader_must_fit(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match=r"not laid out for reader 'hest'; it looks for st/"):
        read(legacy_st(tmp_path), reader="hest")
    with pytest.raises(EosinError, match="did you mean 'legacy-st'"):
        read(tmp_path, reader="legacy_st")


def test_two_layouts_in_one_folder_need_a_name(tmp_path: Path) -> None:
    native(legacy_st(tmp_path))
    with pytest.raises(EosinError, match=r"'eosin' and 'legacy-st' both fit.*--reader"):
        recognise(tmp_path)
    assert len(read(tmp_path, reader="legacy-st")) == 3


def test_sections_are_chosen_in_the_order_asked_for(tmp_path: Path) -> None:
    legacy_st(tmp_path)
    assert [one.name for one in read(tmp_path, sections=["B1", "A1"])] == ["B1", "A1"]
    with pytest.raises(EosinError, match="no section is called 'B2'; did you mean 'B1'"):
        read(tmp_path, sections=["B2"])
    with pytest.raises(EosinError, match="asked for twice"):
        read(tmp_path, sections=["B1", "B1"])


def test_foreign_file(tmp_path: Path) -> None:
    (one,) = read(single(tmp_path))
    assert (one.name, one.patient, one.spots.diameter_um) == ("slide7", "P7", 55.0)
    assert one.image and one.image.path == tmp_path / "slide7.svs" and one.image.mpp == 0.25
    assert np.allclose(one.spots.xy_um, lattice(6, 400.0) * 0.25)


def change(file: Path, edit) -> Path:
    adata = anndata.read_h5ad(file)
    edit(adata)
    adata.write_h5ad(file)
    return file


def test_foreign_file_needs_a_scale(tmp_path: Path) -> None:
    file = change(single(tmp_path), lambda a: a.uns.pop("eosin"))
    with pytest.raises(EosinError, match=r"slide7\.h5ad: does not say the scale.*give --mpp"):
        read(file)
    assert np.allclose(read(file, mpp=0.5)[0].spots.xy_um, lattice(6, 400.0) * 0.5)


def test_foreign_file_without_positions(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match=r"has no obsm\['spatial'\]"):
        read(change(single(tmp_path), lambda a: a.obsm.pop("spatial")))


def test_normalised_values_are_refused_unless_counts_lie_beside(tmp_path: Path) -> None:
    def normalise(adata: anndata.AnnData) -> None:
        adata.X = adata.X / 3

    file = change(single(tmp_path), normalise)
    with pytest.raises(EosinError, match=r"slide7\.h5ad: section 'slide7': counts hold fractions"):
        read(file)
    change(file, lambda a: a.layers.__setitem__("counts", sparse.csr_matrix(counts(36, 3).astype(np.float32))))
    (one,) = read(file)
    assert one.counts is not None and np.array_equal(one.counts.toarray(), counts(36, 3))
    assert "counts are from layers['counts']" in one.notes


def test_unknown_spot_width_is_assumed_from_the_pitch(tmp_path: Path) -> None:
    (one,) = read(change(single(tmp_path), lambda a: a.uns.pop("spatial")))
    assert one.spots.diameter_um == 50.0 and any("assumed" in note for note in one.notes)


def test_description(tmp_path: Path) -> None:
    told = describe(legacy_st(tmp_path))
    assert (told["reader"], told["reason"]) == ("legacy-st", "3 count tables in ST-cnts/")
    assert told["sections"][0]["total_counts"] == counts(36, 0)[:35].sum()
