"""What tests of published networks share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def quick_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights of timm's networks are normal, without cut tails; cutting takes half the time of their making."""

    def normal(tensor: torch.Tensor, mean: float, std: float, *_: float) -> torch.Tensor:
        return tensor if tensor.is_meta else tensor.normal_(mean, std)

    monkeypatch.setattr("timm.layers.weight_init._trunc_normal_", normal)
