"""What holds for all tests: nothing is written into the cache of whoever runs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Features that no place is given for go into a temporary folder, also in processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EOSIN_CACHE", str(tmp_path_factory.mktemp("eosin-cache")))
        yield
