"""Protocols: named, versioned, hashed files that say how models are compared, from the split to the metrics."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eosin.benchmark.protocol_tables import (
    ClaimTable,
    Head,
    PanelTable,
    Protocol,
    ScoreTable,
    SelectionTable,
    SplitTable,
)
from eosin.config import Registry, Settings
from eosin.data import hest_genes, hest_splits
from eosin.data.splits import Split, member_name, need_own_names, noted, splits
from eosin.errors import EosinError
from eosin.genes import TRANSFORMS, choose_panel
from eosin.metrics import METRICS
from eosin.types import GenePanel, Section

SCHEMA = 1
FOLDER = Path(__file__).parent / "protocols"
HOLD_OUT, RANDOM, FILES = "hold-out", "random", "files"
TRAIN, EVERYTHING = "train", "all"
_PINNED = re.compile(r"(?P<name>.+)@(?P<hash>[0-9a-fA-F]{8,64})")


_TABLES: dict[str, type[Settings]] = {
    "split": SplitTable,
    "panel": PanelTable,
    "selection": SelectionTable,
    "score": ScoreTable,
    "claims": ClaimTable,
}


def protocols() -> dict[str, Path]:
    """The protocols that ship with eosin, by name."""
    found = {path.relative_to(FOLDER).with_suffix("").as_posix(): path for path in FOLDER.rglob("*.toml")}
    return dict(sorted(found.items()))


def load_protocol(given: str | Path) -> Protocol:
    """Read a protocol by name or file, either with `@HASH` behind it to insist on its content.

    Parameters
    ----------
    given
        `her2st/stem`, `her2st/stem@1a2b3c4d` (8 or more digits of the SHA-256), or a .toml file, pinned alike.

    Raises
    ------
    EosinError
        No such protocol, a file that is not one, or a content other than the pinned one.
    """
    text, pin = str(given), ""
    if not Path(text).is_file() and (pinned := _PINNED.fullmatch(text)):
        text, pin = pinned["name"], pinned["hash"].lower()
    known = protocols()
    path = Path(text) if Path(text).is_file() else known.get(text)
    if path is None:
        if text.endswith(".toml"):
            raise EosinError("no such protocol file", file=text, fix="check the path, or see: eosin list protocols")
        names: Registry[Path] = Registry("protocol")
        for name, file in known.items():
            names.add(name, file)
        path = names[text]
    if not pin and (named := _PINNED.fullmatch(path.stem)):
        pin = named["hash"].lower()  # a file may carry its hash in its name
    return _read(path, pin)


def _read(path: Path, pin: str) -> Protocol:
    try:
        content = path.read_bytes()
        stored = tomllib.loads(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EosinError(f"not readable as TOML ({error})", file=path) from error
    sha256 = hashlib.sha256(content).hexdigest()
    if not sha256.startswith(pin):
        fix = "take the file that was pinned, or pin this one if the change is meant"
        raise EosinError(f"the protocol's content has hash {sha256[:16]}, not {pin}", file=path, fix=fix)
    if stored.pop("schema", None) != SCHEMA:
        raise EosinError(f"is no protocol of schema {SCHEMA}", file=path, fix=f"begin it with: schema = {SCHEMA}")
    tables = {name: stored.pop(name, {}) for name in _TABLES}
    if wrong := [name for name, table in tables.items() if not isinstance(table, dict)]:
        raise EosinError(f"'{wrong[0]}' is not a table", file=path, fix=f"write [{wrong[0]}]")
    head = Head.of(stored, source=str(path))  # first: a table of a wrong name is left over here
    made: dict[str, Any] = {name: kind.of(tables[name], source=f"{path} [{name}]") for name, kind in _TABLES.items()}
    protocol = Protocol(head, **made, sha256=sha256)
    _check(protocol, path)
    return protocol


def _check(protocol: Protocol, path: Path) -> None:
    """Refuse what is wrong only when fields are taken together."""
    for name in protocol.score.metrics:
        _ = METRICS[name]
    _ = TRANSFORMS[protocol.head.transform]
    if not protocol.score.metrics:
        raise EosinError("names no metric", file=path, fix='write metrics = ["pcc.mean"] under [score]')
    if bool(protocol.panel.rule) == bool(protocol.panel.file):
        raise EosinError("[panel] needs either a rule or a file", file=path, fix='write rule = "var:50"')
    shares = protocol.split.shares
    if protocol.split.rule == RANDOM and (abs(sum(shares) - 1) > 1e-6 or shares[0] <= 0 or shares[2] <= 0):
        raise EosinError("the shares of [split] do not add up to 1", file=path, fix="write shares = [0.7, 0.2, 0.1]")
    if protocol.split.rule == HOLD_OUT and not protocol.split.test:
        raise EosinError("[split] holds out nothing", file=path, fix='write test = ["B1"]')
    if protocol.selection.on == "validation" and (protocol.split.rule != RANDOM or shares[1] <= 0):
        raise EosinError("selects on validation sections but has none", file=path, fix="give shares a second number")


def chosen_sections(protocol: Protocol, sections: Sequence[Section]) -> list[Section]:
    """The sections that take part."""
    return [section for section in sections if _matches(section.name, protocol.head.sections)]


def protocol_splits(
    protocol: Protocol, sections: Sequence[Section], data: str | Path | None = None, *, allow_leak: bool = False
) -> list[Split]:
    """The protocol's splits of these sections, named after the protocol.

    `data` is the folder of the sections; a protocol whose splits lie there needs it.
    """
    sections = chosen_sections(protocol, sections)
    names, rule = [section.name for section in sections], protocol.split.rule
    if not sections:
        raise EosinError(f"protocol '{protocol.name}' takes none of the sections there", fix="give its data")
    if rule == FILES:
        if not isinstance(data, str | Path):
            fix = "give the folder of the data"
            raise EosinError(f"protocol '{protocol.name}' reads its splits from files", fix=fix)
        made = hest_splits(data)
    elif rule == HOLD_OUT:
        made = [_hold_out(protocol, names)]
    elif rule == RANDOM:
        made = [_random(protocol, sections)]
    else:
        made = splits(rule, sections, allow_leak=allow_leak)
    family = protocol.name.replace("/", ":")  # a slash parts the family of a split from its member
    patient = {section.name: section.patient for section in sections}
    if missing := sorted({n for split in made for n in (*split.train, *split.test)} - set(names)):
        raise EosinError(f"protocol '{protocol.name}' names section '{missing[0]}', which is not there", fix="give it")
    named = [replace(noted(split, patient), name=f"{family}/{member_name(split)}") for split in made]
    need_own_names(named)
    return named


def _hold_out(protocol: Protocol, names: Sequence[str]) -> Split:
    test = [name for name in names if _matches(name, protocol.split.test)]
    if not test:
        fix = "give its data, or another protocol (eosin list protocols)"
        wanted = " or ".join(f"'{name}'" for name in protocol.split.test)
        raise EosinError(f"protocol '{protocol.name}' tests on {wanted}, which is not there", fix=fix)
    return Split(",".join(test), tuple(name for name in names if name not in test), tuple(test))


def _random(protocol: Protocol, sections: Sequence[Section]) -> Split:
    """Sections in the order of a hash of their names and patients: the same on every machine, in whatever order."""

    def place(section: Section) -> str:
        text = "\0".join((protocol.name, str(protocol.head.version), section.patient, section.name))
        return hashlib.sha256(text.encode()).hexdigest()

    order = [section.name for section in sorted(sections, key=place)]
    _, validation, test = protocol.split.shares
    n_test = max(1, round(test * len(order)))
    n_validation = max(1, round(validation * len(order))) if validation else 0
    if n_test + n_validation >= len(order):
        fix = "give more sections"
        raise EosinError(f"protocol '{protocol.name}' cannot split {len(order)} sections by its shares", fix=fix)
    parts = order[:n_test], order[n_test : n_test + n_validation], order[n_test + n_validation :]
    tested, validated, trained = (tuple(sorted(part)) for part in parts)
    return Split(",".join(tested), trained, tested, validation=validated)


def protocol_genes(protocol: Protocol, sections: Sequence[Section], data: str | Path | None) -> str | GenePanel:
    """A rule to apply to each split's training sections; or a panel, with the sections that it was chosen on."""
    table, transform = protocol.panel, protocol.head.transform
    sections = chosen_sections(protocol, sections)
    chosen_on = tuple(section.name for section in sections) if table.chosen_on == EVERYTHING else ()
    if table.file:
        if not isinstance(data, str | Path):
            raise EosinError(f"protocol '{protocol.name}' reads its genes from '{table.file}'", fix="give the folder")
        return GenePanel(tuple(hest_genes(data, table.file)), transform, rule=f"file:{table.file}", chosen_on=chosen_on)
    if chosen_on:
        return replace(choose_panel(table.rule, sections, transform=transform), chosen_on=chosen_on)
    return table.rule


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def protocol_facts() -> list[dict[str, Any]]:
    """One line for each protocol that ships."""
    return [
        {
            "name": name,
            "version": protocol.head.version,
            "sha256": protocol.sha256[:16],
            "split": f"{protocol.split.rule} ({protocol.split.origin})",
            "panel": (protocol.panel.rule or protocol.panel.file)
            + (" of all sections, a leak" if protocol.panel.chosen_on == EVERYTHING else ""),
            "epoch chosen on": protocol.selection.on,
            "unseen patients": "yes" if protocol.claims.unseen_patients else "not claimed",
            "about": protocol.head.about,
        }
        for name, protocol in ((name, load_protocol(path)) for name, path in protocols().items())
    ]
