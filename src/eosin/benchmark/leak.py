"""What of the test data is known before the test: found before anything is trained, refused, or stamped."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eosin.data.splits import Split, copies, count_prints
from eosin.errors import EosinError
from eosin.row_blocks import row_blocks
from eosin.types import GenePanel, Section

log = logging.getLogger("eosin")

_ROWS_AT_ONCE = 4096
MIN_TILES = 2
"""Fewer equal tiles may be chance: blank glass looks alike everywhere."""
MAX_SHARED_TILES = 0.01
"""Share of a section's distinct tiles that may be equal to another section's."""


@dataclass(frozen=True)
class Leak:
    """One way in which a split's test data is known; `kind` for machines, `text` for people."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class Known:
    """Hashes of the spots' counts and tiles, computed once for all splits; sections once for each encoder."""

    def __init__(self, encoded: Sequence[Sequence[Section]]):
        self.patient = {section.name: section.patient for section in encoded[0]}
        self.counts = count_prints(encoded[0])
        self.tiles = [{one.name: _rows(one) for one in each if one.features is not None} for each in encoded]


def find_leaks(
    split: Split,
    known: Known,
    *,
    panel: GenePanel | None = None,
    selection: str = "inner",
    unseen_patients: bool = False,
) -> list[Leak]:
    """Everything that leaks in one split.

    Parameters
    ----------
    known
        Hashes of all sections.
    panel
        A given panel, with the sections that it was chosen on; a rule is applied to training sections only.
    selection
        What chooses the epoch: `inner`, `validation` or `test`.
    unseen_patients
        Whether the protocol claims that no patient is on both sides.
    """
    found = [Leak("same-section", f"section '{name}' is on both sides") for name in _both(split)]
    found += [Leak("identical-spots", text) for text in copies(split, known.counts)]
    found += dict.fromkeys(Leak("identical-tiles", text) for rows in known.tiles for text in _equal_tiles(split, rows))
    if panel is not None and (seen := [name for name in split.test if name in panel.chosen_on]):
        found.append(Leak("panel", f"the gene panel was chosen with test section '{seen[0]}'"))
    if selection == "test":
        found.append(Leak("selection", "the epoch is chosen on the test sections"))
    if unseen_patients and (patient := shared_patient(split, known.patient)):
        found.append(Leak("same-patient", f"patient '{patient}' is on both sides; the protocol claims unseen patients"))
    return found


def refuse(split: Split, leaks: Sequence[Leak], *, allow_leak: bool) -> None:
    """Raise on the first leak, or only say so where leaks are allowed."""
    for leak in leaks:
        if not allow_leak:
            fix = "mend it, or go on with --allow-leak, which stamps every result"
            raise EosinError(f"split '{split.name}' leaks: {leak.text}", fix=fix)
        log.warning("split '%s' leaks: %s", split.name, leak.text)


def shared_patient(split: Split, patient: Mapping[str, str]) -> str | None:
    """A patient of a test section who is also in training or validation."""
    known = {patient[name] for name in (*split.train, *split.validation)}
    return next((patient[name] for name in split.test if patient[name] in known), None)


def _both(split: Split) -> list[str]:
    return [name for name in split.test if name in {*split.train, *split.validation}]


def _equal_tiles(split: Split, rows: Mapping[str, np.ndarray]) -> list[str]:
    """Test sections of which many tiles are bit by bit those of a section that is learned from.

    An encoder gives equal features to equal tiles, so rows of features stand for tiles. One that takes its slide into
    account does so only for slides that look alike to it, as copies of all spots do; copies of some are found by their
    counts alone. Tiles that repeat within a section (blank glass) are left out.
    """
    found = []
    for test in split.test:
        for other in (*split.train, *split.validation):
            if other == test or test not in rows or other not in rows:
                continue
            shared = len(np.intersect1d(rows[test], rows[other]))
            if shared >= MIN_TILES and shared > MAX_SHARED_TILES * min(len(rows[test]), len(rows[other])):
                found.append(f"{shared} tiles of test section '{test}' are identical with tiles of section '{other}'")
    return found


def _rows(section: Section) -> np.ndarray:
    """One opaque value for each row of features that occurs once."""
    values = section.need_features().values
    blocks = row_blocks(len(values), budget=_ROWS_AT_ONCE)
    hashes = (hashlib.blake2b(row.tobytes(), digest_size=8) for rows in blocks for row in values[rows])
    digests = [int.from_bytes(found.digest()) for found in hashes]
    rows, count = np.unique(np.array(digests, dtype=np.uint64), return_counts=True)
    return rows[count == 1]


def given_panel(genes: str | GenePanel, sections: Mapping[str, Section] | Sequence[str]) -> GenePanel | None:
    """What is known of where a given panel was chosen: a record says it, and so may a JSON file (`chosen_on`).

    The gene files of a HEST benchmark task (beside its `splits/`) were chosen on all samples of the task.
    """
    if isinstance(genes, GenePanel):
        return genes
    path = Path(genes)
    try:
        if path.suffix.lower() != ".json" or not path.is_file():
            return None
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # choosing the panel says what is wrong with it
    names = stored.get("genes") if isinstance(stored, dict) else stored
    seen = stored.get("chosen_on", ()) if isinstance(stored, dict) else ()
    if (path.parent / "splits").is_dir():
        seen = list(sections)
    return GenePanel(tuple(names), chosen_on=tuple(map(str, seen))) if names and seen else None
