"""Predictions side by side: common genes, names that differ, and the small image that a file keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import eosin
from eosin.api.parts.side_by_side import side_by_side
from eosin.api.parts.thumbnails import save_prediction, stored_thumbnail
from eosin.errors import EosinError
from eosin.types import GenePanel, Image, Prediction, Spots


def made(genes: str = "ABC", *, model: str = "kernel", transform: str = "log1p") -> Prediction:
    spots = Spots(np.array([[50.0, 60.0], [150.0, 60.0], [50.0, 160.0]]), 55.0, ("a", "b", "c"))
    values = np.array([[[float(ord(gene)) for gene in genes]] * 3])
    return Prediction("A1", spots, GenePanel(tuple(genes), transform), values, model, 0)


def test_genes_that_one_lacks_are_left_out_in_the_order_of_the_first() -> None:
    (first, second), notes = side_by_side([made("ABCD"), made("DXBA", model="ridge")], ["p", "q"])
    assert first.panel.names == second.panel.names == ("A", "B", "D")
    assert first.mean[0].tolist() == second.mean[0].tolist() == [65.0, 66.0, 68.0]
    assert notes == ["3 genes of up to 4 are in every prediction; the others are left out."]
    assert side_by_side([made(), made(model="ridge")], ["p", "q"])[1] == []


def test_two_of_one_model_are_called_by_their_files() -> None:
    found, _ = side_by_side([made(), made(), made()], ["p", "q", ""])
    assert [p.model for p in found] == ["kernel", "kernel, q", "kernel, 3"]
    again, _ = side_by_side([made(), made(), made()], ["p", "q", "q"])
    assert len({p.model for p in again}) == 3
    elsewhere, _ = side_by_side([made(), replace(made(), section="B1")], ["p", "q"])
    assert [p.model for p in elsewhere] == ["kernel", "kernel"]


@pytest.mark.parametrize(
    ("other", "says"), [(made("XYZ"), "no gene in common"), (made(transform="log2p1"), "log1p, those of")]
)
def test_what_cannot_stand_side_by_side_is_one_line(other: Prediction, says: str) -> None:
    with pytest.raises(EosinError, match=says):
        side_by_side([made(), other], ["p", "q"])


def test_a_page_keeps_its_slide_where_the_slide_is_gone(tmp_path: Path) -> None:
    from PIL import Image as Picture

    pixels = np.full((200, 240, 3), (210, 90, 160), np.uint8)
    Picture.fromarray(pixels).save(tmp_path / "slide.png")
    prediction = replace(made(), image=Image(tmp_path / "slide.png", 1.0))
    save_prediction(prediction, tmp_path / "p.h5ad")
    (tmp_path / "slide.png").unlink()
    stored = stored_thumbnail(tmp_path / "p.h5ad")
    assert stored is not None
    image, um_per_px = stored
    assert image.shape[1] * um_per_px == pytest.approx(240, abs=2) and abs(int(image[10, 10, 0]) - 210) < 6
    page = eosin.report(tmp_path / "p.h5ad", out=tmp_path / "p.html").read_text(encoding="utf-8")
    assert '"slide":"data:image/jpeg' in page and "plain ground" not in page
    save_prediction(made(), tmp_path / "bare.h5ad")  # white images, on which scanpy draws
    assert stored_thumbnail(tmp_path / "bare.h5ad") is None
    bare = eosin.report(tmp_path / "bare.h5ad", out=tmp_path / "bare.html").read_text(encoding="utf-8")
    assert "was not found: maps stand on plain ground" in bare
