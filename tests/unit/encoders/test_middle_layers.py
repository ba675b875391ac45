"""Middle layers of a network, pooled: what they are, and that they stand in key, card and width."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from eosin.encoders import Encoder, check_encoder, get_encoder
from eosin.encoders.parts.middle_layers import MiddleLayers
from eosin.errors import EosinError

ARCH, LAYERS = "resnet18", ("layer1", "layer2.0")


@pytest.fixture(scope="module")
def model() -> nn.Module:
    import timm

    torch.manual_seed(3)
    return timm.create_model(ARCH, num_classes=0).eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, model: nn.Module) -> Path:
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file(model.state_dict(), path)
    return path


def made(weights: Path, settings: str) -> Encoder:
    return get_encoder(f"timm:{ARCH}@{weights}?px=64&{settings}")


def maps_of(model: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """Maps [b c h w] after layer1 and after the first block of layer2, step by step."""
    with torch.inference_mode():
        first = model.layer1(model.maxpool(model.act1(model.bn1(model.conv1(images)))))
        return [first, model.layer2[0](first)]


def literal(pooling: str, maps: torch.Tensor) -> torch.Tensor:
    rows = []
    for one in maps.double():  # [c h w]
        pixels = one.flatten(1)
        if pooling == "gram":
            gram = pixels @ pixels.T / pixels.shape[1]
            rows.append(torch.stack([gram[i, j] for i in range(len(gram)) for j in range(i, len(gram))]))
        else:
            parts = [pixels.mean(1)] + ([pixels.var(1, correction=0).sqrt()] if pooling == "mean+sd" else [])
            rows.append(torch.cat(parts))
    return torch.stack(rows).float()


@pytest.mark.parametrize(("pooling", "width"), [("mean", 192), ("mean+sd", 384), ("gram", 2080 + 8256)])
def test_maps_are_pooled_as_they_are_defined(model: nn.Module, weights: Path, pooling: str, width: int) -> None:
    encoder = made(weights, f"layers={','.join(LAYERS)}&pooling={pooling}")
    tile = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    mean, std = (torch.tensor(model.pretrained_cfg[k]).view(3, 1, 1) for k in ("mean", "std"))
    maps = maps_of(model, (tile.permute(0, 3, 1, 2) / 255 - mean) / std)
    expected = torch.cat([literal(pooling, each) for each in maps], 1)
    torch.testing.assert_close(encoder.encode([tile]), expected, rtol=1e-4, atol=1e-5)
    assert encoder.n_features == encoder.card.width == width
    assert (encoder.card.layers, encoder.card.pooling) == (LAYERS, pooling)


def test_contract_with_threads_and_copies(weights: Path) -> None:
    encoder = made(weights, "layers=layer1&pooling=mean%2Bsd&tile_um=100,200")
    check_encoder(encoder)
    tiles = [torch.randint(0, 256, (19, 64, 64, 3), dtype=torch.uint8) for _ in range(2)]
    n = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = encoder.encode(tiles)
        torch.set_num_threads(3)
        torch.testing.assert_close(encoder.encode(tiles), alone)
        torch.testing.assert_close(copy.deepcopy(encoder).encode(tiles), alone)
    finally:
        torch.set_num_threads(n)


def test_layers_and_pooling_are_in_key_and_spec(weights: Path) -> None:
    settings = ["tile_um=112", "layers=layer1", "layers=layer2", "layers=layer2,layer1", "layers=layer1,layer2"]
    settings += ["layers=layer1&pooling=mean+sd", "layers=layer1&pooling=gram", "pooling=mean+sd"]
    encoders = [made(weights, one) for one in settings]
    assert len({encoder.key for encoder in encoders}) == len(settings)
    assert all(get_encoder(encoder.spec).key == encoder.key for encoder in encoders)
    assert made(weights, "layers=layer1&pooling=mean").key == encoders[1].key
    assert "pooling" not in encoders[0].key  # as before there were layers
    assert encoders[-1].n_features == 1024  # the last map's mean and sd


def test_tokens_count_as_pixels_without_the_class_token() -> None:
    import timm

    trunk = timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=2, img_size=32).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        tokens = trunk.blocks[0](trunk.norm_pre(trunk._pos_embed(trunk.patch_embed(images))))
        torch.testing.assert_close(MiddleLayers(trunk, ["blocks.0"], "mean")(images), tokens[:, 1:].mean(1))


def test_what_lies_behind_the_last_wanted_layer_is_not_computed(model: nn.Module) -> None:
    trunk = copy.deepcopy(model)
    later: list[int] = []
    trunk.layer3.register_forward_hook(lambda *_: later.append(1))
    MiddleLayers(trunk, ["layer2", "layer1"], "mean")(torch.randn(1, 3, 64, 64))
    assert not later


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("layers=layer9", "no layer 'layer9'; did you mean 'layer"),
        ("layers=", "no layer ''"),
        ("layers=layer1&pooling=max", "'pooling'"),
        ("layers=layer4&pooling=gram", "too wide a Gram matrix"),
        ("layers=fc", "takes no part in the features"),
    ],
)
def test_wrong_layers_are_refused_in_one_line(weights: Path, settings: str, says: str) -> None:
    with pytest.raises(EosinError, match=says):
        made(weights, settings)
