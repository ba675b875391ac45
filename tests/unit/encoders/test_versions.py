"""A spec that was stored without a version is read as the version that its key tells."""

from __future__ import annotations

import pytest

from eosin.encoders import get_encoder
from eosin.encoders.parts.versions import is_earlier, with_version, without_version

ONE = "stain;version=1;views=165um/224px;resize=bicubic"
TWO = ONE.replace("version=1", "version=2")


@pytest.mark.parametrize(
    ("spec", "key", "read_as"),
    [
        ("stain", ONE, "stain?version=1"),
        ("stain?px=96&tile_um=120", ONE, "stain?px=96&tile_um=120&version=1"),
        ("stain?version=1", ONE, "stain?version=1"),
        ("stain", TWO, "stain"),
        ("stain+pixels?px=16", f"{ONE}+pixels;16", "stain?version=1+pixels?px=16"),
        ("stain?px=96+stain?tile_um=100,660", f"{TWO}+{ONE}", "stain?px=96+stain?tile_um=100,660&version=1"),
        ("virchow+stain", f"virchow;pooling=class+mean;mean=1+{ONE}", "virchow+stain?version=1"),
        ("stain", "file;encoder=stain;width=442", "stain"),
        ("uni@a+b.safetensors", "uni;weights=0", "uni@a+b.safetensors"),
        ("stain+uni", f"{ONE}", "stain+uni"),  # they do not belong together: nothing is guessed
        ("", "stain-v1", ""),
    ],
)
def test_the_spec_agrees_with_the_key(spec, key, read_as):
    assert with_version(spec, key) == read_as
    assert without_version(read_as) == without_version(spec)


@pytest.mark.parametrize("spec", ["stain", "stain?px=112", "stain+stain?tile_um=100,660", "stain+pixels?px=16"])
def test_what_was_stored_makes_the_encoder_of_its_key(spec):
    """For every part of `stain`: what an earlier version of eosin wrote, and what is made of it now."""
    key = get_encoder(spec).key.replace("stain;version=2;", "stain;version=1;")
    assert get_encoder(with_version(spec, key)).key == key != get_encoder(spec).key
    assert is_earlier(key) and not is_earlier(get_encoder(spec).key)
