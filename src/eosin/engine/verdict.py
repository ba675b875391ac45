"""What training showed about a network on a closed-form base: whether it added anything to that base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eosin.models import Learned, Model

ADDED_NOTHING = "added nothing"
"""`metrics["network"]` of a model whose validation kept epoch 0."""


def of_network(model: Model, metrics: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
    """`network` and `network_note` for the metrics of a finished training; empty where the network took a part.

    Parameters
    ----------
    model
        The trained model.
    metrics
        What training measured: `epochs` is the number of epochs that was kept.
    settings
        Of the model; `base` names what it stands on.
    """
    kept = isinstance(model, Learned) and model.starts_from_base and metrics.get("epochs") == 0
    if not kept or not metrics.get("finished"):
        return {}
    note = (
        f"The network {ADDED_NOTHING}: inner validation kept epoch 0. This model is its base '{settings.get('base')}', "
        "with noise where it draws."
    )
    return {"network": ADDED_NOTHING, "network_note": note}
