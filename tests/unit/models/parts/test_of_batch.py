"""What was made of a batch goes with it, and is of no other."""

from __future__ import annotations

import copy
import gc
import weakref

import numpy as np

from eosin.models.parts.of_batch import OfBatch
from eosin.types import Batch


class Made:
    """Something that can be watched."""


def batch() -> Batch:
    return Batch(np.zeros((3, 2)), np.zeros((3, 4), np.float32), np.array([0, 3]))


def test_it_is_given_for_its_batch_only_and_goes_with_it() -> None:
    one, other, kept = batch(), batch(), OfBatch[Made]()
    assert kept.get(one) is None
    made = kept.put(one, Made())
    assert kept.get(one) is made and kept.get(other) is None
    assert copy.deepcopy(kept).get(one) is None
    watched = weakref.ref(made)
    del made, one
    gc.collect()
    assert watched() is None
    newer = kept.put(other, Made())
    assert kept.get(other) is newer
