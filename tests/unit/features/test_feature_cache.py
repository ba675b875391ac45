"""Where features go that no place is given for: one cache per user, by image, scale and spots."""

from __future__ import annotations

import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from eosin.api.encode import encode
from eosin.api.parts.encoded import with_features
from eosin.features import feature_file, place_in_cache
from eosin.options import FeatureOptions
from eosin.storage.lazy_rows import LazyRows
from eosin.types import Image, Section, Spots

ENCODER = "stain?px=96"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EOSIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def section_on(folder: Path, seed: int = 0) -> Section:
    folder.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(60, 255, (60, 80, 3)).astype(np.uint8)
    Picture.fromarray(pixels).save(folder / "slide.png")
    spots = Spots(np.array([[12.0, 10.0], [20.0, 15.0]]), 5.0, ("a", "b"))
    return Section("slide", "slide", spots, image=Image(folder / "slide.png", 0.5))


def moved(section: Section) -> Section:
    return replace(section, spots=replace(section.spots, xy_um=section.spots.xy_um + 1))


def test_slides_of_one_name_do_not_share_a_file(tmp_path: Path, cache: Path) -> None:
    first, second = section_on(tmp_path / "x", 1), section_on(tmp_path / "y", 2)
    made = [with_features([one], ENCODER, None)[0].need_features().values for one in (first, second)]
    files = sorted(cache.rglob("*.h5"))
    assert len(files) == 2 and not np.array_equal(*made)
    states = [path.stat().st_mtime_ns for path in files]
    again = [with_features([one], ENCODER, None)[0].need_features().values for one in (first, second)]
    assert np.array_equal(made, again) and [path.stat().st_mtime_ns for path in files] == states
    encode([first], encoding=FeatureOptions(encoder=ENCODER))
    assert sorted(cache.rglob("*.h5")) == files  # the same place by every verb
    assert not (tmp_path / "eosin-cache").exists()


def test_large_features_stay_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = section_on(tmp_path / "x")
    (whole,) = with_features([section], ENCODER, None)
    monkeypatch.setattr(feature_file, "IN_MEMORY_BYTES", 100)
    (left,) = with_features([section], ENCODER, None)
    kept, values = whole.need_features(), left.need_features().values
    assert isinstance(values, LazyRows) and np.array_equal(kept.values, np.asarray(values))
    assert left.fingerprint() == whole.fingerprint()
    others = [field.name for field in fields(kept) if field.name != "values"]
    assert all(getattr(left.need_features(), name) == getattr(kept, name) for name in others)


def test_a_place_belongs_to_image_scale_and_spots(tmp_path: Path) -> None:
    one = section_on(tmp_path / "x")
    assert one.image is not None
    place = place_in_cache(one)
    copied = Path(shutil.copy(one.image.path, tmp_path / "copied.png"))
    assert place_in_cache(replace(one, image=Image(copied, 0.5))) == place
    others = [
        place_in_cache(one, mpp=0.25),
        place_in_cache(replace(one, image=Image(copied, 0.25))),
        place_in_cache(moved(one)),
        place_in_cache(replace(one, image=None)),
        place_in_cache(section_on(tmp_path / "y", 2)),
    ]
    assert others[0] == others[1] and len({place, *others}) == 5


def test_the_place_is_said_once(tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "eosin")
    for section in (section_on(tmp_path / "x", 1), section_on(tmp_path / "y", 2)):
        with_features([section], ENCODER, None)
    assert caplog.text.count(f"features are kept in {cache}") == 1


def test_features_that_are_given_a_place_do_not_go_into_the_cache(tmp_path: Path, cache: Path) -> None:
    encode([section_on(tmp_path / "x")], out=tmp_path / "own", encoding=FeatureOptions(encoder=ENCODER))
    assert [path.name for path in (tmp_path / "own").rglob("*.h5")] == ["slide.h5"] and not cache.exists()
