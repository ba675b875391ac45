"""A trained model for LazySlide: an object for `zs.tl.feature_prediction`, which predicts at tiles as at spots.

LazySlide has no entry-point group for models; it takes any object with `name`, `model`, `features_model_name`,
`predict`, `to`, `get_transform` and `try_compile`. With `needs_coords` it hands over the tiles' origins, and with
`whole_slide` all tiles of the slide in one call, which neighbourhoods need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eosin import engine
from eosin.engine import Trained
from eosin.errors import EosinError
from eosin.models import Learned
from eosin.types import Features, Section, Spots, check_mpp

SAME_ENCODER: Mapping[str, str] = {
    "uni": "uni",
    "uni2-h": "uni2",
    "gigapath-tile": "gigapath",
    "virchow": "virchow",
    "virchow2": "virchow2",
    "h-optimus-0": "h-optimus-0",
    "h-optimus-1": "h-optimus-1",
    "h0-mini": "h0-mini",
    "phikon": "phikon",
    "phikon-v2": "phikonv2",
    "ctranspath": "ctranspath",
    "hibou-b": "hibou-b",
    "hibou-l": "hibou-l",
}
"""Encoder -> its name in LazySlide, for encoders that are the same in both; LazySlide names tables of features so.

CONCH is not among them: there its features are projected to text, here they are not, and both are 512 wide.
"""


class LazySlideModel:
    """A trained model behind LazySlide's protocol of feature prediction.

    Parameters
    ----------
    trained
        A trained model or its checkpoint folder.
    mpp
        µm per pixel of the slide at full resolution: LazySlide hands over pixels only.
    tile_um
        Width of its tiles, µm.
    draws, seed
        As in `eosin.predict`; a point model gives one draw whatever is asked.
    """

    needs_coords = True
    whole_slide = True

    def __init__(self, trained: Trained | str | Path, *, mpp: float, tile_um: float, draws: int = 16, seed: int = 0):
        self._trained = trained if isinstance(trained, Trained) else engine.load(trained)
        self._mpp = check_mpp(mpp, "mpp")
        if not (np.isfinite(tile_um) and tile_um > 0):
            raise EosinError(f"tiles of {tile_um} µm are impossible", fix="give the width of LazySlide's tiles in µm")
        self._tile_um, self._draws, self._seed = float(tile_um), draws, seed
        self._device = "cpu"

    @property
    def name(self) -> str:
        """`eosin-` and the name of the model."""
        return f"eosin-{self._trained.name}"

    @property
    def model(self) -> Any:
        """The network, or the closed-form model."""
        return self._trained.model

    @property
    def features_model_name(self) -> str:
        """Name of the table of features that LazySlide looks for; `eosin-...` for an encoder that it does not have."""
        encoder = self._trained.encoder.partition("?")[0].partition("@")[0]
        return SAME_ENCODER.get(encoder, f"eosin-{encoder}")

    def get_transform(self) -> Callable[..., Any] | None:
        """None: the model sees features, no pixels."""
        return None

    def to(self, device: Any) -> LazySlideModel:
        """Remember the device; a closed-form model stays where it is."""
        self._device = "cpu" if device is None else str(device)
        return self

    def try_compile(self, **_: Any) -> None:
        """Do nothing: eosin's slow parts are compiled already."""

    def predict(self, features: Any, coords: Any = None) -> dict[str, np.ndarray]:
        """Predict every gene of the panel at every tile of one slide.

        Parameters
        ----------
        features
            [n f], of the encoder that the model was trained on.
        coords
            [n 2] origins (top left) of the tiles, x before y, pixels of the full resolution.

        Returns
        -------
        dict
            For each gene its mean [n], `{gene}_sd` [n], and `{gene}_trust` [n], the correlation that the gene reached
            where it was held out in training, the same at every tile (from 0.5 on its map can be read); and
            `eosin_distance` [n], how far each tile lies from training (1 is usual). float32; what a model of before
            does not know is absent.

        Raises
        ------
        EosinError
            No coordinates, or another width of features.
        """
        values = np.asarray(features.toarray() if hasattr(features, "toarray") else features, dtype=np.float32)
        origins_px = _origins(coords, len(values))
        centres_um = origins_px * self._mpp + self._tile_um / 2
        section = Section(
            name="slide",
            patient="slide",
            spots=Spots(centres_um, self._tile_um, tuple(map(str, range(len(values))))),
            features=Features(values, self._trained.encoder, self._trained.encoder_key),
        )
        self._need_width(values)
        device = self._device if isinstance(self._trained.model, Learned) else "cpu"
        prediction = engine.predict(self._trained, section, draws=self._draws, seed=self._seed, device=device)
        genes = prediction.panel.names
        spread = {f"{gene}_sd": column for gene, column in zip(genes, prediction.sd.T)} if prediction.has_spread else {}
        trust, likeness = prediction.trust, prediction.likeness
        reached = {} if trust is None else {f"{g}_trust": np.float32(r) for g, r in zip(genes, trust.inner_pcc)}
        verdicts = {name: np.full(len(values), r, dtype=np.float32) for name, r in reached.items()}
        distance = {} if likeness is None else {"eosin_distance": likeness.distance.astype(np.float32)}
        return {**dict(zip(genes, prediction.mean.T)), **spread, **verdicts, **distance}

    def _need_width(self, values: np.ndarray) -> None:
        """Refuse features of another width: LazySlide does not say which encoder made them."""
        width = self._trained.n_features
        if values.ndim != 2 or values.shape[1] != width:
            fix = f"extract features by '{self.features_model_name}' and give their key"
            raise EosinError(f"the model takes {width} features a tile, not an array {values.shape}", fix=fix)


def as_lazyslide(trained: Trained | str | Path, *, mpp: float, tile_um: float, draws: int = 16) -> LazySlideModel:
    """A trained model or its checkpoint folder as a model for LazySlide; see `LazySlideModel`."""
    return LazySlideModel(trained, mpp=mpp, tile_um=tile_um, draws=draws)


def _origins(coords: Any, n: int) -> np.ndarray:
    if coords is None:
        fix = "call it by zs.tl.feature_prediction of a LazySlide that knows needs_coords, or pass coords"
        raise EosinError("the model needs the tiles' coordinates", fix=fix)
    origins_px = np.asarray(coords, dtype=np.float64)
    if origins_px.shape != (n, 2):
        raise EosinError(f"coords are {origins_px.shape}, not ({n}, 2)", fix="give the tiles' origins, x before y")
    return origins_px
