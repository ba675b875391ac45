from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from eosin.errors import EosinError
from eosin.types import Image
from eosin.viewer import compose, read_regions
from eosin.viewer.gene_vectors import restored, unpack
from unit.viewer.conftest import Make


def polygon(*corners: tuple[float, float], **properties: object) -> dict[str, object]:
    ring = [*map(list, corners), list(corners[0])]
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}


def test_a_slide_that_is_not_there_is_a_note(make: Make, image: Image) -> None:
    prediction = make()
    image.path.unlink()
    scene = compose(prediction)
    assert scene.pyramid is None and scene.notes == [
        "the slide slide.png is not there: give it by --slide to see the tissue"
    ]


def test_a_slide_of_another_size_is_said(make: Make, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    Picture.fromarray(np.full((500, 600, 3), 200, np.uint8)).save(other)
    with closing(compose(make(), slide=other)) as scene:
        assert any("0.3 x 0.25 mm" in note and "0.75 x 0.55 mm" in note for note in scene.notes)
        assert any("lie beyond the edge of the slide" in note for note in scene.notes)


def test_the_same_slide_elsewhere_is_no_note(make: Make, image: Image, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "slide.png"
    moved.parent.mkdir()
    prediction = make()
    image.path.rename(moved)
    with closing(compose(prediction, slide=moved)) as scene:
        assert scene.pyramid is not None and scene.notes == []


def test_a_slide_that_was_named_and_is_none_is_an_error(make: Make, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(EosinError):
        compose(make(), slide=tmp_path / "x.png")


def test_a_damaged_slide_is_a_note(make: Make, image: Image) -> None:
    prediction = make()
    image.path.write_bytes(b"no picture")
    scene = compose(prediction)
    assert scene.pyramid is None and "cannot be shown" in scene.notes[0]


def test_regions_are_in_um_and_named(tmp_path: Path) -> None:
    file = tmp_path / "regions.geojson"
    features = [
        polygon((0, 0), (10, 0), (10, 10), name="Tumour <b>"),
        polygon((0, 0), (4, 0), (4, 4), classification={"name": "Stroma"}),
        polygon((0, 0), (2, 0), (2, 2)),
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 1]}, "properties": {}},
    ]
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = read_regions(file, 0.5)
    assert [region.name for region in found] == ["Tumour <b>", "Stroma", "Region 3"]
    np.testing.assert_array_equal(found[0].rings_um[0], [[0, 0], [5, 0], [5, 5], [0, 0]])


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not GeoJSON"), ('{"type": "FeatureCollection", "features": []}', "no polygon"), ("[[", "not GeoJSON")],
)
def test_files_without_regions(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "regions.geojson"
    file.write_text(text)
    with pytest.raises(EosinError, match=said):
        read_regions(file, 0.5)


def test_regions_need_a_scale(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "regions.geojson"
    file.write_text(json.dumps(polygon((0, 0), (1, 0), (1, 1))))
    with pytest.raises(EosinError, match="give --mpp"):
        compose(replace(make(), image=None), regions=file)
    assert len(compose(replace(make(), image=None), regions=file, mpp=0.5).regions) == 1


def test_too_many_others_and_others_of_elsewhere(make: Make) -> None:
    with pytest.raises(EosinError, match="9 predictions"):
        compose(make(), others=[make()] * 9)
    shown = make()
    far = replace(shown, spots=replace(shown.spots, xy_um=shown.spots.xy_um + 1e5, ids=tuple(map(str, range(60)))))
    with pytest.raises(EosinError, match="has none of the spots"):
        compose(shown, others=[far])


def test_others_of_one_model_are_told_apart(make: Make) -> None:
    with closing(compose(make(), others=[make(seed=1), make(seed=1), make(seed=2)])) as scene:
        assert scene.sources[1].title == "ridge (seed 1)" and scene.sources[2].title == "ridge (seed 1) #2"
        assert scene.sources[3].title == "ridge (seed 2)"


def test_draws_are_given_where_they_are_enough(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    few = compose(replace(make(bars=False), image=None))
    assert few.answer("draws/0") is None and unpack(few.answer("scene") or b"")[0]["n_draws"] is None
    rng = np.random.default_rng(0)
    drawn = replace(make(), image=None, draws=rng.normal(2, 1, (9, 60, 3)))
    scene = compose(drawn)
    facts, arrays = unpack(scene.answer("draws/2") or b"")
    back = restored(arrays["draws"], **facts["ranges"]["draws"]).reshape(9, 60)
    np.testing.assert_allclose(back, drawn.draws[:, scene.blocks.order, 2], atol=1e-3)
    assert scene.answer("draws/3") is None and not any(name.startswith("draws") for name in scene.names())
    monkeypatch.setattr("eosin.viewer.scene._MOST_DRAWN", 100)
    assert compose(drawn).answer("draws/2") is None
