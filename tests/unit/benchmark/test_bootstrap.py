"""The interval covers what it should, is paired, and is of genes and sections."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eosin.benchmark.bootstrap import compare, interval


def rows(values: np.ndarray) -> dict[str, dict[str, float]]:
    return {f"s{i}": {f"g{j}": float(v) for j, v in enumerate(row)} for i, row in enumerate(values)}


def test_a_constant_gain_has_no_spread_however_noisy_both_are() -> None:
    """Pairing: what both share cancels."""
    base = np.random.default_rng(0).normal(size=(4, 20))
    found = interval(rows(base + 0.1), rows(base))
    assert found["difference"] == pytest.approx(0.1)
    assert found["low"] == pytest.approx(0.1) and found["high"] == pytest.approx(0.1)
    assert (found["n_sections"], found["n_genes"]) == (4, 20)


def test_spread_is_that_of_genes_and_of_sections() -> None:
    zero = rows(np.zeros((5, 50)))
    rng = np.random.default_rng(1)
    of_genes = interval(rows(np.tile(rng.normal(size=50), (5, 1))), zero)
    expected = 2 * 1.96 * np.std(list(rows(np.tile(np.random.default_rng(1).normal(size=50), (5, 1)))["s0"].values()))
    assert of_genes["high"] - of_genes["low"] == pytest.approx(expected / np.sqrt(50), rel=0.1)
    of_sections = interval(rows(np.tile(rng.normal(size=(5, 1)), (1, 50))), zero)
    assert of_sections["high"] - of_sections["low"] > 0.5


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    zero = rows(np.zeros((12, 40)))
    held = 0
    for _ in range(100):
        sample = rng.normal(size=(12, 1)) + rng.normal(size=(1, 40)) + rng.normal(size=(12, 40))
        found = interval(rows(sample), zero, n=300)
        held += found["low"] <= 0 <= found["high"]
    assert 84 <= held <= 100


def test_same_seed_same_interval_and_undefined_genes_stay_out() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=(3, 10)), rng.normal(size=(3, 10))
    assert interval(rows(one), rows(other)) == interval(rows(one), rows(other))
    one[:, 4] = np.nan
    found = interval(rows(one), rows(other))
    assert found["n_genes"] == 9
    assert found["difference"] == pytest.approx(np.nanmean(one - other, axis=1).mean())
    assert interval(rows(one * np.nan), rows(other))["difference"] is None


def cell(model: str, split: str, seed: int, values: list[float | None], **given: Any) -> dict[str, Any]:
    done = {"status": "done", "panel": ["g0", "g1"], "pcc_genes": {split[-1]: values}}
    return {"model": model, "encoder": "e", "split": split, "seed": seed, **done, **given}


def test_models_are_compared_within_a_family_over_all_its_sections_and_seeds() -> None:
    cells = [
        *(cell("ridge", f"f/{s}", seed, [0.1, 0.2]) for s in "AB" for seed in (0, 1)),
        *(cell("m", f"f/{s}", seed, [0.1 + 0.2 * seed, 0.4]) for s in "AB" for seed in (0, 1)),
    ]
    (found,) = compare(cells, "ridge")
    assert found["difference"] == pytest.approx(0.15) and found["n_sections"] == 2
    assert (found["model"], found["split"], found["reference"]) == ("m", "f", "ridge")
    cells[-1] |= {"status": "failed", "pcc_genes": {}}
    assert compare(cells, "ridge") == []  # what is left would flatter
    assert compare(cells[4:], "ridge") == []


def test_panels_may_differ_between_splits() -> None:
    ridge = [cell("ridge", "f/A", 0, [0.0, 0.0]), cell("ridge", "f/B", 0, [0.0, 0.0], panel=["g1", "g2"])]
    model = [cell("m", "f/A", 0, [0.2, 0.4]), cell("m", "f/B", 0, [0.6, None], panel=["g1", "g2"])]
    (found,) = compare([*ridge, *model], "ridge")
    assert found["difference"] == pytest.approx((0.3 + 0.6) / 2)
    assert found["n_genes"] == 2  # g2 is undefined wherever it is
