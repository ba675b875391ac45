"""Counts in words."""

from __future__ import annotations

import pytest

from eosin.plurals import counted


@pytest.mark.parametrize(("n", "text"), [(0, "0 draws"), (1, "1 draw"), (2, "2 draws"), (1200, "1200 draws")])
def test_one_is_singular(n: int, text: str) -> None:
    assert counted(n, "draw") == text
