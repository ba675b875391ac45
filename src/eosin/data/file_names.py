"""Which of several samples a file belongs to, by the beginning of its name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def composed(name: str) -> str:
    """A name with its letters composed alike: some systems store `ü` as `u` and a mark, tables mostly do not."""
    return unicodedata.normalize("NFC", name)


def begins_with(name: str, prefix: str) -> bool:
    """Whether a name begins with a whole prefix: `S10_HE.png` does with `S10`, not with `S1`."""
    rest = name[len(prefix) :]
    return name.startswith(prefix) and not (prefix[-1:].isalnum() and rest[:1].isalnum())


def is_of(name: str, prefix: str, others: Iterable[str], *, whole: bool = False) -> bool:
    """Whether a file is of the sample `prefix`, not of one whose longer prefix fits too: `P1_rep2_` beside `P1_`.

    Parameters
    ----------
    others
        Prefixes of the other samples.
    whole
        Whether letters and digits cannot follow a prefix, as in `begins_with`.
    """
    fits = begins_with if whole else str.startswith
    return fits(name, prefix) and not any(len(other) > len(prefix) and fits(name, other) for other in others)
