from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eosin.metrics import MatchedSection, MatchedSections, all_metrics, domains, has_draws, has_labels, structure


def section(k: int = 1, *, labels: bool = False) -> MatchedSection:
    rng = np.random.default_rng(0)
    truth, draws = rng.normal(size=(30, 5)), rng.normal(size=(k, 30, 5))
    words = np.array(["left", "right"] * 15, dtype=object) if labels else None
    genes = tuple("ABCDE")
    return MatchedSection("a", genes, truth, draws.mean(0), draws, rng.uniform(0, 900, (30, 2)), words)


def test_shared_work_is_done_once_for_each_section() -> None:
    calls = []

    def shared(matched: MatchedSection) -> int:
        calls.append(matched)
        return len(calls)

    first, second = section(), section()
    assert [first.once(shared), first.once(shared), second.once(shared)] == [1, 1, 2]
    assert calls == [first, second]


def test_neighbours_and_domains_are_computed_once_for_all_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"spatial_weights": 0, "domain_score": 0}

    def counting(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **more: Any) -> Any:
            counts[name] += 1
            return original(*given, **more)

        return counted

    for room, name in ((structure, "spatial_weights"), (domains, "domain_score")):
        monkeypatch.setattr(room, name, counting(name, getattr(room, name)))
    one = section(4, labels=True)
    for metric in all_metrics():
        if metric.scope == "section" and metric.needs(one):
            metric.function(one)
    assert counts == {"spatial_weights": 1, "domain_score": 2}  # of the prediction, and of the truth


def test_what_a_section_has() -> None:
    assert [has_draws(section(1)), has_draws(section(2))] == [False, True]
    assert [has_labels(section()), has_labels(section(labels=True))] == [False, True]


def test_spots_of_all_sections_stand_one_below_the_other() -> None:
    together = MatchedSections((section(), section(2)), tuple("ABCDE"))
    assert together.truth.shape == together.mean.shape == (60, 5)
