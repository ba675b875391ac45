"""What libraries warn of does not reach the screen of the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

SAY = """
import logging, sys, warnings
from eosin.cli.commands import _prepare_terminal
_prepare_terminal(quiet=False, verbose={verbose})
warnings.warn("a library's warning", FutureWarning)
logging.getLogger("tifffile").error("a library's log")
logging.getLogger("PIL.Image").warning("a library's log")
logging.getLogger("eosin").warning("a note of ours")
logging.getLogger("eosin.cli").warning("another of ours")
"""


@pytest.mark.parametrize("verbose", [False, True])
def test_only_our_own_notes_are_shown(*, verbose: bool) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SAY.format(verbose=verbose)], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0 and ran.stdout == ""
    assert "a note of ours" in ran.stderr and "another of ours" in ran.stderr
    assert ("a library's" in ran.stderr) == verbose
