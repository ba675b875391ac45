"""numba's compiler for loops over arrays; what it makes is kept on disk where there is a place for it."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

import numba

Function = Callable[..., Any]


def compiled(
    freedom: Set[str] = frozenset(), *, source: str | None = None, inline: str = "never"
) -> Callable[[Function], Any]:
    """Compile a function, without Python's lock, for the types with which it is called.

    Parameters
    ----------
    freedom
        What the compiler may change of floating-point arithmetic, by LLVM's names: `reassoc` lets sums be split over
        lanes, `contract` makes a product and a sum one rounding. Without any it is computed as it is written.
    source
        Hash of all that the function is made of, where that is more than its own file: numba keeps what it compiled for
        as long as this, or else the file, is unchanged.
    inline
        As numba takes it.
    """

    def wrap(function: Function) -> Any:
        known: dict[str, Any] = {
            "fastmath": set(freedom) or False,
            "error_model": "numpy",
            "nogil": True,
            "inline": inline,
        }
        try:
            kernel = numba.njit(cache=True, **known)(function)
        except RuntimeError:  # installed read-only, and no home to write to
            return numba.njit(**known)(function)
        if source is not None:
            kernel._cache._cache_file._source_stamp = source  # numba has no public place for it
        return kernel

    return wrap
