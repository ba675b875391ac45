from __future__ import annotations

import pytest

from eosin.errors import EosinError
from eosin.shard import Shard


@pytest.mark.parametrize("n", [1, 2, 3, 7, 20])
def test_parts_are_the_whole_each_item_once(n: int) -> None:
    parts = [Shard(i + 1, n).part(range(13)) for i in range(n)]
    assert sorted(item for part in parts for item in part) == list(range(13))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_turned_parts_are_all_parts() -> None:
    assert [str(Shard(2, 3).turned(i)) for i in range(4)] == ["2/3", "3/3", "1/3", "2/3"]
    assert {Shard(i, 4).turned(9) for i in range(1, 5)} == {Shard(i, 4) for i in range(1, 5)}


def test_it_is_read_or_refused() -> None:
    assert Shard.parse("2/8") == Shard(2, 8)
    for text in ("0/4", "5/4", "1", "a/b", "1/0", "-1/4", " 1/4", "1/4/2", ""):
        with pytest.raises(EosinError, match="give i/N"):
            Shard.parse(text)
