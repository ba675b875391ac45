"""Which genes a model predicts: panels chosen on training sections."""

from __future__ import annotations

import csv
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from eosin.config import did_you_mean, near_names
from eosin.errors import EosinError
from eosin.genes.columns import GeneNames
from eosin.genes.rules import RULES
from eosin.genes.transforms import TRANSFORMS, Transform, measured
from eosin.options.records import panel_rule
from eosin.plurals import counted
from eosin.types import GenePanel, Section

log = logging.getLogger("eosin")


def gene_rules() -> dict[str, str]:
    """Every way to choose a panel, as typed by a user -> what it does."""
    rules = {f"{name}:N": RULES[name].about for name in RULES}
    return {
        **rules,
        "FILE": "a list: one gene per line, first column of a csv, or JSON",
        "A,B,C": "these genes",
        "A+B": "the union of rules, files and genes, each gene once",
    }


def choose_panel(rule: str | Path, sections: Sequence[Section], *, transform: str = "log1p") -> GenePanel:
    """Choose the genes to predict. Give training sections only: a panel chosen on test sections flatters the score.

    Parameters
    ----------
    rule
        `var:N`, `hvg:N` or `hmhvg:N` (see `gene_rules`), a file that lists genes, names as `GATA3,ERBB2`, or a union
        of these as `var:50+GATA3,ERBB2`, in that order and each gene once. A `?` at the end leaves out the named genes
        that a section lacks, which are logged; otherwise they are refused.
    sections
        Measured sections; only genes that all of them have can be chosen. Their order does not matter.
    transform
        Name in `TRANSFORMS`, kept in the panel.

    Raises
    ------
    EosinError
        An unknown rule, more genes than there are, no common gene, a gene that is not measured, a broken file.
    """
    values = TRANSFORMS[transform]
    if not sections:
        raise EosinError("no section to choose genes on", fix="give at least one measured section")
    sections = sorted(sections, key=lambda section: (section.name, section.patient))
    return with_ids(_choose(str(rule).strip(), sections, values), sections)


def with_ids(panel: GenePanel, sections: Sequence[Section]) -> GenePanel:
    """The panel with the Ensembl ids that the sections know its genes by; none where they disagree."""
    if panel.ensembl is not None:
        return panel
    ids_of: dict[str, set[str]] = {name: set() for name in panel.names}
    for section in sections:
        names = GeneNames.of(section)
        for name, gene_id in zip(names.names, names.all_ids):
            if gene_id and name in ids_of:
                ids_of[name].add(gene_id)
    ids = ("".join(ids_of[name]) if len(ids_of[name]) == 1 else "" for name in panel.names)
    return replace(panel, ensembl=tuple(ids))


def tolerant(rule: str | Path | Sequence[str], missing: str) -> str:
    """The rule for `choose_panel` by which genes that a section lacks are refused or left out.

    Parameters
    ----------
    rule
        As for `choose_panel`, or a list of genes.
    missing
        `refuse` or `skip`.

    Raises
    ------
    EosinError
        `missing` is neither.
    """
    if missing not in ("refuse", "skip"):
        raise EosinError(f"--missing-genes is '{missing}'", fix="give refuse or skip")
    text = panel_rule(rule).strip()
    return f"{text.removesuffix('?')}?" if missing == "skip" else text


def need_rule(rule: str | Path, transform: str = "log1p") -> None:
    """Refuse a rule that no section could answer, and an unknown transform: what can be known before data are read.

    Parameters
    ----------
    rule, transform
        As for `choose_panel`.

    Raises
    ------
    EosinError
        As `choose_panel` would.
    """
    _ = TRANSFORMS[transform]
    for part in _parts(str(rule).strip().removesuffix("?").strip()):
        _need_part(part)


def _parts(whole: str) -> list[str]:
    """The rules, files and lists of a union."""
    parts = [part.strip() for part in whole.split("+")]
    if len(parts) == 1 or _is_file(Path(whole)):
        return [whole]
    if "" in parts:
        raise EosinError(f"gene rule '{whole}' has nothing before or after a +", fix="write var:50+ERBB2,GATA3")
    return parts


def _need_part(text: str) -> None:
    path = Path(text)
    if _is_file(path):
        _read_names(path)
    elif _is_ranked(text):
        name, _, number = text.partition(":")
        if name not in RULES:
            raise EosinError(f"no gene rule is called '{name}'", fix=_known_rules())
        if not re.fullmatch(r"[0-9]+", number) or int(number) < 1:
            raise EosinError(f"gene rule '{text}' has no positive whole number of genes", fix=f"write {name}:50")
    elif path.suffix.lower() in {".txt", ".csv", ".tsv", ".json"} or "/" in text:
        raise EosinError("no such file of genes", file=path)


def _is_ranked(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_]*:.*", text) is not None


def _choose(text: str, sections: Sequence[Section], values: Transform) -> GenePanel:
    skip = text.endswith("?")
    whole = text.removesuffix("?").strip()
    parts = _parts(whole)
    found = [_choose_part(part, sections, values, skip=skip) for part in parts]
    panels = [panel for panel in found if panel is not None]
    if not panels:
        return _choose(whole, sections, values)  # says of the first gene that it is not measured
    if len(parts) == 1:
        return panels[0]
    names = tuple(dict.fromkeys(name for panel in panels for name in panel.names))
    chosen_on = next((panel.chosen_on for panel in panels if panel.chosen_on), ())
    return GenePanel(names, values.name, whole, chosen_on)


def _choose_part(text: str, sections: Sequence[Section], values: Transform, *, skip: bool) -> GenePanel | None:
    """The panel of one rule, file or list; None where all of its names are skipped."""
    path, transform = Path(text), values.name
    _need_part(text)
    if _is_file(path):
        names = _check_measured(_read_names(path), sections, path, skip=skip)
        return GenePanel(names, transform, rule=f"file:{path.name}") if names else None
    if _is_ranked(text):
        return _choose_ranked(text, sections, values)
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    kept = _check_measured(names, sections, None, skip=skip)
    return GenePanel(kept, transform) if kept or not skip else None


def _choose_ranked(text: str, sections: Sequence[Section], transform: Transform) -> GenePanel:
    name, _, number = text.partition(":")
    common = _common_genes(sections)
    ranked = RULES[name].rank(sections, common, transform)
    if int(number) > len(ranked):
        fix = f"ask for {name}:{len(ranked)} or fewer" if ranked else "choose another rule or leave a section out"
        raise EosinError(
            f"gene rule '{text}' finds only {counted(len(ranked), 'gene')} among the {len(common)} that all "
            f"{counted(len(sections), 'section')} have",
            fix=fix,
        )
    return GenePanel(ranked[: int(number)], transform.name, text, tuple(section.name for section in sections))


def _common_genes(sections: Sequence[Section]) -> tuple[str, ...]:
    sets = [set(measured(section)[1]) for section in sections]
    common = set.intersection(*sets)
    if common:
        return tuple(sorted(common))
    for (first, first_genes), (second, second_genes) in combinations(zip(sections, sets), 2):
        if not first_genes & second_genes:
            fix = "check that both are of one species and panel, or leave one out"
            fix = second.rename_advice(list(first_genes)) or fix
            raise EosinError(f"sections '{first.name}' and '{second.name}' share no gene", fix=fix)
    if len(sets) == 1:
        raise EosinError(f"section '{sections[0].name}' has no genes", fix="leave it out")
    raise EosinError(f"no gene is in all {len(sets)} sections", fix="leave the one with the fewest genes out")


# --- lists of genes -----------------------------------------------------------------------------------------------

_HEADERS = {"", "gene", "genes", "gene_name", "gene_names", "gene_symbol", "symbol", "symbols", "name", "names"}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a long list of genes is no path
        return False


def _read_names(path: Path) -> tuple[str, ...]:
    fix = 'give one gene per line, a csv with genes in its first column, or JSON {"genes": [...]}'
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            lines = json.loads(text)
            lines = lines.get("genes") if isinstance(lines, dict) else lines
            if not (isinstance(lines, list) and all(isinstance(name, str) for name in lines)):
                raise EosinError("holds no list of gene names", file=path, fix=fix)
        elif path.suffix.lower() in {".csv", ".tsv"}:
            rows = csv.reader(text.splitlines(), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            lines = [row[0] for row in rows if row]
            lines = lines[1:] if lines and lines[0].strip().lower() in _HEADERS else lines
        else:
            lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    except (OSError, ValueError, csv.Error) as error:
        raise EosinError(f"not readable as a list of genes ({error})", file=path, fix=fix) from error
    names = tuple(name.strip() for name in lines if name.strip())
    if not names:
        raise EosinError("lists no gene", file=path, fix=fix)
    return names


def _check_measured(
    names: tuple[str, ...], sections: Sequence[Section], path: Path | None, *, skip: bool
) -> tuple[str, ...]:
    if skip:
        common = set.intersection(*(set(measured(section)[1]) for section in sections))
        missing = [name for name in names if name not in common]
        if missing:
            log.warning("left out, as a section lacks them: %s", ", ".join(missing))
        return tuple(name for name in names if name in common)
    for section in sections:
        genes = measured(section)[1]
        missing = sorted(set(names) - set(genes), key=names.index)
        if missing:
            name = missing[0]
            near = near_names(name, genes, at_most=1, cutoff=0.7)
            fix = did_you_mean(near, section.rename_advice(missing) or _known_rules())
            raise EosinError(f"gene '{name}' is not measured in section '{section.name}'", file=path, fix=fix)
    return names


def _known_rules() -> str:
    return "name measured genes, or use one of " + ", ".join(gene_rules())
