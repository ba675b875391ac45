"""The three answers of a page: each case says what is so, with its numbers, and what to do where it is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from eosin.reporting.gathered import gather
from eosin.reporting.gene_rows import gene_numbers
from eosin.reporting.verdicts import Verdict, against_ridge, alike_sentence, beyond_depth, likeness_of, verdicts
from eosin.types import GenePanel, GeneTrust, Likeness, Prediction, Section, Spots

N, G = 64, 12
GENES = tuple(f"G{i}" for i in range(G))


def section(seed: int = 0, *, name: str = "A1") -> Section:
    rng = np.random.default_rng(seed)
    xy = np.stack(np.meshgrid(np.arange(8), np.arange(8)), -1).reshape(-1, 2) * 100.0
    rich = rng.gamma(4, 1, (N, 1))  # depth varies, so that it alone explains a part
    own = rng.gamma(3, 1, (N, G))
    spots = Spots(xy, 55.0, tuple(f"s{i}" for i in range(N)))
    return Section(name, "P", spots, counts=sparse.csr_matrix(rng.poisson(rich * own)), genes=GENES)


def prediction(truth: Section, noise: float, *, model: str = "stflow", seed: int = 1) -> Prediction:
    assert truth.counts is not None
    rng = np.random.default_rng(seed)
    mean = np.log1p(truth.counts.toarray()) + noise * rng.standard_normal((N, G))
    return Prediction(truth.name, truth.spots, GenePanel(GENES), mean[None], model, 0)


def of_ridge(own: float, ridge: float | None, scores: dict[str, Any] | None = None) -> Verdict:
    truth = section()
    given = [prediction(truth, own)]
    if ridge is not None:
        given.append(prediction(truth, ridge, model="ridge", seed=2))
    return against_ridge(gather(given, [truth]), scores or {})


def test_it_beats_the_ridge_where_the_interval_lies_above_0() -> None:
    found = of_ridge(0.2, 1.5)
    assert found.state == "good" and "beats the ridge" in found.answer
    assert "95 % over 12 genes of 1 section" in found.text and "Another section may differ" in found.text


def test_the_ridge_is_better_where_the_interval_lies_below_0() -> None:
    found = of_ridge(1.5, 0.2)
    assert found.state == "bad" and "the ridge is better" in found.answer and "Use the ridge" in found.text


def test_a_tie_is_a_tie() -> None:
    assert of_ridge(0.8, 0.8).state == "mixed" and "tie" in of_ridge(0.8, 0.8).answer


@pytest.mark.parametrize(
    ("own", "ridge", "state", "says"),
    [(0.6, 0.5, "good", "Ahead"), (0.4, 0.5, "bad", "use the ridge"), (0.4, None, "unknown", "no ridge")],
)
def test_scores_alone_say_which_is_ahead(own: float, ridge: float | None, state: str, says: str) -> None:
    scores = {"stflow": {"pcc": {"mean": own}}, **({"ridge": {"pcc": {"mean": ridge}}} if ridge else {})}
    found = of_ridge(0.2, None, scores)
    assert found.state == state and says in found.answer


def test_without_a_ridge_it_says_what_to_do() -> None:
    found = of_ridge(0.2, None)
    assert found.state == "unknown" and "RIDGE.h5ad" in found.text and "--features" in found.text


def test_without_truth_and_for_the_ridge_itself_there_is_no_comparison() -> None:
    truth = section()
    alone = against_ridge(gather([prediction(truth, 0.2)], []), {})
    assert alone.state == "unknown" and "--truth" in alone.text
    itself = against_ridge(gather([prediction(truth, 0.2, model="ridge")], [truth]), {})
    assert itself.state == "unknown" and "It is the ridge" in itself.answer


def test_two_sections_are_both_in_the_interval() -> None:
    truths = [section(), section(5, name="B1")]
    given = [prediction(t, 0.2) for t in truths] + [prediction(t, 1.5, model="ridge") for t in truths]
    found = against_ridge(gather(given, truths), {})
    assert "of 2 sections" in found.text and "Another section" not in found.text


def of_depth(mean: np.ndarray, truth: Section, **more: Any) -> Verdict:
    made = Prediction("A1", truth.spots, GenePanel(GENES), mean[None], "stflow", 0, **more)
    return beyond_depth(gene_numbers(gather([made], [truth]), {}))


def test_a_map_of_depth_alone_is_more_than_depth_in_no_gene() -> None:
    truth = section()
    assert truth.counts is not None
    depth = np.log1p(np.asarray(truth.counts.sum(1)))
    found = of_depth(np.repeat(depth, G, 1) + 0.01 * np.random.default_rng(0).standard_normal((N, G)), truth)
    assert found.state in ("bad", "mixed") and "before" in found.text
    good = beyond_depth(gene_numbers(gather([prediction(truth, 0.1)], [truth]), {}))
    assert good.state == "good" and good.answer == "12 of 12 genes" and "and others" in good.text


def test_without_truth_training_says_which_genes_are_more_than_depth() -> None:
    truth = section()
    trust = GeneTrust(np.full(G, 0.8), np.r_[0.9, 0.5, np.full(G - 2, 0.1)], "new patient")
    made = replace(prediction(truth, 0.1), trust=trust)
    found = beyond_depth(gene_numbers(gather([made], []), {}))
    assert found.answer == "2 of 12 genes" and "G0, G1" in found.text and "held-out training" in found.text
    unknown = beyond_depth(gene_numbers(gather([prediction(truth, 0.1)], []), {}))
    assert unknown.state == "unknown" and "--truth" in unknown.text


@pytest.mark.parametrize(("distance", "state"), [(0.5, "good"), (2.2, "mixed"), (3.5, "bad")])
def test_the_slide_is_judged_by_its_distance(distance: float, state: str) -> None:
    made = replace(prediction(section(), 0.1), likeness=Likeness(np.full(N, distance), 2.0, 2.0))
    found = likeness_of(gather([made], []))
    assert found.state == state and f"{distance / 2:.2f} of the limit" in found.text
    assert likeness_of(gather([prediction(section(), 0.1)], [])).state == "unknown"


def test_of_several_slides_the_least_alike_decides() -> None:
    made = [
        replace(prediction(section(name=name), 0.1), likeness=Likeness(np.full(N, d), 2.0, 2.0))
        for name, d in (("A1", 0.5), ("B1", 3.5))
    ]
    found = likeness_of(gather(made, []))
    assert found.state == "bad" and found.text.startswith("B1, the least alike of 2 slides")


def test_the_three_questions_stand_in_their_order() -> None:
    truth = section()
    run = gather([prediction(truth, 0.2)], [truth])
    asked = [verdict.question for verdict in verdicts(run, gene_numbers(run, {}), {})]
    assert [word in question for word, question in zip(("ridge", "depth", "slide"), asked)] == [True] * 3


def test_values_that_are_not_known_are_left_out() -> None:
    truth = section()
    run = gather([prediction(truth, 0.2)], [truth])
    holes = run.truth["A1"].copy()
    holes[:5, 0] = np.nan
    with_holes = replace(run, truth={"A1": holes})
    found = gene_numbers(with_holes, {})
    assert found.pcc is not None and np.isfinite(found.pcc).all()
    expected = gene_numbers(
        gather([run.main[0].of_spots(np.arange(5, N))], [truth]),
        {},
    )
    assert expected.pcc is not None
    np.testing.assert_allclose(found.pcc, expected.pcc)


def test_it_says_how_far_all_maps_are_one() -> None:
    truth = section()
    wave = np.sin(truth.spots.xy_um[:, :1] / 200)
    one = Prediction("A1", truth.spots, GenePanel(GENES), (wave * np.linspace(0.5, 2, G))[None], "ridge", 0)
    assert alike_sentence(gather([one], [])).startswith("One map explains 100% of the variance of all predicted maps:")
    of_truth = alike_sentence(gather([prediction(truth, 0.1)], [truth]))
    assert "of the measured ones" in of_truth and "100%" not in of_truth
    assert alike_sentence(gather([one.of_spots(np.array([0]))], [])) == ""
