"""What is made faster for the CPU computes the same, and what would not is left as it is."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import Tensor, nn

from eosin.encoders.parts.network import Network
from eosin.encoders.parts.on_cpu import fast_on_cpu


def trained(model: nn.Module) -> nn.Module:
    """The model with normalisations as training leaves them."""
    torch.manual_seed(0)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = torch.randn(part.num_features) * 0.1
            part.running_var = torch.rand(part.num_features) + 0.5
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.1)
    return model.eval().requires_grad_(False)


def n_norms(model: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in model.modules())


class Twisted(nn.Module):
    """Convolutions named before normalisations that do not follow them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm_a = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.second, self.norm_b = nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)
        self.more = nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.more(self.norm_a(self.second(self.norm_b(self.first(x))))).mean((2, 3))


@pytest.mark.parametrize("name", ["mobilenetv2_050", "resnet10t"])
def test_a_network_computes_the_same(name: str) -> None:
    model = trained(timm.create_model(name, pretrained=False, num_classes=0))
    before = copy.deepcopy(model.state_dict())
    tiles = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    network = Network(model, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), name="a")
    found = network.features([tiles])
    assert network._on_cpu is not model and network._on_cpu is not None
    assert n_norms(network._on_cpu) < n_norms(model) / 2
    known = model((tiles.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25)
    torch.testing.assert_close(found, known, rtol=1e-4, atol=1e-4 * float(known.abs().max()))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    again = copy.deepcopy(network)  # as for a second device
    torch.testing.assert_close(again.features([tiles]), found)


def test_a_network_whose_modules_are_named_in_another_order_is_left_as_it_is() -> None:
    model = trained(Twisted())
    assert fast_on_cpu(model, 32) is model


def test_a_transformer_is_left_as_it_is() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.Flatten(), nn.Linear(8 * 16, 4)).eval()
    assert fast_on_cpu(model, 32) is model
