"""Where jobs run, as text: `here`, `processes:4`, or `ray` with the address of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl

from eosin.config import Registry
from eosin.errors import EosinError
from eosin.execution.here import Here
from eosin.execution.job import Execution
from eosin.execution.processes import Processes
from eosin.execution.ray_cluster import Ray

Make = Callable[[str], Execution]

PLACES: Registry[Make] = Registry("place")


def execution_of(on: str) -> Execution:
    """The execution that a text names.

    Parameters
    ----------
    on
        `here`, `processes:N`, `ray` (one that is started on this machine) or `ray:ADDRESS`; after `?` what each job
        takes of a cluster, as `ray:auto?cpus=4&gpus=1`.

    Raises
    ------
    EosinError
        No such place, or an impossible number.
    """
    name, _, rest = on.partition(":")
    return PLACES[name](rest)


def _here(rest: str) -> Execution:
    if rest:
        raise EosinError(f"--on is 'here:{rest}'", fix="give here, or processes:N")
    return Here()


def _processes(rest: str) -> Execution:
    if not (rest.isascii() and rest.isdigit() and int(rest) >= 1):
        raise EosinError(f"--on is 'processes:{rest}'", fix="give their number, as processes:4")
    return Processes(int(rest))


def _ray(rest: str) -> Execution:
    address, _, given = rest.partition("?")
    try:
        takes = {name: float(value) for name, value in parse_qsl(given, strict_parsing=True)} if given else {}
    except ValueError:
        takes = {"": 0.0}
    if not set(takes) <= {"cpus", "gpus"} or not all(0 <= value < 1e6 for value in takes.values()):
        raise EosinError(f"--on is 'ray:{rest}'", fix="say what each slide takes, as ray:auto?cpus=4&gpus=1")
    return Ray(address or None, **takes)


PLACES.add("here", _here)
PLACES.add("processes", _processes)
PLACES.add("ray", _ray)
