"""What a command of a cohort refuses before it begins, and says at its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from eosin.cli import show
from eosin.errors import EosinError
from eosin.plurals import counted

if TYPE_CHECKING:
    from eosin.api.parts.slide_jobs import CohortResult


def need_cohort(path: Path, out: Path | None, running: dict[str, Any]) -> None:
    """Refuse a folder of predictions without a folder to write, and flags of cohorts for a single prediction.

    Raises
    ------
    EosinError
        One of these.
    """
    if path.is_dir() and out is None:
        raise EosinError("is a folder", file=path, fix="give a folder to write by -o, or name one prediction")
    if not path.is_dir() and running:
        raise EosinError("--on and --shard are for cohorts", fix="give a folder of predictions, and a folder by -o")


def end_of_cohort(result: CohortResult, out: Path) -> int:
    """One line on the cohort, one for each slide that failed; exit code 3 where there is one, else 0."""
    n, n_failed = len(result.records), len(result.failed)
    kept = f", {result.n_kept} of them by an earlier run" if result.n_kept else ""
    lines = [f"{record['id']}: {record['reason']}" for record in result.failed]
    lines.append(
        f"{n - n_failed} of {counted(n, 'slide')} done{kept}; {n_failed} failed; in {out}, see {result.summary}"
    )
    show.lines(lines)
    return 3 if n_failed else 0
