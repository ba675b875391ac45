"""`eosin.read`: measured sections from files, and their features where they are there."""

from __future__ import annotations

from pathlib import Path

from eosin.api.parts.sections import sections_of
from eosin.encoders import get_encoder, need_known
from eosin.features import TileMatch, attach
from eosin.options import DEFAULT_ENCODER, ReadOptions, takes_options
from eosin.types import Section


@takes_options()
def read(
    path: str | Path,
    *,
    features: str | Path | None = None,
    encoder: str = DEFAULT_ENCODER,
    symmetries: bool = False,
    match: str = "exact",
    match_um: float | None = None,
    reading: ReadOptions = ReadOptions(),
) -> list[Section]:
    """Read measured sections; with `features`, also what `encode` wrote for them.

    Parameters
    ----------
    path
        A data folder or file in a layout that a reader knows (`eosin list readers`).
    features, encoder
        Folder of feature files, and whose they are; a section without one stays without features.
    symmetries
        Also take the features of turned tiles, where they are there: eight times the memory, for `train.augment`.
    match, match_um
        How tiles on a grid of their own are put onto spots: `exact`, `nearest` or `overlap`, and the largest distance.

    Raises
    ------
    EosinError
        No reader fits, a section is not there, or a file of it is missing, cut short or holds something else.

    Examples
    --------
    >>> sections = eosin.read("data")
    >>> [(section.name, section.patient) for section in sections]
    [('A1', 'A'), ('B1', 'B'), ('A2', 'A'), ('B2', 'B')]
    """
    matching = TileMatch(match, match_um)
    measured = sections_of(path, reading)
    if features is None:
        return measured
    need_known(encoder)
    found = [attach(section, Path(features), encoder, turned=symmetries, match=matching) for section in measured]
    if all(
        section is None for section in found
    ):  # its settings may be written otherwise; it may be gated, so not first
        name = get_encoder(encoder).spec
        found = [attach(section, Path(features), name, turned=symmetries, match=matching) for section in measured]
    return [with_them or without for with_them, without in zip(found, measured)]
