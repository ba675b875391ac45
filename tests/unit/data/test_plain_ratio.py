"""A slide that is a whole multiple of the picture that positions were measured on is scaled; any other is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from eosin.data.picture_size import plain_ratio
from eosin.errors import EosinError

SEEN = (4800.0, 3600.0)


def ratio_of(times: float, *, height: float = 1.0) -> float:
    size = round(SEEN[0] * times), round(SEEN[1] * times * height)
    return plain_ratio(Path("slide.tif"), size, SEEN, 1.0, without="it has none")[0]


@pytest.mark.parametrize("times", [1.0, 2.0, 3.0, 16.0, 1 / 2, 1 / 3, 1 / 16, 1.004, 2.01])
def test_plain_ratios_up_to_sixteen_are_taken(times: float) -> None:
    plain = round(times) if times >= 1 else 1 / round(1 / times)
    assert ratio_of(times) == plain


@pytest.mark.parametrize("times", [17.0, 1 / 17, 1.5, 1.03, 2.1])
def test_others_are_refused(times: float) -> None:
    with pytest.raises(EosinError, match=r"slide.tif: has \d+ x \d+ px, but the picture .* had 4800 x 3600 px"):
        ratio_of(times)


def test_the_line_says_what_becomes_of_the_section() -> None:
    with pytest.raises(EosinError, match=r"take this one away: it has none$"):
        ratio_of(1.5)


def test_another_shape_is_refused_though_one_side_fits() -> None:
    with pytest.raises(EosinError, match="had 4800 x 3600 px"):
        ratio_of(2.0, height=1.05)
