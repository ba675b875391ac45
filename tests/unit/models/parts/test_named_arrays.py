"""Groups of arrays and texts among them come back as they went in."""

from __future__ import annotations

import numpy as np
import torch

from eosin.models.parts.named_arrays import below, json_array, json_of, tensors, under


def test_a_group_comes_back_without_the_others() -> None:
    arrays = under("base.", tensors({"weight": np.ones((2, 3)).T, "levels.own": np.zeros(2)}))
    arrays |= under("baseline.", {"weight": torch.full((1,), 7.0)}) | {"weight": torch.full((1,), 8.0)}
    assert set(below("base.", arrays)) == {"weight", "levels.own"}
    assert below("base.", arrays)["weight"].shape == (3, 2)
    assert below("baseline.", arrays)["weight"].item() == 7


def test_names_of_every_script_are_kept() -> None:
    value = {"patients": ["P1", "Łódź/2", ""], "held out": [None, "new patient"]}
    assert json_of(json_array(value)) == value
    assert json_array(value).dtype == torch.uint8
