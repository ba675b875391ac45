"""The score of one prediction in about ten lines."""

from __future__ import annotations

from eosin.cli.score_lines import score_lines

SCORES = {
    "pcc": {"mean": 0.51234, "pooled": 0.4, "per_gene": {f"G{i}": 0.1 for i in range(50)}},
    "mse": 0.25,
    "mae": 0.3,
    "rvd": None,
    "coverage_90": 0.8,
    "coverage_90_expected": 0.79,
    "biomarkers": {"pcc": {"GATA3": 0.5}, "mean": 0.5, "missing": ["VWF", "UBE2C"]},
    "sections": {"A1": {"pcc": 0.5}},
    "n_sections": 1,
    "n_spots": 35,
    "n_genes": 6,
    "n_draws": 16,
}


def test_the_main_numbers_come_in_ten_lines_or_fewer() -> None:
    assert score_lines(SCORES) == [
        "pcc mean: 0.5123",
        "mse: 0.25",
        "rvd: -",
        "coverage_90: 0.8, expected 0.79",
        "biomarkers: pcc (GATA3: 0.5), mean: 0.5, missing: VWF UBE2C",
        "n_sections: 1, n_spots: 35, n_genes: 6, n_draws: 16",
        "every number: --json; what they mean: docs/metrics.md",
    ]
