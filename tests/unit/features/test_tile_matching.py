"""Tiles on a grid of their own train measured spots: the nearest tile, or the mean of those that a spot overlaps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image as Picture
from scipy import sparse

import eosin
from eosin.errors import EosinError
from eosin.features import TileMatch, attach
from eosin.types import Image, Section, Spots

MPP, TILE_PX = 0.5, 100  # tiles of 50 µm


def section_of(tmp_path: Path, name: str = "A", xy_um: np.ndarray | None = None) -> Section:
    """Spots 40 µm apart and 20 µm wide on an image of 400 x 300 µm."""
    if xy_um is None:
        x, y = np.meshgrid(np.arange(35.0, 380, 40), np.arange(35.0, 280, 40))
        xy_um = np.stack([x.ravel(), y.ravel()], 1)
    Picture.fromarray(np.full((600, 800, 3), 200, np.uint8)).save(tmp_path / "s.png")
    rng = np.random.default_rng(len(name))
    counts = sparse.csr_matrix(rng.poisson(xy_um[:, :1] / 20 + 1, (len(xy_um), 3)).astype(np.float32))
    spots = Spots(xy_um, 20.0, tuple(f"s{i}" for i in range(len(xy_um))))
    return Section(name, name, spots, image=Image(tmp_path / "s.png", MPP), counts=counts, genes=("g", "h", "i"))


def write_grid(folder: Path, name: str = "A", *, style: str = "trident") -> np.ndarray:
    """A dense grid as TRIDENT or CLAM writes it; features are the tile's centre in µm. Returns the centres."""
    folder.mkdir(parents=True, exist_ok=True)
    x, y = np.meshgrid(np.arange(0, 800, TILE_PX), np.arange(0, 600, TILE_PX))
    corners = np.stack([x.ravel(), y.ravel()], 1)
    centres_um = (corners + TILE_PX / 2) * MPP
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file["features"] = centres_um.astype(np.float32)
        file["coords"] = corners
        if style == "trident":
            file["coords"].attrs.update({"patch_size_level0": TILE_PX, "patch_size": 224})
        else:
            file["coords"].attrs.update({"patch_size": TILE_PX, "patch_level": 0, "downsample": np.array([1.0, 1.0])})
    return centres_um


@pytest.mark.parametrize("style", ["trident", "clam"])
def test_nearest(tmp_path: Path, style: str) -> None:
    section, centres = section_of(tmp_path), write_grid(tmp_path / "f", style=style)
    with pytest.raises(EosinError, match="no features for"):
        attach(section, tmp_path / "f", "uni")
    matched = attach(section, tmp_path / "f", "uni", match=TileMatch("nearest"))
    distance = np.linalg.norm(centres[None] - section.spots.xy_um[:, None], axis=2)
    np.testing.assert_allclose(
        np.linalg.norm(matched.features.values - section.spots.xy_um, axis=1), distance.min(1), atol=1e-4
    )
    assert any("features of nearest tiles (48 of A.h5)" in note for note in matched.notes)


def test_overlap_weights_by_area(tmp_path: Path) -> None:
    """A literal sum over all tiles."""
    section, centres = section_of(tmp_path), write_grid(tmp_path / "f")
    matched = attach(section, tmp_path / "f", "uni", match=TileMatch("overlap"))
    for spot, got in zip(section.spots.xy_um, matched.features.values):
        low, high = np.maximum(centres - 25, spot - 10), np.minimum(centres + 25, spot + 10)
        area = np.clip(high - low, 0, None).prod(1)
        np.testing.assert_allclose(got, area @ centres / area.sum(), rtol=1e-5)
    whole = attach(section_of(tmp_path, xy_um=np.array([[25.0, 25.0], [50.0, 25.0]])), tmp_path / "f", "uni",
                   match=TileMatch("overlap"))  # fmt: skip
    np.testing.assert_allclose(whole.features.values, [[25, 25], [50, 25]], atol=1e-4)


@pytest.mark.parametrize("how", ["nearest", "overlap"])
def test_a_largest_distance_leaves_spots_out(tmp_path: Path, how: str) -> None:
    section, centres = section_of(tmp_path), write_grid(tmp_path / "f")
    near = np.linalg.norm(centres[None] - section.spots.xy_um[:, None], axis=2).min(1) <= 25
    matched = attach(section, tmp_path / "f", "uni", match=TileMatch(how, 25.0))
    assert matched.spots.ids == section.take(np.flatnonzero(near)).spots.ids and 0 < len(matched) < len(section)
    assert f"{(~near).sum()} of {len(section)} spots have no tile near enough and were left out" in matched.notes[-1]
    assert (matched.counts != section.counts[near]).nnz == 0
    with pytest.raises(EosinError, match=r"have no tile of 50 µm near enough.*--match-um"):
        attach(section, tmp_path / "f", "uni", match=TileMatch(how, 1.0))


def test_a_grid_of_another_scale_is_refused(tmp_path: Path) -> None:
    section = section_of(tmp_path)
    write_grid(tmp_path / "f")
    far = replace(section, image=None, spots=replace(section.spots, xy_um=section.spots.xy_um + 1e4))
    with pytest.raises(EosinError, match="does not say the slide's µm per pixel"):
        attach(far, tmp_path / "f", "uni", match=TileMatch("nearest"))


def test_wrong_settings() -> None:
    for given, told in ((("near", None), "give exact, nearest, overlap"), (("nearest", 0.0), "above 0"),
                        (("exact", 5.0), "give --match")):  # fmt: skip
        with pytest.raises(EosinError, match=told):
            TileMatch(*given)


@pytest.mark.parametrize("how", ["nearest", "overlap"])
def test_a_dense_grid_trains_and_predicts(tmp_path: Path, how: str) -> None:
    sections = [section_of(tmp_path, name) for name in ("A", "Bb", "Ccc")]
    for section in sections:
        write_grid(tmp_path / "f", section.name)
    options = {"features": tmp_path / "f", "match": how}
    model = eosin.train(sections[:2], encoder="uni", model="ridge", genes="var:2", **options)
    prediction = eosin.predict(model, sections[2], **options)
    assert len(prediction.spots) == len(sections[2])
    alone = eosin.predict(model, tmp_path / "f" / "Ccc.h5", mpp=MPP)  # the key of the tiles' features is the same
    assert len(alone.spots) == 48
    with pytest.raises(EosinError, match="--match has no use without --features"):
        eosin.train(sections[:2], model="ridge", genes="var:2", match=how)


@pytest.mark.parametrize("how", ["exact", "nearest"])
def test_tiles_of_another_scan_of_the_slide_are_refused(tmp_path: Path, how: str) -> None:
    """TRIDENT notes the slide's size; tiles that begin beyond the image tell the same of CLAM's."""
    centres = write_grid(tmp_path / "f")
    section = section_of(tmp_path, xy_um=centres)
    attach(section, tmp_path / "f", "uni", match=TileMatch(how))
    with h5py.File(tmp_path / "f" / "A.h5", "r+") as file:
        file["coords"].attrs.update({"level0_width": 800, "level0_height": 600})
    attach(section, tmp_path / "f", "uni", match=TileMatch(how))
    with h5py.File(tmp_path / "f" / "A.h5", "r+") as file:
        file["coords"].attrs.update({"level0_width": 1600, "level0_height": 1200})
    with pytest.raises(EosinError, match=r"tiles are of a slide of 1600 x 1200 px, s\.png has 800 x 600 px; encode"):
        attach(section, tmp_path / "f", "uni", match=TileMatch(how))
    write_grid(tmp_path / "f")
    with h5py.File(tmp_path / "f" / "A.h5", "r+") as file:
        file["coords"][...] *= 2
    with pytest.raises(EosinError, match=r"its tiles reach x = 1400 px, s\.png is 800 px long there"):
        attach(section, tmp_path / "f", "uni", match=TileMatch(how))


def test_a_scale_of_the_tiles_that_is_not_used_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    centres = write_grid(tmp_path / "f")
    for mpp in (0.5, 0.25):
        with h5py.File(tmp_path / "f" / "A.h5", "r+") as file:
            file["coords"].attrs["mpp"] = mpp
        attach(section_of(tmp_path, xy_um=centres), tmp_path / "f", "uni", match=TileMatch("nearest"))
    assert caplog.text.count("0.5 µm per pixel are used; its tiles were cut at 0.25") == 1
