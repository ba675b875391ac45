"""The default encoder is stated once, and is two members of `stain`."""

from __future__ import annotations

import inspect

import eosin
from eosin.encoders import get_encoder
from eosin.options import DEFAULT_ENCODER, FeatureOptions


def test_every_verb_has_the_same_default() -> None:
    assert FeatureOptions().encoder == DEFAULT_ENCODER
    for verb in (eosin.encode, eosin.train, eosin.read):
        assert inspect.signature(verb).parameters["encoder"].default == DEFAULT_ENCODER, verb
    for verb in (eosin.bench, eosin.study):
        assert inspect.signature(verb).parameters["encoders"].default == (DEFAULT_ENCODER,), verb


def test_it_is_two_members_of_stain_in_its_newest_version() -> None:
    encoder = get_encoder(DEFAULT_ENCODER)
    assert [view.width_um for view in encoder.views] == [165, 330, 100, 660]
    assert encoder.n_features == 884 and encoder.key.count("stain;version=2;") == 2
    assert encoder.spec == DEFAULT_ENCODER and len(encoder.slide_views) == 1
