"""Where jobs run, as text: `here`, or `processes:4`."""

from __future__ import annotations

from collections.abc import Callable

from eosin.config import Registry
from eosin.errors import EosinError
from eosin.execution.here import Here
from eosin.execution.job import Execution
from eosin.execution.processes import Processes

Make = Callable[[str], Execution]

PLACES: Registry[Make] = Registry("place")


def execution_of(on: str) -> Execution:
    """The execution that a text names.

    Parameters
    ----------
    on
        `here`, or `processes:N`.

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


PLACES.add("here", _here)
PLACES.add("processes", _processes)
