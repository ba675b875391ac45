"""Features that another tool computed serve to train and to predict."""

from __future__ import annotations

import h5py
import numpy as np

import toy
from eosin.api.predict import predict
from eosin.api.train import train
from eosin.options import DEFAULT_ENCODER


def test_feature_files_without_our_key_train_and_predict(tmp_path):
    sections = toy.cohort(40)
    folder = tmp_path / "features"
    folder.mkdir()
    for section in sections:
        with h5py.File(folder / f"{section.name}.h5", "w") as file:
            file["features"] = section.need_features().values
            file["coords"] = np.zeros((len(section), 2))
            file["barcodes"] = np.array([name.encode() for name in section.spots.ids])[:, None]
    from dataclasses import replace

    bare = [replace(section, features=None) for section in sections]
    trained = train(bare[:3], features=folder, model="ridge", genes="var:5", out=tmp_path / "run")
    assert trained.encoder == DEFAULT_ENCODER  # believed to be what was asked for
    unmeasured = replace(bare[3], counts=None, genes=None)
    prediction = predict(tmp_path / "run", unmeasured, features=folder)
    assert prediction.mean.shape == (40, 5)
