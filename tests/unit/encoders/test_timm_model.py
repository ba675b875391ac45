"""Weights fit or are refused; what is given to the model is what it was trained on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from eosin.encoders import get_encoder
from eosin.errors import EosinError

ARCH = "resnet18"


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    import timm

    torch.manual_seed(3)
    return timm.create_model(ARCH, num_classes=5).eval()


@pytest.fixture
def weights(tmp_path: Path, model: torch.nn.Module) -> Path:
    path = tmp_path / "w.safetensors"
    save_file(model.state_dict(), path)
    return path


def _tile(seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (2, 64, 64, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_features_are_the_models(weights: Path, model: torch.nn.Module) -> None:
    encoder = get_encoder(f"timm:{ARCH}@{weights}?px=64")
    mean, std = (torch.tensor(model.pretrained_cfg[k]).view(3, 1, 1) for k in ("mean", "std"))
    with torch.inference_mode():
        image = (_tile().permute(0, 3, 1, 2) / 255 - mean) / std
        expected = model.forward_head(model.forward_features(image), pre_logits=True)
    torch.testing.assert_close(encoder.encode([_tile()]), expected, rtol=1e-4, atol=1e-5)
    assert encoder.views[0].width_um == 112.0 and encoder.n_features == 512


def test_several_views_stand_side_by_side(weights: Path) -> None:
    one = get_encoder(f"timm:{ARCH}@{weights}?px=64")
    two = get_encoder(f"timm:{ARCH}@{weights}?px=64&widths_um=165,330")
    both = two.encode([_tile(0), _tile(1)])
    torch.testing.assert_close(both, torch.cat([one.encode([_tile(0)]), one.encode([_tile(1)])], 1))
    assert two.n_features == 1024 and one.key != two.key


@pytest.mark.parametrize("setting", ["mean=0.5,0.5,0.5", "std=0.5,0.5,0.5", "widths_um=100", "px=96"])
def test_settings_are_in_the_key_and_the_spec(weights: Path, setting: str) -> None:
    plain, other = get_encoder(f"timm:{ARCH}@{weights}"), get_encoder(f"timm:{ARCH}@{weights}?{setting}")
    assert plain.key != other.key
    assert get_encoder(other.spec).key == other.key


def test_weights_are_in_the_key(weights: Path, tmp_path: Path) -> None:
    first = get_encoder(f"timm:{ARCH}@{weights}?px=64")
    tensors = load_file(weights)
    tensors["conv1.weight"] = tensors["conv1.weight"] * 1.001
    save_file(tensors, tmp_path / "other.safetensors")
    assert get_encoder(f"timm:{ARCH}@{tmp_path / 'other.safetensors'}?px=64").key != first.key
    moved = weights.rename(tmp_path / "moved.safetensors")
    assert get_encoder(f"timm:{ARCH}@{moved}?px=64").key == first.key  # the place of the file is not what it says


def test_half_precision_weights_compute_in_single(weights: Path, tmp_path: Path) -> None:
    save_file(
        {n: t.half() if t.is_floating_point() else t for n, t in load_file(weights).items()}, tmp_path / "h.safetensors"
    )
    half = get_encoder(f"timm:{ARCH}@{tmp_path / 'h.safetensors'}?px=64").encode([_tile()])
    full = get_encoder(f"timm:{ARCH}@{weights}?px=64").encode([_tile()])
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0.05, atol=0.05)


def test_misfits_are_refused(weights: Path, tmp_path: Path) -> None:
    tensors = load_file(weights)
    changes = {
        "lack 1 tensors": {n: t for n, t in tensors.items() if n != "conv1.weight"},
        "unknown to it": {**tensors, "extra.weight": torch.zeros(1)},
        "another shape": {**tensors, "conv1.weight": torch.zeros(1, 3, 7, 7)},
    }
    for message, changed in changes.items():
        save_file(changed, tmp_path / "bad.safetensors")
        with pytest.raises(EosinError, match=rf"bad.safetensors: .*{message}"):
            get_encoder(f"timm:{ARCH}@{tmp_path / 'bad.safetensors'}")


def test_files_that_are_no_weights(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"pickle")
    with pytest.raises(EosinError, match=r"w.pth: weights are read from .safetensors only"):
        get_encoder(f"timm:{ARCH}@{tmp_path / 'w.pth'}")
    with pytest.raises(EosinError, match="no such file of weights"):
        get_encoder(f"timm:{ARCH}@{tmp_path / 'gone.safetensors'}")
    with pytest.raises(EosinError, match=r"'mean' is .* three numbers"):
        get_encoder(f"timm:{ARCH}@{weights}", mean="0.5")
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(EosinError, match="not readable as safetensors"):
        get_encoder(f"timm:{ARCH}@{weights}")
    with pytest.raises(EosinError, match="no architecture 'resnet1'"):
        get_encoder(f"timm:resnet1@{weights}")
    with pytest.raises(EosinError, match="needs its arch and weights"):
        get_encoder("timm")


def test_offline_hub_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def refuse(*args: object, **kwargs: object) -> str:
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(EosinError, match=r"'some/model'.*local .safetensors"):
        get_encoder(f"timm:{ARCH}@some/model")
