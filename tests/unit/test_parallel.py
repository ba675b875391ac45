"""Pieces of work on several threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import threadpool_info

import toy
from eosin import parallel


@pytest.fixture
def three_threads() -> Iterator[None]:
    yield from toy.threads(3)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("again", range(5))
def test_threads_made_later_still_have_all_of_torchs_threads(again: int) -> None:
    """A worker computes with one thread; were one started late, that would become everybody's number."""
    del again
    parallel.each(lambda x: x, range(64))
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert seen == [3]


@pytest.mark.usefixtures("three_threads")
def test_pieces_are_shared_by_threads_of_one_each_and_come_back_in_order() -> None:
    meet = threading.Barrier(3, timeout=10)

    def work(i: int) -> tuple[int, int, str]:
        if i < 3:
            meet.wait()  # all three are at work at once
        return i, torch.get_num_threads(), threading.current_thread().name

    done = parallel.each(work, range(9))
    assert [i for i, _, _ in done] == list(range(9))
    assert {n for _, n, _ in done} == {1} and len({name for _, _, name in done}) == 3


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_pieces_are_done_in_the_callers_mode(mode: type[torch.inference_mode]) -> None:
    with mode():
        shared = torch.zeros(3)
        expected = torch.is_inference_mode_enabled()

        def work(i: int) -> bool:
            shared[i].add_(1)  # into memory that the caller made
            return torch.is_inference_mode_enabled()

        assert parallel.each(work, range(3)) == [expected] * 3
        assert shared.tolist() == [1, 1, 1]


def test_products_take_one_thread_each_meanwhile() -> None:
    def n_threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    before = n_threads()
    with parallel.one_blas_thread():
        assert n_threads() == {1}
    assert n_threads() == before
