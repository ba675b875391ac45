from __future__ import annotations

import numpy as np
import pytest
import torch

from eosin.encoders import get_encoder
from eosin.errors import EosinError


def test_features_are_the_tile_row_by_row():
    encoder = get_encoder("pixels?px=8")
    tiles = torch.randint(0, 256, (5, 8, 8, 3), dtype=torch.uint8)
    values = encoder.encode([tiles])
    assert values.shape == (5, 192) and values.dtype == torch.float32
    assert torch.equal(values.reshape(5, 8, 8, 3).to(torch.uint8), tiles)
    assert values[2, 3 * (8 * 1 + 4) + 2] == tiles[2, 1, 4, 2]  # row 1, column 4, blue
    assert np.array_equal(values.numpy().astype(np.float16), values.numpy())  # half the space loses nothing


def test_window_and_key_follow_the_settings():
    encoder = get_encoder("pixels?px=32&width_um=224")
    assert [str(view) for view in encoder.views] == ["224um/32px"]
    assert get_encoder("pixels?px=32").key != encoder.key != get_encoder("pixels?width_um=224").key
    assert get_encoder("pixels").spec == "pixels" and get_encoder("pixels").n_features == 3 * 64**2


@pytest.mark.parametrize("spec", ["pixels:64", "pixels?px=4", "pixels?width=112"])
def test_what_it_does_not_know_is_refused(spec):
    with pytest.raises(EosinError, match="encoder 'pixels'"):
        get_encoder(spec)
