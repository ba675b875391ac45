"""The width of a tile is a setting of every encoder, under one name, and travels in its spec and key."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import pytest
import torch

from eosin.encoders import ENCODERS, Encoder, EncoderCard, View, get_encoder
from eosin.encoders.parts.field_of_view import log_if_enlarged, with_current_names, with_tile
from eosin.errors import EosinError
from eosin.options import DEFAULT_ENCODER


class Fixed(Encoder):
    """Looks at no setting, as an encoder of someone else's may."""

    views, spec, key = (View(50.0, 8),), "fixed", "fixed-1"
    card = EncoderCard("fixed", "", "MIT", True, False, 1, "")

    def encode(self, tiles: Sequence[torch.Tensor]) -> torch.Tensor:
        return tiles[0].float().mean((1, 2, 3))[:, None]


@pytest.fixture
def fixed() -> Iterator[str]:
    ENCODERS.add("fixed", lambda argument="", **settings: Fixed())
    yield "fixed"
    del ENCODERS._known["fixed"]


@pytest.mark.parametrize(
    ("spec", "tile_um", "want"),
    [
        ("stain", None, "stain"),
        (DEFAULT_ENCODER, None, DEFAULT_ENCODER),
        (DEFAULT_ENCODER, 120, "stain?tile_um=120"),  # its members would be the same
        ("stain?px=96+stain", 120, "stain?px=96&tile_um=120+stain?tile_um=120"),
        ("stain", 100, "stain?tile_um=100"),
        ("stain?px=112", [165.5, 330], "stain?px=112&tile_um=165.5,330"),
        ("stain?tile_um=9&px=112", 100, "stain?px=112&tile_um=100"),
        ("stain?widths_um=1,2", 100, "stain?tile_um=100"),
        ("uni@a+b.safetensors?precision=float16", 224, "uni@a+b.safetensors?precision=float16&tile_um=224"),
        ("stain+pixels?px=16", 100, "stain?tile_um=100+pixels?px=16&tile_um=100"),
        ("trident_features", 112, "trident_features?tile_um=112"),  # need not be an encoder that is here
    ],
)
def test_it_is_written_into_the_spec(spec: str, tile_um: float | list[float] | None, want: str) -> None:
    assert with_tile(spec, tile_um) == want


def test_what_is_built_has_it_and_makes_itself_again() -> None:
    for spec in ("stain?px=96", "pixels?px=16", "stain?px=96+pixels?px=16"):
        asked = with_tile(spec, 123.4567891)
        made = get_encoder(asked)
        assert {view.width_um for view in made.views} == {123.4567891}
        assert "123.4567891um" in made.key and made.key != get_encoder(spec).key
        assert get_encoder(made.spec).key == made.key
    assert get_encoder("stain", tile_um=100).spec == "stain?tile_um=100"


@pytest.mark.parametrize(
    ("old", "new"),
    [("stain?widths_um=100,200", "stain?tile_um=100,200"), ("pixels?width_um=50", "pixels?tile_um=50")],
)
def test_the_old_names_are_read_and_mean_the_same(old: str, new: str) -> None:
    """Checkpoints and feature files of earlier versions have them."""
    assert get_encoder(old).key == get_encoder(new).key and get_encoder(old).spec == new
    assert with_current_names({"widths_um": "1", "tile_um": "2", "px": 3}) == {"tile_um": "2", "px": 3}


@pytest.mark.parametrize(
    ("encoder", "tile_um", "says"),
    [
        ("stain", -5, "empty"),
        ("stain", 0, "empty"),
        ("stain", float("nan"), "empty"),
        ("stain", [], "empty"),
        ("stain", float("inf"), "wider than any slide"),
        ("stain", 1e9, "wider than any slide"),
        ("stain+pixls", 100, "'pixls'; did you mean 'pixels'"),
        (Fixed(), 100, "is made already"),
    ],
)
def test_what_is_no_width_is_refused_before_anything_is_built(encoder: object, tile_um: object, says: str) -> None:
    with pytest.raises(EosinError, match=says):
        with_tile(encoder, tile_um)


def test_an_encoder_that_does_not_look_at_it_is_refused(fixed: str) -> None:
    """Else all would be encoded at another width than was asked for."""
    with pytest.raises(EosinError, match=r"'fixed' has a field of view of its own, 50um/8px; leave tile_um out"):
        get_encoder(f"{fixed}?tile_um=100")
    assert get_encoder(f"{fixed}?tile_um=50").key == "fixed-1"


def test_enlarged_pixels_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    encoder = get_encoder("pixels?px=64&tile_um=31.7")  # 0.495 µm per pixel
    with caplog.at_level(logging.INFO, "eosin"):
        log_if_enlarged(encoder, 0.25)
        log_if_enlarged(encoder, 0.502)  # as scanners differ
        assert not caplog.records
        for _ in range(3):
            log_if_enlarged(encoder, 0.997)
    assert [record.getMessage() for record in caplog.records] == [
        "encoder 'pixels' takes 31.7 µm in 64 px (0.495 µm per pixel): "
        "tiles of slides of 0.997 µm per pixel are enlarged"
    ]
