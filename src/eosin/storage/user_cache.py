"""The user's cache of features: one place on a machine, whatever folder a command runs in."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "EOSIN_CACHE"
"""Variable of the environment that names another place."""


def user_cache() -> Path:
    """Absolute path of `EOSIN_CACHE`, else of `eosin/features` in the user's cache folder; it need not exist.

    The user's cache folder is `XDG_CACHE_HOME`, else `~/.cache` (XDG Base Directory Specification, which also says that
    a relative `XDG_CACHE_HOME` is to be ignored).
    """
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "eosin" / "features"
