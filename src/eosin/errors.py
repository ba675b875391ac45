"""The error that eosin raises for every fault that a user can cause and correct."""

from __future__ import annotations

from pathlib import Path

REASON_FILE = "EOSIN_REASON_FILE"
"""Variable of the environment: the file into which a command writes why it failed, instead of saying it."""


class EosinError(Exception):
    """A fault in the input, the settings or the machine, with a message of one line.

    Parameters
    ----------
    problem
        What is wrong, without a full stop.
    file
        The file or folder it concerns; named first in the line.
    fix
        What to do about it, as an order ("give --mpp", "run eosin encode again").
    """

    def __init__(self, problem: str, *, file: str | Path | None = None, fix: str | None = None):
        self.problem, self.file, self.fix = problem, file, fix
        line = problem if file is None else f"{file}: {problem}"
        if fix is not None:
            line = f"{line}; {fix}"
        super().__init__(" ".join(line.split()))  # always one line, also where a library's own text had several
