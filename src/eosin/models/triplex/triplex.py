"""TRIPLEX: target, neighbour and global views of a spot, fused (Chung et al., CVPR 2024).

The network is in `triplex_net.py`, the loss in `distillation.py`, the regression around it in `regression.py`. All
three views are made of frozen features, as in STFlow's comparison. With `image_px` a trained ResNet-18 makes the target
view from the spot's pixels, as published (`image_branch.py`).
Where eosin differs from the paper or its release, and why:

- Neighbours are the nearest measured spots, not 24 tiles cut around the spot: no second encoding. On a square
  lattice these are the 5 x 5 window.
- The lattice of the positional convolution comes from each section's own spacing (`eosin.geometry.lattice_positions`).
  The release rounds to 20 pixels, and keeps the grid of the first slide that it sees for all others.
- A window's state is the mean over the neighbours that are there; the release takes it over all 25 places.
- Neighbour tokens are dropped out before the window; the release has no dropout there.
- Dropout is off at inference; in the release it stays on in the global view. Attention weights have none.
- A step sees connected regions, each encoded once; the release encodes every slide anew for every 128 spots.
- The epoch is chosen on training sections (the release chooses on the test fold). The learning rate is constant.
- The default is small, and regresses what a closed-form base leaves over; preset `paper` is the published model.
"""

from __future__ import annotations

from pydantic import Field

from eosin.errors import EosinError
from eosin.models.base import MODELS, Learned, ModelEntry
from eosin.models.parts.image_branch import Backbone, BackboneTokens, PixelColumns
from eosin.models.parts.image_regression import ImageRegression
from eosin.models.parts.objective import ValueObjective
from eosin.models.parts.on_base import NetworkUnits, OnBaseSettings
from eosin.models.parts.regression import RegressionModel
from eosin.models.triplex.distillation import Distillation
from eosin.models.triplex.triplex_net import Triplex, TriplexNetwork
from eosin.types import GenePanel


class TriplexSettings(OnBaseSettings, TriplexNetwork):
    """The network's settings, the base's, then those of training and of pixels."""

    distillation: float = Field(
        0.3, ge=0, le=1, description="how much each view learns from the fused guess instead of from the target"
    )
    clamp: bool = Field(False, description="raise guesses below 0 to 0, in training too, as the release does")
    image_px: int | None = Field(
        None,
        ge=8,
        description="train the target view on tiles of so many pixels a side, which are the last features, as "
        "--encoder stain+pixels?px=64 makes them; none: frozen features",
    )
    image_backbone: str = Field("resnet18", description="convolutional network of timm for `image_px`")
    image_weights: str | None = Field(
        None, description="its .safetensors file to start from; none: at random, with statistics of training tiles"
    )
    image_turns: bool = Field(True, description="flip and turn the tiles of `image_px` at random in training")


def build(
    settings: TriplexSettings, n_features: int, panel: GenePanel, *, objective: ValueObjective | None = None
) -> Learned:
    """Put the parts together; no I/O, no device.

    Parameters
    ----------
    objective
        What training minimises, of the four guesses [4 s g]; none: `Distillation`.

    Raises
    ------
    EosinError
        A width that the heads do not divide; pixels without other features.
    """
    if settings.width % settings.n_heads:
        raise EosinError(f"{settings.n_heads} heads do not divide width {settings.width}", fix="change one of them")
    objective, px = objective or Distillation(settings.distillation), settings.image_px
    if px is None:
        return _regression(settings, n_features, panel, objective)
    columns = PixelColumns.of(n_features, px)
    if columns.n_rest == 0:
        raise EosinError(
            "'triplex' has pixels but no features for the neighbours and the whole slide",
            fix=f'encode with --encoder "stain+pixels?px={px}"',
        )
    own = BackboneTokens(Backbone(settings.image_backbone, px, settings.image_weights), settings.width)
    regression = _regression(settings, columns.n_rest, panel, objective, own)
    return ImageRegression(regression, columns, turns=settings.image_turns)


def _regression(
    settings: TriplexSettings,
    n_features: int,
    panel: GenePanel,
    objective: ValueObjective,
    own: BackboneTokens | None = None,
) -> RegressionModel:
    units = NetworkUnits.of(settings, n_features, panel)
    network = Triplex(units.inputs.n_out, len(panel), settings, own)
    return RegressionModel(network, objective, units, clamp=settings.clamp)


MODELS.add(
    "triplex",
    ModelEntry(
        build,
        TriplexSettings,
        "target, neighbour and global views fused by cross-attention",
        "Chung et al., CVPR 2024",
        presets={
            "paper": {
                "model": {
                    "width": 512,
                    "n_heads": 8,
                    "n_window_layers": 2,
                    "n_global_layers": 2,
                    "n_fusion_layers": 2,
                    "dropout": 0.1,
                    "released_norms": True,
                    "residual_positions": False,
                    "clamp": True,
                    "n_components": None,
                    "standardise": False,
                    "base": "none",
                },
                "train": {"lr": 1e-4, "ema": 0.0, "epochs": 100, "patience": 20},
            },
            "small": {"model": {"width": 32, "n_components": 64}},
        },
    ),
)
