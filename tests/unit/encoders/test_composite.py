from __future__ import annotations

import pytest
import torch

from eosin.encoders import Encoder, EncoderCard, View, check_encoder, get_encoder
from eosin.encoders.composite import Composite
from eosin.encoders.parts.spec_text import split_list, split_spec
from eosin.errors import EosinError

SPEC = "stain?px=112+pixels?px=16"


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("stain", ["stain"]),
        ("stain+pixels?px=32", ["stain", "pixels?px=32"]),
        (SPEC, ["stain?px=112", "pixels?px=16"]),
        ("stain@a+b.safetensors+timm:net@c", ["stain@a+b.safetensors", "timm:net@c"]),
        ("uni+conch", ["uni", "conch"]),  # unknown names are parted too, so that the error names the right one
        ("timm:net@a+b.safetensors?px=64+stain", ["timm:net@a+b.safetensors?px=64", "stain"]),
        ("timm:net@a/b+stain.safetensors", ["timm:net@a/b+stain.safetensors"]),
        ("timm:net@x?licence=CC+BY+4.0+pixels", ["timm:net@x?licence=CC+BY+4.0", "pixels"]),
        ("+stain", ["", "stain"]),
    ],
)
def test_where_a_spec_is_parted(spec, parts):
    assert split_spec(spec, {"stain", "pixels", "timm"}.__contains__) == parts


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("stain", ["stain"]),
        ("stain, pixels", ["stain", "pixels"]),
        ("stain?tile_um=165,330,pixels?px=16", ["stain?tile_um=165,330", "pixels?px=16"]),
        ("stain?tile_um=165,330,stain+pixels", ["stain?tile_um=165,330", "stain+pixels"]),
        ("uni,conch", ["uni", "conch"]),
    ],
)
def test_commas_part_encoders_but_not_the_numbers_of_a_setting(text, specs):
    assert split_list(text, {"stain", "pixels"}.__contains__) == specs


def test_contract():
    encoder = get_encoder(SPEC)
    check_encoder(encoder)
    again = get_encoder(encoder.spec)
    assert (again.spec, again.key, again.folder) == (SPEC, encoder.key, encoder.folder)


def test_vectors_stand_side_by_side_in_the_order_of_names():
    parts = [get_encoder(spec) for spec in SPEC.split("+")]
    both, turned = get_encoder(SPEC), get_encoder("+".join(reversed(SPEC.split("+"))))
    tiles = [torch.randint(0, 256, (3, view.px, view.px, 3), dtype=torch.uint8) for view in both.views]
    one, other = parts[0].encode(tiles[:2]), parts[1].encode(tiles[2:])
    assert torch.equal(both.encode(tiles), torch.cat([one, other], 1))
    assert torch.equal(turned.encode([tiles[2], *tiles[:2]]), torch.cat([other, one], 1))
    assert both.key != turned.key and both.n_features == sum(part.n_features for part in parts)


class _Owned(Encoder):
    """An encoder with terms of its own."""

    views, spec, key = (View(50.0, 8),), "owned", "owned-1"
    card = EncoderCard("owned", "a hub", "CC BY-NC 4.0", False, True, 1, "its authors")

    def encode(self, tiles):
        return tiles[0].float().mean((1, 2, 3))[:, None]


def test_the_strictest_terms_hold():
    card = Composite([get_encoder("pixels"), _Owned(), get_encoder("stain")]).card
    assert card.name == "pixels+owned+stain"
    assert card.licence == "BSD-3-Clause and CC BY-NC 4.0"
    assert not card.commercial and card.gated
    free = get_encoder(SPEC).card
    assert free.commercial and not free.gated


@pytest.mark.parametrize(
    ("spec", "says"), [("stain+pixls", "'pixls'; did you mean 'pixels'"), ("stain+", "no encoder is called ''")]
)
def test_a_wrong_part_is_named(spec, says):
    with pytest.raises(EosinError, match="no encoder is called") as caught:
        get_encoder(spec)
    assert says in str(caught.value)


def test_settings_beside_several_encoders_are_refused():
    with pytest.raises(EosinError, match="several encoders"):
        get_encoder(SPEC, px=64)
