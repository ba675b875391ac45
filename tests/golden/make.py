"""Write the files of this version that later versions must still open: python tests/golden/make.py [FOLDER]

Run it once per released format, or with a folder's name where the method changed, never to make a failing test pass.
`0.1.0-kernel`: targets centred within sections, levels of patients, the kernel beneath `stflow`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import toy
from eosin import __version__
from eosin.data import write_prediction
from eosin.data.anndata_door import Thumbnails
from eosin.engine import predict, train
from eosin.features import write_features
from eosin.types import Features, GenePanel, Prediction, Section

HERE = Path(__file__).resolve().parent
TINY = {
    "model": {"width": 8, "edge_width": 8, "n_layers": 1, "n_heads": 2, "n_components": 4, "n_steps": 2},
    "train": {"epochs": 1, "regions_per_section": 2},
}


def sections() -> list[Section]:
    """Two training sections, and one to predict."""
    return [toy.section(name, 25) for name in ("A1", "B1", "A2")]


def panel() -> GenePanel:
    return GenePanel(("GENE1", "GENE4", "GENE7"), "log1p", "given", ("A1", "B1"))


def plain_draws() -> np.ndarray:
    """Draws [2 s g] that no model made, so that the file alone is tested."""
    return np.random.default_rng(5).normal(1.0, 0.5, (2, 25, 3)).astype(np.float32)


def features() -> Features:
    return Features(np.random.default_rng(6).normal(size=(25, 4)), "toy", "toy-1")


def make(folder: Path) -> None:
    *training, judged = sections()
    expected = {}
    for model in ("ridge", "stflow"):
        settings = TINY if model == "stflow" else None
        trained = train(training, model=model, settings=settings, panel=panel(), seed=3, out=folder / model)
        (folder / model / "training.safetensors").unlink(missing_ok=True)  # of a run under way; not a result
        expected[model] = predict(trained, judged, draws=2, seed=4).mean[:3].tolist()
    blank = np.full((4, 4, 3), 255, np.uint8)
    write_prediction(
        Prediction("A2", judged.spots, panel(), plain_draws(), "stflow", 4, provenance={"note": "golden"}),
        folder / "prediction.h5ad",
        thumbnails=Thumbnails(blank, blank, 200.0, 200.0),
    )
    attrs = {"encoder": "toy", "encoder_key": "toy-1", "mpp": 0.5, "tile_um": 112.0, "patch_size": 224}
    attrs |= {"patch_size_level0": 224, "level0_width": 4000, "level0_height": 4000, "name": "A2"}
    write_features(folder / "A2.h5", judged.spots.ids, judged.spots.xy_um, features().values, attrs)
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    make(HERE / (sys.argv[1] if len(sys.argv) > 1 else __version__))
