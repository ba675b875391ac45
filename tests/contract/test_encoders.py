"""Every registered encoder keeps the contract that ships with the package."""

from __future__ import annotations

import copy
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


class _Shown(Encoder):
    """Mean colour less that of the slide, with one fault at a time."""

    def __init__(self, fault: str):
        self.fault, self.mean, self.calls = fault, 0.0, 0
        self.views, self.slide_views, self.spec = (View(50.0, 32),), (View(99.0, 16),), "shown"
        self.card = EncoderCard("shown", "", "MIT", True, False, 3, "")

    @property
    def key(self) -> str:
        return f"shown{self.mean if self.fault == 'key' else ''}"

    def for_slide(self, windows):
        self.calls += 1
        made = self if self.fault == "changes itself" else copy.copy(self)
        pixels = windows[0].float()
        made.mean = float(pixels.mean()) if len(pixels) or self.fault == "unread" else 0.0
        made.slide_facts = {"mean": made.mean + (self.calls if self.fault == "random" else 0)}
        return made

    def encode(self, tiles):
        return tiles[0].float().mean((1, 2)) / 255 - self.mean


def test_check_passes_a_sound_encoder_of_slides() -> None:
    check_encoder(_Shown("none"))


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("key", "another key"),
        ("changes itself", "is changed by"),
        ("random", "otherwise the second time"),
        ("unread", "NaN or infinity for a slide"),
    ],
)
def test_check_sees_each_fault_with_slides(fault: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"encoder 'shown' .*{says}"):
        check_encoder(_Shown(fault))
