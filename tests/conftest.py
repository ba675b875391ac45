"""What holds for all tests: the user's cache stays as it is, and order does not matter."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="run the files, and the tests of each, in another order"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("--shuffle")
    if seed is None:
        return
    rng = random.Random(seed)  # the same in every worker
    files = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]
    rng.shuffle(files)
    for tests in files:
        rng.shuffle(tests)
    items[:] = [item for tests in files for item in tests]


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Features that no place is given for go into a temporary folder, also in processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EOSIN_CACHE", str(tmp_path_factory.mktemp("eosin-cache")))
        yield
