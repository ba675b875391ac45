"""How many features are of which encoder travels with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import toy
from eosin.encoders import get_encoder
from eosin.errors import EosinError
from eosin.features import attach, write_features
from eosin.types import Batch, Features

ATTRS = {"encoder": "toy", "encoder_key": "toy-1", "mpp": 0.5, "tile_um": 112.0, "patch_size": 224}
ATTRS |= {"patch_size_level0": 224, "level0_width": 4000, "level0_height": 4000, "name": "A1"}


def test_a_composite_knows_its_parts() -> None:
    encoder = get_encoder("pixels?px=8+pixels?px=16")
    assert encoder.blocks == (192, 768) and sum(encoder.blocks) == encoder.n_features


@pytest.mark.parametrize(("written", "read"), [("5,7", (5, 7)), (None, ()), ("5,8", ()), ("x", ())])
def test_a_file_says_them_and_older_ones_do_not(tmp_path: Path, written: str | None, read: tuple[int, ...]) -> None:
    section = toy.section("A1", 10)
    attrs = ATTRS if written is None else {**ATTRS, "blocks": written}
    values = section.need_features().values
    write_features(tmp_path / "A1.h5", section.spots.ids, section.spots.xy_um, values, attrs)
    found = attach(replace(section, features=None), tmp_path, "toy-1")
    assert found is not None and found.need_features().blocks == read
    assert Batch.of([found]).blocks == read


def test_blocks_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(EosinError, match="do not add up"):
        Features(np.zeros((3, 12)), "toy", "toy-1", blocks=(5, 8))


def test_other_features_in_their_place_have_none() -> None:
    batch = replace(Batch.of([toy.section("A1", 10)]), blocks=(5, 7))
    assert batch.blocks == (5, 7)
    assert replace(batch, features=batch.features[:, :4]).blocks == ()
