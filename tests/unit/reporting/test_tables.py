from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.metrics import METRICS
from eosin.reporting import write_bench_report
from eosin.reporting.charts import calibration, spread_and_error
from eosin.reporting.html import join, number, tag
from eosin.reporting.series import read_series
from eosin.reporting.tables import score_tables
from eosin.scores.metric_columns import groups
from eosin.scores.results import pick


def cell(
    model: str, value: float | None, *, seed: int = 0, split: str = "leave-section-out/A", **more: Any
) -> dict[str, Any]:
    done = {"status": "done", "metrics": {"pcc": {"mean": value}, "mse": 1.0 - (value or 0)}}
    return {"model": model, "encoder": "stain", "split": split, "test": ["A"], "seed": seed, **done, **more}


def bench(tmp_path: Path, *cells: dict[str, Any]) -> str:
    path = write_bench_report(tmp_path / "bench.html", {"schema": 1, "cells": list(cells)}, when="now")
    return path.read_text(encoding="utf-8")


def score_table(scores: dict[str, dict[str, Any]]) -> str:
    return join(score_tables(scores))


def test_every_metric_stands_in_one_group() -> None:
    """A metric that is computed and on no page would be lost; one in two groups would be read twice."""
    shown = [column.key for group in groups() for column in group.columns]
    assert sorted(shown) == sorted(METRICS)


def test_best_follows_the_direction_of_the_metric() -> None:
    scores = {"a": {"pcc": {"mean": 0.3}, "mse": 0.1}, "b": {"pcc": {"mean": 0.6}, "mse": 0.2}}
    page = score_table(scores)
    assert '<td class="best">0.600</td>' in page and '<td class="best">0.100</td>' in page
    assert page.count('class="best"') == 2


def test_coverage_is_best_near_what_a_perfect_model_has() -> None:
    few = {"coverage_90": 0.71, "coverage_90_expected": 0.70}
    page = score_table({"few draws": few, "many": {"coverage_90": 0.97, "coverage_90_expected": 0.88}})
    assert '<td class="best">0.710</td>' in page and '<td class="best">0.970</td>' not in page


def test_a_lone_model_wins_nothing_and_what_is_missing_is_a_dash() -> None:
    assert "best" not in score_table({"a": {"pcc": 0.3}})
    assert "<td>–</td>" in score_table({"a": {"pcc": 0.3, "mse": None}, "b": {"mse": 0.5}})


def test_pick_reads_paths_and_refuses_what_is_no_number() -> None:
    assert pick({"pcc": {"mean": 0.5}}, "pcc.mean") == 0.5
    assert pick({"pcc": 0.5}, "pcc.mean") == 0.5
    assert pick({"pcc": 0.5}, "pcc.pooled") is None
    for bad in (None, float("nan"), float("inf"), "0.5", True):
        assert pick({"mse": bad}, "mse") is None


def test_html_escapes_text_and_attributes_once() -> None:
    assert tag("td", "<b>&", title='"x"') == '<td title="&#34;x&#34;">&lt;b&gt;&amp;</td>'
    assert join(["<", tag("b", "<")]) == "&lt;<b>&lt;</b>"


def test_numbers_read_well() -> None:
    assert [number(v) for v in (0.12345, -0.5, 3, None, float("nan"), True)] == ["0.123", "−0.500", "3", "–", "–", "–"]


def test_bench_means_over_splits_then_seeds(tmp_path: Path) -> None:
    cells = [
        cell("stflow", v, seed=seed, split=f"leave-section-out/{name}")
        for seed, values in enumerate([(0.2, 0.4), (0.4, 0.6)])
        for name, v in zip("AB", values)
    ]
    page = bench(tmp_path, *cells, cell("ridge", 0.3), cell("ridge", 0.3, seed=1))
    assert "0.400 ± 0.141" in page  # seeds 0.3 and 0.5; over all four it would be ± 0.163
    assert "+0.100" in page


def test_the_ridge_stands_first_and_its_absence_is_said(tmp_path: Path) -> None:
    page = bench(tmp_path, cell("stflow", 0.5), cell("ridge:wide", 0.4))
    assert page.index(">ridge:wide<") < page.index(">stflow<")
    assert "No tuned ridge" not in page
    assert "No tuned ridge" in bench(tmp_path, cell("stflow", 0.5))


def test_a_failure_costs_its_number_and_is_listed(tmp_path: Path) -> None:
    failed = cell("stflow", None, split="leave-section-out/B", status="failed", metrics={}, error="broke <here>")
    page = bench(tmp_path, cell("stflow", 0.9), failed, cell("ridge", 0.4))
    assert "broke &lt;here&gt;" in page
    assert "0.900" not in page.split("Failed runs")[0]
    assert "1 of 3 runs failed" in page
    assert "2 of 3 runs finished" in page


def test_notes_of_the_splits_are_shown_once(tmp_path: Path) -> None:
    page = bench(tmp_path, cell("ridge", 0.4, note="same patient"), cell("stflow", 0.4, note="same patient"))
    assert page.split("<h2>")[0].count("same patient") == 1


@pytest.mark.parametrize(
    "bad", [{}, {"schema": 2, "cells": [1]}, {"schema": 1, "cells": []}, {"schema": 1, "cells": [{}]}]
)
def test_other_files_are_refused_and_nothing_is_written(bad: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(EosinError, match="eosin bench"):
        write_bench_report(tmp_path / "x.html", bad)
    assert list(tmp_path.iterdir()) == []


def test_bench_page_escapes_and_loads_nothing(tmp_path: Path) -> None:
    page = bench(tmp_path, cell("<script>", 0.4, split="<script>", encoder="<script>", settings={"<script>": 1}))
    assert page.count("<script") == 1 and "://" not in page


def test_calibration_is_exact_for_a_perfect_model_with_few_draws() -> None:
    rng = np.random.default_rng(0)
    sample = rng.gamma(2.0, size=(6, 400, 50))
    nominal, observed = calibration(sample[0], sample[1:])  # 5 draws
    np.testing.assert_allclose(nominal, [4 / 6, 2 / 6])
    np.testing.assert_allclose(observed, nominal, atol=0.02)


def test_narrow_draws_show_below_the_line() -> None:
    rng = np.random.default_rng(0)
    nominal, observed = calibration(rng.standard_normal((200, 20)), 0.3 * rng.standard_normal((9, 200, 20)))
    assert (observed < nominal).all()


def test_spread_meets_error_bin_by_bin() -> None:
    rng = np.random.default_rng(0)
    scale = np.linspace(0.2, 2.0, 300)[:, None]
    draws = scale * rng.standard_normal((60, 300, 40))
    sd, error = spread_and_error(scale * rng.standard_normal((300, 40)), draws)
    np.testing.assert_allclose(error, sd, rtol=0.15)
    assert (np.diff(sd) > 0).all()


def scores_of(*cells: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"schema": 1, "cells": list(cells), **more}


def page_of(tmp_path: Path, scores: dict[str, Any]) -> str:
    return write_bench_report(tmp_path / "page.html", scores, when="now").read_text(encoding="utf-8")


def test_a_leak_is_said_first_and_marks_its_column(tmp_path: Path) -> None:
    leak = ["panel: the gene panel was chosen with test section 'A'"]
    page = page_of(tmp_path, scores_of(cell("ridge", 0.4, leak=leak), cell("stflow", 0.5, leak=leak)))
    said = "LEAK, not a result: leave-section-out: panel: the gene panel was chosen with test section &#39;A&#39;"
    assert said in page.split("<h2>")[0]
    assert 'leave-section-out <span class="badge bad">leak</span>' in page
    assert "leak</span>" not in page_of(tmp_path, scores_of(cell("ridge", 0.4)))


def test_the_protocol_stands_in_full(tmp_path: Path) -> None:
    stamp = {
        **{"name": "p/q", "version": 7, "sha256": "ab" * 32, "split": "published", "selection": "validation"},
        **{"unseen_patients": True, "metrics": ["pcc.mean", "mse"], "pooling": "spots"},
    }
    cells = [cell(m, v, metrics={"pcc": {"mean": v, "pooled": v / 2}}) for m, v in (("ridge", 0.4), ("stflow", 0.6))]
    page = page_of(tmp_path, scores_of(*cells, protocol=stamp))
    for text in ("p/q, version 7", "ab" * 32, "no patient is on both sides", "validation", "published by its authors"):
        assert text in page
    headline = page.split("Headline: PCC pooled")[1].split("</table>")[0]
    assert '<td class="best">0.300</td>' in headline and "0.600" not in headline
    assert "over the spots of all test sections" in page


def test_intervals_to_the_ridge_are_bold_where_they_leave_out_nothing(tmp_path: Path) -> None:
    against = [
        {"model": m, "encoder": "stain", "split": "leave-section-out", "difference": d, "low": low, "high": 0.05}
        | {"n_sections": 1, "n_genes": 5}
        for m, d, low in (("sure", 0.03, 0.01), ("unsure", 0.02, -0.01))
    ]
    cells = [cell("ridge", 0.4), cell("sure", 0.43), cell("unsure", 0.42)]
    page = page_of(tmp_path, scores_of(*cells, comparisons=against))
    assert '<td class="sure">+0.030 (+0.010 to +0.050)</td>' in page
    assert "<td>+0.020 (−0.010 to +0.050)</td>" in page
    assert "over genes only for leave-section-out: one section" in page


def test_costs_domains_and_biomarkers_have_tables(tmp_path: Path) -> None:
    metrics = {
        "pcc": {"mean": 0.5},
        "ari": 0.25,
        "ari_expected": 0.75,
        "biomarkers": {"mean": 0.3, "pcc": {"HLA.A": 0.3125}, "missing": ["VWF"]},
        "pathways": {"correlation": 0.5, "difference": 0.1, "sets": {"HYPOXIA": {"correlation": 0.4375}}},
    }
    spent = {"seconds_per_1000": 0.125, "mib_per_1000": 12.5, "device": "cpu", "threads": 1}
    one = cell("ridge", 0.5, metrics=metrics, n_parameters=1234567, seconds_train=3.25, inference=spent)
    page = page_of(tmp_path, scores_of(one))
    for text in ("1 234 567", "3.2", "0.125", "12.5", "0.250", "0.750", "HLA.A", "0.312", "HYPOXIA", "0.438"):
        assert text in page, text
    assert "Not in the panel of every run: VWF." in page
    assert "cpu, 1 thread." in page


def test_a_row_that_lacks_runs_is_marked_and_not_compared(tmp_path: Path) -> None:
    cells = [cell("ridge", v, split=f"leave-section-out/{s}") for s, v in (("A", 0.2), ("B", 0.6))]
    page = page_of(tmp_path, scores_of(*cells, cell("stflow", 0.5)))
    assert "means over fewer runs are not comparable: stflow (1)" in page
    assert "+0.100" not in page
    assert "unfinished" not in page_of(tmp_path, scores_of(*cells))


def test_a_study_keeps_its_order_and_shows_what_it_varies(tmp_path: Path) -> None:
    labels = ["S = 10", "S = 2", "S = 5"]
    cells = [cell(label, 0.1 * i, asked="stflow") for i, label in enumerate(labels)]
    page = page_of(tmp_path, scores_of(*cells, cell("ridge", 0.1, asked="ridge"), study="refinement-steps"))
    assert "Study: refinement-steps" in page and "<h2>Against S</h2>" in page
    places = [page.index(f">{name}<") for name in labels]
    assert places == sorted(places) and page.index(">ridge<") < places[0]
    assert "Against" not in page_of(tmp_path, scores_of(*cells))  # a grid of models varies no number


def test_panels_of_a_study_have_their_own_ridge_and_no_common_best(tmp_path: Path) -> None:
    cells = [
        cell(f"{name}, {genes}", value, asked=asked, settings={"genes": f"hmhvg:{genes}"})
        for genes, low in ((50, 0.5), (100, 0.1))
        for name, asked, value in (("m", "stflow", low + 0.02), ("ridge", "ridge", low))
    ]
    page = page_of(tmp_path, scores_of(*cells, study="panel-sizes"))
    assert page.count("<td>+0.020</td>") == 2
    assert 'class="best"' not in page
    assert "Rows are of different gene panels" in page


def test_what_a_study_varied_is_taken_from_the_file_and_not_from_labels(tmp_path: Path) -> None:
    labels = {"one": 3, "two": 7, "three": 30}
    cells = [cell(label, 0.1 * n, asked="stflow") for label, n in labels.items()]
    rows = {label: {"line": "flow", "value": n} for label, n in labels.items()}
    stored = scores_of(*cells, cell("ridge", 0.1), study="x", varied={"quantity": "steps <b>", "rows": rows})
    page = page_of(tmp_path, stored)
    assert "<h2>Against steps &lt;b&gt;</h2>" in page and '<li class="c0">flow</li>' in page
    words = {label: {"line": "flow", "value": label} for label in labels}
    named = [cell(f"S = {n}", 0.1 * n, asked="stflow") for n in labels.values()]
    assert "Against" not in page_of(tmp_path, scores_of(*named, study="x", varied={"quantity": "prior", "rows": words}))
    assert "<h2>Against S</h2>" in page_of(tmp_path, scores_of(*named, study="x"))  # a file of before


@pytest.mark.parametrize("broken", [5, {}, {"rows": 5}, {"rows": {"a": 5, "b": {"value": "x"}}}, {"rows": {}}])
def test_a_broken_record_of_what_varies_costs_only_its_chart(broken: Any, tmp_path: Path) -> None:
    cells = [cell(label, 0.1, asked="stflow") for label in ("a", "b")]
    assert "Against" not in page_of(tmp_path, scores_of(*cells, study="x", varied=broken))


def marks(page: str) -> dict[str, list[float]]:
    """Where the dots of a page's rows of differences stand, by row."""
    rows = re.findall(r'<tr><th scope="row">([\w-]+).*?</tr>', page.split("Headline")[1].split("</table>")[0], re.S)
    found = {}
    for name in rows:
        row = page.split(f'<th scope="row">{name}')[1].split("</tr>")[0]
        found[name] = [float(x) for x in re.findall(r'circle cx="([\d.]+)"', row)]
    return found


def test_the_gene_mean_has_its_number_and_no_place_on_the_axis_of_differences(tmp_path: Path) -> None:
    some = [cell("ridge", 0.6), cell("kernel", 0.64), cell("knn", 0.55)]
    without, with_floor = bench(tmp_path, *some), bench(tmp_path, *some, cell("gene-mean", 0.0))
    assert "−0.600" in with_floor and "gene-mean has its number" in with_floor
    assert "gene-mean has its number" not in without
    placed = marks(with_floor)
    assert placed.pop("gene-mean") == [] and placed == marks(without)
    assert placed["knn"][0] < placed["kernel"][0] and placed["ridge"] == []
    far = bench(tmp_path, *some, cell("forest", 0.0))  # another model as bad is on the axis
    assert marks(far)["kernel"] != placed["kernel"] and len(marks(far)["forest"]) == 1


def test_each_split_rule_has_a_table_of_its_own(tmp_path: Path) -> None:
    cells = [cell(m, v, split=f"{s}/A") for s in ("by-section", "by-patient") for m, v in (("ridge", 0.4), ("a", 0.5))]
    page = bench(tmp_path, *cells).split("Headline")[1].split("<h2>")[0]
    titles = re.findall("<h3>([^<]+)</h3>", page)
    assert titles == ["by-section", "by-patient", "All split rules"]
    assert page.count("<table") == 3 and "by-section, PCC ↑" in page
    assert "All split rules" not in bench(tmp_path, *cells[:2])


@pytest.mark.parametrize(
    ("labels", "quantity", "lines"),
    [
        (["S = 1", "S = 16", "S = 2"], "S", {"S": [1, 2, 16]}),
        (["stem, 4 draws", "stem, 1 draws", "stflow, 1 draws", "stflow, 2 draws"], "draws", {"stem": [1, 4]}),
        (["ddim 50", "ddim 20", "dpm 20", "dpm 10", "ancestral, every step"], "the varied setting", {"ddim": [20, 50]}),
        (["node-only diffusion, 50 genes", "node-only diffusion, 100 genes", "ridge, hmhvg:50"], "genes", {}),
    ],
)
def test_the_varied_number_is_read_from_labels(labels: list[str], quantity: str, lines: dict[str, list[float]]) -> None:
    found = read_series(labels)
    assert found is not None and found.quantity == quantity
    for name, numbers in lines.items():
        assert [x for x, _ in found.points[name]] == numbers
    assert all("ridge" not in name for name in found.points)


@pytest.mark.parametrize(
    "labels", [["stflow", "egnn"], ["mean 0.1, dispersion 2", "mean 0.2, dispersion 2"], ["S = 1"]]
)
def test_labels_without_one_varied_number_have_no_chart(labels: list[str]) -> None:
    assert read_series(labels) is None
