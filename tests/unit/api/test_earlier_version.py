"""A model and features that say encoder `stain` and mean its first version go on, and are encoded alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image as Picture

import eosin
import toy
from eosin.encoders import get_encoder
from eosin.errors import EosinError
from eosin.features import encode
from eosin.types import Image, Section

FIRST, NOW = "stain?px=96&version=1", "stain?px=96"


@pytest.fixture
def sections(tmp_path: Path) -> list[Section]:
    rng = np.random.default_rng(0)
    made = []
    for section in (toy.section(name, 20) for name in ("A1", "A2", "B1")):
        coarse = rng.integers(90, 250, (40, 40, 3)).repeat(10, 0).repeat(10, 1)
        path = tmp_path / f"{section.name}.png"
        Picture.fromarray(coarse.astype(np.uint8)).save(path)
        made.append(replace(section, features=None, image=Image(path, 2.0)))
    return made


def test_an_old_checkpoint_predicts_from_an_image(sections: list[Section], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("EOSIN_CACHE", str(tmp_path / "cache"))
    old = [encode(section, get_encoder(FIRST), cache=tmp_path / "f") for section in sections]
    for path in (tmp_path / "f").glob("*/*.h5"):
        with h5py.File(path, "r+") as file:
            file.attrs["encoder"] = NOW  # as they were written
    trained = eosin.train(sections[:2], features=tmp_path / "f", encoder=NOW, model="ridge", genes="var:4")
    assert trained.encoder == FIRST
    folder = replace(trained, encoder=NOW).save(tmp_path / "run")  # as it was written
    from_features = eosin.predict(folder, old[2]).mean
    np.testing.assert_array_equal(eosin.predict(folder, sections[2]).mean, from_features)
    np.testing.assert_array_equal(eosin.predict(folder, sections[2], features=tmp_path / "f").mean, from_features)
    with pytest.raises(EosinError, match="features of encoder 'stain"):
        eosin.predict(folder, encode(sections[2], get_encoder(NOW)))


def test_a_folder_of_other_features_says_what_it_holds(sections: list[Section], tmp_path: Path) -> None:
    encode(sections[0], get_encoder(FIRST), cache=tmp_path / "f")
    with pytest.raises(EosinError, match=r"has no features of encoder 'pixels'.*or give --encoder 'stain\?px=96&vers"):
        eosin.train(sections[:1], features=tmp_path / "f", encoder="pixels", model="ridge", genes="var:4")
