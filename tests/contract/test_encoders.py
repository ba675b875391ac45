"""Every registered encoder keeps the contract that ships with the package."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from eosin.encoders import ENCODERS, Encoder, EncoderCard, View, check_encoder, get_encoder
from eosin.encoders.parts.published import NAMES as ZOO
from eosin.encoders.zoo import build_untrained

ARCH = "resnet18"


def _timm_spec(folder: Path) -> str:
    import timm

    torch.manual_seed(0)
    path = folder / "weights.safetensors"
    save_file(timm.create_model(ARCH, num_classes=7).state_dict(), path)
    return f"timm:{ARCH}@{path}?px=64"


@pytest.mark.parametrize("name", [one for one in ENCODERS if one not in ZOO])
def test_contract(name: str, tmp_path: Path) -> None:
    spec = _timm_spec(tmp_path) if name == "timm" else name
    encoder = get_encoder(spec)
    check_encoder(encoder)
    again = get_encoder(encoder.spec)
    assert again.key == encoder.key and again.folder == encoder.folder
    assert get_encoder(encoder) is encoder


@pytest.mark.parametrize("name", ["kaiko-s16", "h0-mini", "conch", "ctranspath", "ciga"])
def test_contract_of_published_encoders(name: str) -> None:
    """One of each pooling and stem, untrained and shallow; `unit/encoders/test_zoo.py` runs all of them once."""
    check_encoder(build_untrained(name, depth=1))


class _Broken(Encoder):
    """Mean colour, with one fault at a time."""

    def __init__(self, fault: str):
        self.fault, self.calls = fault, 0
        self.views, self.spec = (View(50.0, 32),), "broken"
        self.card = EncoderCard("broken", "", "MIT", True, False, 3, "")

    @property
    def key(self) -> str:
        self.calls += 1
        return f"broken{self.calls if self.fault == 'key' else ''}"

    def encode(self, tiles):
        self.calls += 1
        values = tiles[0].float().mean((1, 2)) / 255
        match self.fault:
            case "whitened over the batch":
                return values - values.mean(0)
            case "random":
                return values + 0.01 * self.calls
            case "nan":
                return values / values.std(1, keepdim=True)
            case "shape":
                return values[:, :2]
            case "double":
                return values.double()
            case "constant":
                return values * 0
            case "overwrites":
                tiles[0].zero_()
        return values


def test_check_passes_a_sound_encoder() -> None:
    check_encoder(_Broken("none"))


@pytest.mark.parametrize(
    "fault", ["whitened over the batch", "random", "nan", "shape", "double", "constant", "overwrites", "key"]
)
def test_check_sees_each_fault(fault: str) -> None:
    with pytest.raises(ValueError, match="encoder 'broken'"):
        check_encoder(_Broken(fault))
