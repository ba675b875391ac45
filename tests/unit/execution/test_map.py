"""Whatever the place: every job has an outcome, in itself; what is there is not made again."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from eosin.errors import EosinError
from eosin.execution import Done, Execution, Failed, Here, Job, Limits, Outcome, Processes
from eosin.execution import job as job_module
from unit.execution import jobs
from unit.execution.jobs import Does, Writes

PLACES = [Here(), Processes(1), Processes(2)]


def outcomes(place: Execution, given: Sequence[Job[Any]]) -> list[Outcome[Any]]:
    """In the order of the jobs."""
    with closing(place.map(given)) as found:
        return [outcome for _, outcome in sorted(found, key=lambda pair: pair[0])]


def reasons(found: Sequence[Outcome[Any]]) -> list[str | None]:
    return [outcome.reason if isinstance(outcome, Failed) else None for outcome in found]


@pytest.mark.parametrize("place", PLACES, ids=repr)
def test_results_belong_to_their_jobs(place: Execution) -> None:
    found = outcomes(place, [Does(jobs.square, i) for i in range(4)])
    assert [outcome.result for outcome in found if isinstance(outcome, Done)] == [0, 1, 4, 9]
    assert all(outcome.seconds >= 0 for outcome in found)
    assert outcomes(place, []) == []


@pytest.mark.parametrize("place", PLACES, ids=repr)
def test_an_error_is_its_own_jobs(place: Execution) -> None:
    found = outcomes(place, [Does(what, 3) for what in (jobs.refused, jobs.square, jobs.faulty, jobs.full)])
    assert reasons(found) == ["not today; try tomorrow", None, "ValueError: a fault of the job", "out of memory"]
    assert [outcome.out_of_memory for outcome in found if isinstance(outcome, Failed)] == [False, False, True]
    at_hand = [outcome.error is not None for outcome in found if isinstance(outcome, Failed)]
    assert at_hand == [isinstance(place, Here)] * 3


def test_a_process_that_dies_is_its_own_jobs() -> None:
    deaths = (jobs.killed, jobs.crashed, jobs.left, jobs.unsendable, jobs.square)
    found = outcomes(Processes(2), [Does(what, 3) for what in deaths])
    killed, crashed, left, unsendable, well = found
    assert isinstance(killed, Failed) and killed.out_of_memory and killed.reason.startswith("out of memory (")
    assert reasons([crashed, left]) == [
        "its process crashed (SIGABRT)",
        "its process ended with code 3 and no result",
    ]
    assert isinstance(unsendable, Failed) and "its result cannot be sent" in unsendable.reason
    assert isinstance(well, Done) and well.result == 9


@pytest.mark.parametrize("place", PLACES, ids=repr)
def test_what_is_there_is_not_made_again(place: Execution, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("of an earlier run")
    found = outcomes(place, [Writes(tmp_path / name) for name in "abc"])
    assert [outcome.kept for outcome in found if isinstance(outcome, Done)] == [False, True, False]
    assert isinstance(found[1], Done) and found[1].result == "of an earlier run"
    again = outcomes(place, [Writes(tmp_path / name) for name in "abc"])
    assert all(isinstance(outcome, Done) and outcome.kept for outcome in again)


class Damaged(Writes):
    def kept(self) -> str | None:
        raise EosinError("damaged")


@pytest.mark.parametrize("place", PLACES, ids=repr)
def test_a_damaged_result_ends_the_run(place: Execution, tmp_path: Path) -> None:
    with pytest.raises(EosinError, match="damaged"):
        outcomes(place, [Does(jobs.square, 1), Damaged(tmp_path / "a")])


def test_every_job_has_a_process_of_its_own_and_no_more_run_than_asked_for(tmp_path: Path) -> None:
    pids = [outcome.result for outcome in outcomes(Processes(1), [Does(jobs.pid)] * 3) if isinstance(outcome, Done)]
    assert len(set(pids)) == 3 and os.getpid() not in pids
    a, b = tmp_path / "a", tmp_path / "b"
    together = outcomes(Processes(2), [Does(jobs.meets, (a, b)), Does(jobs.meets, (b, a))])
    assert reasons(together) == [None, None]


def test_outcomes_come_as_jobs_end(tmp_path: Path) -> None:
    file = tmp_path / "go"
    with closing(Processes(2).map([Does(jobs.waits_for, file), Does(jobs.square, 2)])) as found:
        assert next(found)[0] == 1
        file.touch()
        assert next(found)[0] == 0


def test_threads_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    for n, each in ((1, 5), (2, 2), (8, 1)):
        (outcome,) = outcomes(Processes(n), [Does(jobs.threads)])
        assert isinstance(outcome, Done) and outcome.result == each


def test_no_process_is_an_error() -> None:
    with pytest.raises(EosinError, match="0 processes are asked for"):
        Processes(0)


def test_what_cannot_be_sent_or_is_known_here_only_runs_here() -> None:
    seen: list[int] = []
    found = outcomes(
        Processes(2), [Does(seen.append, 1), Does(lambda _: seen.append(2)), Does(jobs.known_in, os.getpid())]
    )
    assert seen == [2]  # the first was sent with a list of its own
    assert reasons(found) == [None, None, None]
    assert isinstance(found[2], Done) and found[2].result == os.getpid()


def test_nothing_runs_on_when_the_caller_stops(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with closing(Processes(2).map([Does(jobs.sleeps, file), Does(jobs.waits_for, file)])) as found:
        next(found)
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


def test_ctrl_c_ends_what_runs(tmp_path: Path) -> None:
    file = tmp_path / "pid"

    def press() -> None:
        jobs.waits_for(file)
        while not file.read_text():
            pass
        os.kill(os.getpid(), signal.SIGINT)

    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        outcomes(Processes(1), [Does(jobs.sleeps, file)])
    finger.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


@pytest.mark.parametrize(
    ("what", "limits", "reason"),
    [
        (jobs.idles, Limits(0.01, 1e6, "training"), "over 0.01 s training"),
        (jobs.idles, Limits(1e6, 0.001, "training"), "over 0.001 GiB training"),
        (jobs.idles_after_training, Limits(0.15, 1e6, "training"), "over 0.15 s predicting"),
        (jobs.dies_after_training, Limits(1e6, 1e6), "its process ended with code 3 and no result while predicting"),
    ],
)
def test_a_job_that_takes_too_much_is_ended(what: Any, limits: Limits, reason: str) -> None:
    (outcome,) = outcomes(Processes(1, limits), [Does(what)])
    assert reasons([outcome]) == [reason]


def test_phases_have_no_effect_without_a_watcher() -> None:
    (outcome,) = outcomes(Here(), [Does(jobs.phases)])
    assert outcome == Done("done", outcome.seconds)


@pytest.mark.parametrize("place", PLACES, ids=repr)
def test_progress_counts_every_job(place: Execution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").write_text("1")
    told: list[Any] = []

    class Heard:
        def __enter__(self) -> Any:
            return lambda n=1, note="": told.append(note or n)

        def __exit__(self, *_: object) -> None:
            told.append("end")

    monkeypatch.setattr(job_module, "task", lambda *of: told.append(of) or Heard())
    given = [Writes(tmp_path / "kept"), Does(jobs.refused, called="b")]
    list(place.map(given, label="bench", unit="cells"))
    assert told == [("bench", 2, "cells"), "kept", 1, "b", 1, "end"]
    told.clear()
    list(place.map(given))
    assert told == []
