from __future__ import annotations

from collections.abc import Iterator

import pytest

from eosin.errors import EosinError
from eosin.metrics import METRICS, Metric, all_metrics
from eosin.metrics.metric import ACCURACY, GROUPS, register


def metric(key: str, group: str = ACCURACY) -> Metric:
    return Metric(key, lambda section: len(section.truth), "spots", "up", group, "spots", "test")


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """What a test registers is forgotten after it."""
    known = dict(METRICS.items())
    yield
    METRICS._known.clear()
    METRICS._known.update(known)


def test_metrics_come_in_the_order_of_their_groups_and_new_groups_last() -> None:
    register(metric("strange", "A group of its own"))
    register(metric("spots"))
    groups = list(dict.fromkeys(one.group for one in all_metrics()))
    assert groups == [*GROUPS, "A group of its own"]
    keys = [one.key for one in all_metrics()]
    assert sorted(keys) == list(METRICS)
    assert keys.index("mae") + 1 == keys.index("spots")  # behind eosin's own of that group


def test_a_second_metric_of_one_key_and_a_wrong_name_are_refused() -> None:
    with pytest.raises(ValueError, match="metric 'mse' is registered twice"):
        register(metric("mse"))
    METRICS.add("other", metric("own"))
    with pytest.raises(EosinError, match="metric 'own' is registered as 'other'; name the entry point as its key"):
        all_metrics()


@pytest.mark.parametrize("bad", [{"key": "a.b.c"}, {"key": "my key"}, {"better": "higher"}, {"scope": "spot"}])
def test_a_metric_that_cannot_be_shown_is_refused_when_made(bad: dict) -> None:
    given = {"key": "own", "better": "up", "group": ACCURACY, "label": "own", "source": "test", "definition": "one"}
    with pytest.raises(ValueError, match=r"a\.b\.c|my key|'own'"):
        Metric(function=lambda section: 0.0, **{**given, **bad})


def test_a_mean_stands_in_a_section_without_its_name() -> None:
    assert METRICS["pcc.mean"].key_in_section == "pcc"
    assert METRICS["mse"].key_in_section == "mse"
