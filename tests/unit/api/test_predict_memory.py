"""`memory` says how a prediction is made, not what it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import eosin
import toy
from eosin.api.predict_cohort import PredictWork
from eosin.data import read_prediction
from eosin.engine import memory_bounds
from eosin.errors import EosinError
from eosin.options import DrawOptions, FeatureOptions, LayoutOptions, ReadOptions


def test_what_is_done_stays_done_with_other_memory() -> None:
    work = PredictWork(Path("run"), "key", DrawOptions(), FeatureOptions(), LayoutOptions(), ReadOptions())
    assert work.key() == replace(work, drawing=DrawOptions(memory=9.0)).key()
    assert work.key() != replace(work, drawing=DrawOptions(draws=3)).key()


def test_a_file_made_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = toy.cohort(60)
    model = eosin.train(cohort[:3], model="ridge", genes="var:4", encoder="toy")
    whole = eosin.predict(model, cohort[3], draws=3, out=tmp_path / "whole.h5ad")
    monkeypatch.setattr(memory_bounds, "_GIB", 1)  # nothing fits
    monkeypatch.setattr(memory_bounds, "_FEWEST", 20)
    kept = eosin.predict(model, cohort[3], draws=3)
    assert np.allclose(kept.draws, whole.draws, atol=1e-5)
    pieces = eosin.predict(model, cohort[3], draws=3, out=tmp_path / "pieces.h5ad")
    assert pieces.n_draws == 1 and np.allclose(pieces.mean, whole.mean, atol=1e-5)
    found = [read_prediction(tmp_path / f"{name}.h5ad") for name in ("whole", "pieces")]
    assert np.allclose(found[0].quantile(0.95), found[1].quantile(0.95), atol=1e-5)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["pieces.h5ad", "whole.h5ad"]
    eosin.predict(model, cohort[3], draws=3, keep_draws=True, out=tmp_path / "pieces.h5ad")
    assert np.allclose(read_prediction(tmp_path / "pieces.h5ad").draws, whole.draws, atol=1e-5)


def test_too_little_memory_is_refused() -> None:
    cohort = toy.cohort(40)
    model = eosin.train(cohort[:3], model="ridge", genes="var:4", encoder="toy")
    with pytest.raises(EosinError, match=r"--memory is 0.5 GiB; give 1.5 or more"):
        eosin.predict(model, cohort[3], memory=0.5)
