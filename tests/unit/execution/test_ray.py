"""Jobs on Ray, where it is installed: the same outcomes as here, and what dies is its own job's."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eosin.errors import EosinError
from eosin.execution import Done, Failed
from eosin.execution.by_name import execution_of
from eosin.execution.ray_cluster import Ray
from unit.execution import jobs
from unit.execution.jobs import Does, Writes

there = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not there, reason="ray is not installed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Ray]:
    """One cluster of two cores for all tests; each `map` finds it and leaves it."""
    import ray

    paths = os.pathsep.join(path for path in sys.path if path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", paths)
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "include_dashboard": False}
        ray.init(num_cpus=2, _node_ip_address="127.0.0.1", object_store_memory=100_000_000, **quiet)
        yield Ray()
        ray.shutdown()


@needs_ray
@pytest.mark.filterwarnings("ignore")  # of the library
def test_outcomes_are_those_of_jobs_here(cluster: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").write_text("kept")
    given = [
        Does(jobs.square, 7),
        Does(jobs.refused),
        Does(jobs.killed),
        Does(jobs.left),
        Writes(Path("there")),
        Writes(Path("made")),  # in the folder of this process
        Does(jobs.known_in, os.getpid()),
        Does(jobs.faulty),
        Does(jobs.threads),
    ]
    found = dict(cluster.map(given))
    assert found.keys() == set(range(len(given)))
    assert isinstance(found[0], Done) and found[0].result == 49 and not found[0].kept
    assert isinstance(found[1], Failed) and "not today" in found[1].reason and not found[1].died
    for dead in (found[2], found[3]):
        assert isinstance(dead, Failed) and dead.died and "on the cluster ended" in dead.reason
    assert found[4] == Done("kept", kept=True)
    assert isinstance(found[5], Done) and found[5].result == (tmp_path / "made").read_text() != str(os.getpid())
    assert isinstance(found[6], Done) and found[6].result == os.getpid()
    assert isinstance(found[7], Failed) and found[7].reason == "ValueError: a fault of the job"
    assert isinstance(found[8], Done) and found[8].result == 1


@needs_ray
@pytest.mark.filterwarnings("ignore")
def test_jobs_run_side_by_side_and_end_with_the_caller(cluster: Ray, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    found = dict(cluster.map([Does(jobs.meets, (one, other)), Does(jobs.meets, (other, one))]))
    assert all(isinstance(outcome, Done) for outcome in found.values())
    running = cluster.map([Does(jobs.square, 2), Does(jobs.sleeps, tmp_path / "sleeper")])
    next(running)
    jobs.waits_for(tmp_path / "sleeper")
    running.close()
    process = int((tmp_path / "sleeper").read_text())
    for _ in range(400):
        if not Path(f"/proc/{process}").exists():
            break
        __import__("time").sleep(0.05)
    assert not Path(f"/proc/{process}").exists()


@needs_ray
@pytest.mark.filterwarnings("ignore")
def test_what_a_cluster_has_no_room_for_is_refused(cluster: Ray) -> None:
    with pytest.raises(EosinError, match="2 CPUs, 0 GPUs: too few for one job"):
        next(Ray(cpus=3).map([Does(jobs.square, 1)]))
    with pytest.raises(EosinError, match=r"\?gpus="):
        next(Ray(gpus=1).map([Does(jobs.square, 1)]))


def test_places_by_name() -> None:
    assert execution_of("ray") == Ray()
    assert execution_of("ray:auto?cpus=4&gpus=0.5") == Ray("auto", 4, 0.5)
    assert execution_of("ray:ray://head:10001") == Ray("ray://head:10001")
    for wrong in ("ray:auto?cores=4", "ray:auto?cpus=many", "ray:auto?cpus=-1", "ray:auto?cpus"):
        with pytest.raises(EosinError, match="say what each slide takes"):
            execution_of(wrong)


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EosinError, match=r'pip install "eosin\[cluster\]"'):
        next(Ray().map([Does(jobs.square, 1)]))
