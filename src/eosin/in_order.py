"""Results of work in progress, in the order in which the work was submitted."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from typing import TypeVar

R = TypeVar("R")


def results_in_order(futures: Iterable[Future[R]], at_most: int) -> Generator[R, None, None]:
    """Results of futures in their order, with a bounded number of them unfinished or waiting.

    Parameters
    ----------
    futures
        Taken one at a time, so that an iterable that submits work does so no faster than results are used.
    at_most
        Number of futures taken before the first result is waited for; at least 1.
    """
    pending: deque[Future[R]] = deque()
    for future in futures:
        pending.append(future)
        if len(pending) >= at_most:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
