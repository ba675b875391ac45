"""A path that is not there is refused before anything heavy is imported: the answer comes at once."""

from __future__ import annotations

from pathlib import Path

from eosin.errors import EosinError


def need_existing(*paths: Path | None) -> None:
    """Refuse files and folders to read that are not there; None is not checked.

    Raises
    ------
    EosinError
        Nothing lies at the first such path.
    """
    for path in paths:
        if path is not None and not path.exists():
            raise EosinError("no such file or folder", file=path, fix="check the path")


def need_checkpoint(folder: Path) -> None:
    """Refuse a checkpoint folder that is not there.

    Raises
    ------
    EosinError
        There is no such folder.
    """
    if not folder.is_dir():
        raise EosinError("no such checkpoint folder", file=folder, fix="train one first: eosin train")
