"""Where a verb may write: what is refused before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from eosin.api.parts.outputs import need_folder, need_no_checkpoint, need_other_file, need_suffix
from eosin.errors import EosinError


def test_a_name_must_end_as_its_format_does(tmp_path: Path) -> None:
    need_suffix(None, (".h5ad",), "a prediction is an AnnData file")
    need_suffix(tmp_path / "P.H5AD", (".h5ad",), "a prediction is an AnnData file")
    for name in ("photo.png", "noname", "x.h5ad.png"):
        with pytest.raises(EosinError, match=r"is an AnnData file; let the name of --out end in \.h5ad"):
            need_suffix(tmp_path / name, (".h5ad",), "a prediction is an AnnData file")
    (tmp_path / "x.h5ad").mkdir()
    with pytest.raises(EosinError, match="is a folder"):
        need_suffix(tmp_path / "x.h5ad", (".h5ad",), "")


def test_a_file_is_no_folder_to_write(tmp_path: Path) -> None:
    for fine in (None, tmp_path, tmp_path / "new"):
        need_folder(fine)
    (tmp_path / "photo.png").touch()
    with pytest.raises(EosinError, match=r"photo\.png: is a file"):
        need_folder(tmp_path / "photo.png")


def test_a_file_is_not_written_over_itself(tmp_path: Path) -> None:
    source = tmp_path / "a.h5ad"
    source.touch()
    for out, read in ((None, source), (tmp_path / "b.h5ad", source), (source, tmp_path), (source, object())):
        need_other_file(out, read)
    with pytest.raises(EosinError, match="over itself"):
        need_other_file(tmp_path / "." / "a.h5ad", str(source))


def test_a_trained_model_is_not_replaced_without_a_word(tmp_path: Path) -> None:
    need_no_checkpoint(None)
    need_no_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(EosinError, match="holds a trained model; continue it with --resume, replace it with --overwr"):
        need_no_checkpoint(tmp_path)
