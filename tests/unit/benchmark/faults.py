"""Ways in which a cell goes wrong, as functions that another process can import."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from eosin.types import Prediction


def touch(prediction: Prediction, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(os.getpid()))


def killed(prediction: Prediction, path: Path) -> None:
    """The ridge's process is killed, as the system does when memory runs out."""
    if prediction.model == "ridge":
        os.kill(os.getpid(), signal.SIGKILL)
    touch(prediction, path)


def crashed(prediction: Prediction, path: Path) -> None:
    if prediction.model == "ridge":
        os.kill(os.getpid(), signal.SIGABRT)
    touch(prediction, path)


def left(prediction: Prediction, path: Path) -> None:
    if prediction.model == "ridge":
        os._exit(3)
    touch(prediction, path)


def full(prediction: Prediction, path: Path) -> None:
    if prediction.model == "ridge":
        raise MemoryError
    touch(prediction, path)


def broken(prediction: Prediction, path: Path) -> None:
    if prediction.model == "ridge":
        raise ValueError("a fault of the model")
    touch(prediction, path)


def slow(prediction: Prediction, path: Path) -> None:
    touch(prediction, path)
    time.sleep(60)


def compiler(prediction: Prediction, path: Path) -> None:
    """What this process has loaded of torch's compiler."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(" ".join(name for name in ("torch._dynamo", "torch._inductor") if name in sys.modules))
