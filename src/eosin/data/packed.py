"""Packed files: which they are, and the command that unpacks them."""

from __future__ import annotations

from pathlib import Path

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
_SINGLE = (".gz", ".bz2", ".xz")
_COMMANDS = {".gz": "gunzip -k", ".bz2": "bunzip2 -k", ".xz": "unxz -k"}


def is_packed(file: Path) -> bool:
    """Whether a file is called as an archive or as one packed file."""
    return file.name.lower().endswith((*ARCHIVES, *_SINGLE))


def unpack_command(file: Path, *, has_own_folder: bool = False) -> str:
    """The command that unpacks a file beside itself.

    An archive goes into a folder of its name, unless it `has_own_folder` within: 10x's hold `spatial/` or
    `binned_outputs/`.
    """
    name = file.name.lower()
    suffix = next((suffix for suffix in sorted(ARCHIVES, key=len, reverse=True) if name.endswith(suffix)), None)
    if suffix is None:
        return f"{_COMMANDS[Path(name).suffix]} '{file}'"
    target = file.parent if has_own_folder else file.with_name(file.name[: -len(suffix)])
    if suffix == ".zip":
        return f"unzip '{file}' -d '{target}'"
    made = "" if has_own_folder else f"mkdir -p '{target}' && "
    return f"{made}tar -xf '{file}' -C '{target}'"
