"""Run one command of eosin in several processes that train together, as torch's `torchrun` would start them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from eosin.errors import REASON_FILE, EosinError

_LOOK_EVERY = 0.2


def n_together(on: str) -> int:
    """How many processes a text asks for: of `torchrun` one for each GPU, of `torchrun:N` N.

    Raises
    ------
    EosinError
        Another text, or `torchrun` on a machine without a GPU.
    """
    name, _, number = on.partition(":")
    if name != "torchrun" or (number and not (number.isascii() and number.isdigit() and int(number) >= 1)):
        raise EosinError(f"--on is '{on}'", fix="give here, torchrun (a process for each GPU), or torchrun:N")
    if number:
        return int(number)
    import torch

    if not torch.cuda.is_available():
        raise EosinError("--on torchrun starts a process for each GPU, and none is here", fix="give --on torchrun:N")
    return torch.cuda.device_count()


def run_together(arguments: Sequence[str], n: int) -> int:
    """Run `eosin ARGUMENTS` in n processes to the end; returns the exit code.

    The first speaks for all. Where one fails the others are stopped, and the reason of that one is given.

    Raises
    ------
    EosinError
        One failed; what it said of that.
    """
    threads = str(max(1, (os.cpu_count() or 1) // n))
    shared = {"WORLD_SIZE": str(n), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    environment = {"OMP_NUM_THREADS": threads, **os.environ, **shared}
    command = [sys.executable, "-m", "eosin", *arguments]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as said:
        reasons = [Path(folder) / str(rank) for rank in range(n)]
        processes = []
        try:
            for rank, reason in enumerate(reasons):
                own = {"RANK": str(rank), "LOCAL_RANK": str(rank), REASON_FILE: str(reason)}
                quiet = {} if rank == 0 else {"stdout": subprocess.DEVNULL, "stderr": said}
                processes.append(subprocess.Popen(command, env={**environment, **own}, **quiet))  # type: ignore[call-overload]
            failed = _failed(processes)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()
        if not failed:
            return 0
        rank = next((rank for rank in failed if reasons[rank].is_file()), failed[0])
        if reasons[rank].is_file():
            raise EosinError(reasons[rank].read_text())
        said.seek(0)
        last = said.read().strip().splitlines()[-1:]
        what = last[0] if rank and last else f"ended with code {processes[rank].returncode}"
        raise EosinError(f"process {rank} of {n}: {what}", fix="what was finished is kept; go on with --resume")


def _failed(processes: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """Wait for the first failure, and a moment more for those that fail with it; none when all have ended well."""
    while True:
        codes = [process.poll() for process in processes]
        if all(code == 0 for code in codes):
            return []
        if any(codes):
            time.sleep(2 * _LOOK_EVERY)
            return [rank for rank, process in enumerate(processes) if process.poll()]
        time.sleep(_LOOK_EVERY)


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])
