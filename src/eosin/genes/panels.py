"""Which genes a model predicts: panels chosen on training sections."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse

from eosin.config import Registry
from eosin.errors import EosinError
from eosin.gene_ids import rename_advice
from eosin.genes.transforms import TRANSFORMS, Transform, measured, totals
from eosin.types import GenePanel, Section

# --- rules: from training sections to genes, best first -----------------------------------------------------------


class Moments(NamedTuple):
    """Mean and variance (ddof 1) of each gene [g] over all spots of some sections."""

    mean: np.ndarray
    var: np.ndarray


@dataclass(frozen=True)
class GeneRule:
    """A way to rank genes: `rank(sections, names, transform)` gives the qualified ones of `names`, best first.

    `names` are the genes that all sections have, in alphabetical order. To add a rule, put an object into `RULES`.
    """

    about: str
    rank: Callable[[Sequence[Section], tuple[str, ...], Transform], tuple[str, ...]]


RULES: Registry[GeneRule] = Registry("gene_rule")


def _rank_var(sections: Sequence[Section], names: tuple[str, ...], transform: Transform) -> tuple[str, ...]:
    return _best_first(names, _moments(sections, names, transform).var)


def _rank_hvg(sections: Sequence[Section], names: tuple[str, ...], transform: Transform) -> tuple[str, ...]:
    # The recipe's log1p is undone inside the flavour (dispersions are of counts), so counts are what is needed here,
    # whatever the panel's transform.
    del transform
    kept = np.ones(len(names), dtype=bool)
    for section in sections:
        kept &= _columns(section, names).getnnz(axis=0) >= 0.1 * len(section)
    names = tuple(np.asarray(names, dtype=object)[kept])
    if not names:
        return ()
    score = _normalised_dispersion(_moments(sections, names, _COUNTS))
    found = np.isfinite(score)
    return _best_first(tuple(np.asarray(names, dtype=object)[found]), score[found])


def _rank_hmhvg(sections: Sequence[Section], names: tuple[str, ...], transform: Transform) -> tuple[str, ...]:
    # Intersecting the top K of both lists, K grown until N genes are in it, is taking the N genes whose worse rank
    # is best; this form also has an answer where the intersection grows by two genes and skips N.
    moments = _moments(sections, names, transform)
    place = {name: i for i, name in enumerate(_best_first(names, moments.mean))}
    worse = {name: max(i, place[name]) for i, name in enumerate(_best_first(names, moments.var))}
    return tuple(sorted(names, key=lambda name: (worse[name], name)))


RULES.add("var", GeneRule("greatest variance of the model values over all training spots", _rank_var))
RULES.add(
    "hvg",
    GeneRule(
        "highly variable genes: of those counted in 10 % of the spots of every section, the greatest dispersion "
        "relative to genes of like mean (scanpy's default flavour; HEST's recipe)",
        _rank_hvg,
    ),
)
RULES.add(
    "hmhvg", GeneRule("high mean and highly variable: within the top K of both lists (FLAG, appendix C.1)", _rank_hmhvg)
)


def gene_rules() -> dict[str, str]:
    """Every way to choose a panel, as typed by a user -> what it does."""
    rules = {f"{name}:N": RULES[name].about for name in RULES}
    return {**rules, "FILE": "a list: one gene per line, first column of a csv, or JSON", "A,B,C": "these genes"}


def choose_panel(rule: str | Path, sections: Sequence[Section], *, transform: str = "log1p") -> GenePanel:
    """Choose the genes to predict. Give training sections only: a panel chosen on test sections flatters the score.

    Parameters
    ----------
    rule
        `var:N`, `hvg:N` or `hmhvg:N` (see `gene_rules`), a file that lists genes, or names as `GATA3,ERBB2`.
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
    text = str(rule).strip()
    path = Path(text)
    if _is_file(path):
        names = _check_measured(_read_names(path), sections, path)
        return GenePanel(names, transform, rule=f"file:{path.name}")
    if re.fullmatch(r"[A-Za-z0-9_]*:.*", text):
        return _choose_ranked(text, sections, values)
    if path.suffix.lower() in {".txt", ".csv", ".tsv", ".json"} or "/" in text:
        raise EosinError("no such file of genes", file=path)
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return GenePanel(_check_measured(names, sections, None), transform)


def _choose_ranked(text: str, sections: Sequence[Section], transform: Transform) -> GenePanel:
    name, _, number = text.partition(":")
    if name not in RULES:
        raise EosinError(f"no gene rule is called '{name}'", fix=_known_rules())
    if not re.fullmatch(r"[0-9]+", number) or int(number) < 1:
        raise EosinError(f"gene rule '{text}' has no positive whole number of genes", fix=f"write {name}:50")
    common = _common_genes(sections)
    ranked = RULES[name].rank(sections, common, transform)
    if int(number) > len(ranked):
        fix = f"ask for {name}:{len(ranked)} or fewer" if ranked else "choose another rule or leave a section out"
        raise EosinError(
            f"gene rule '{text}' finds only {len(ranked)} genes among the {len(common)} that all "
            f"{len(sections)} sections have",
            fix=fix,
        )
    return GenePanel(ranked[: int(number)], transform.name, text, tuple(section.name for section in sections))


# --- statistics ---------------------------------------------------------------------------------------------------

_COUNTS = Transform("counts", "count", lambda c: c, lambda c: c)  # for statistics only, never a panel's scale


def _moments(sections: Sequence[Section], names: tuple[str, ...], transform: Transform) -> Moments:
    """Pooled moments of model values, one sparse section at a time; centred in each, then merged (Chan et al. 1979).

    Sums of squares that are not centred lose the variance of genes with a large mean.
    """
    n, mean, spread = 0, np.zeros(len(names)), np.zeros(len(names))
    for section in sections:
        values = transform.forward_sparse(_columns(section, names), totals(section))
        m = len(section)
        here = np.bincount(values.indices, values.data, len(names)) / m
        zeros = m - np.bincount(values.indices, minlength=len(names))
        around = np.bincount(values.indices, (values.data - here[values.indices]) ** 2, len(names)) + zeros * here**2
        shift = here - mean
        spread += around + shift**2 * (n * m / (n + m))
        mean += shift * (m / (n + m))
        n += m
    return Moments(mean, spread / max(n - 1, 1))


def _normalised_dispersion(moments: Moments, n_bins: int = 20) -> np.ndarray:
    """Log dispersion of each gene [g] in standard deviations from genes of like mean; NaN for a gene without variance.

    Satija et al. 2015 (the first Seurat), as scanpy's default flavour: equal bins of ln(1 + mean); a gene alone in its
    bin scores 1.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        dispersion = np.log(moments.var / moments.mean)
    dispersion[~np.isfinite(dispersion)] = np.nan
    level = np.log1p(moments.mean)
    edges = np.linspace(level.min(), level.max(), n_bins + 1)
    bins = np.clip(np.searchsorted(edges, level, side="left"), 1, n_bins)  # right-closed, the lowest value inside
    score = np.full(len(level), np.nan)
    for bin_ in np.unique(bins):
        members = np.flatnonzero((bins == bin_) & np.isfinite(dispersion))
        if len(members) == 1:
            score[members] = 1.0
        elif len(members) > 1 and (sd := dispersion[members].std(ddof=1)) > 0:
            score[members] = (dispersion[members] - dispersion[members].mean()) / sd
    return score


def _best_first(names: tuple[str, ...], score: np.ndarray) -> tuple[str, ...]:
    """Greatest score first; equal ones (to 10 digits, so that rounding decides nothing) by name."""
    rounded = [-float(f"{value:.9e}") for value in score]
    return tuple(name for _, name in sorted(zip(rounded, names)))


def _columns(section: Section, names: tuple[str, ...]) -> sparse.csr_matrix:
    counts, genes = measured(section)
    place = {gene: j for j, gene in enumerate(genes)}
    columns = sparse.csr_matrix(counts[:, [place[name] for name in names]])
    columns.sum_duplicates()
    columns.eliminate_zeros()
    return columns


def _common_genes(sections: Sequence[Section]) -> tuple[str, ...]:
    sets = [set(measured(section)[1]) for section in sections]
    common = set.intersection(*sets)
    if common:
        return tuple(sorted(common))
    for (one, ones), (other, others) in combinations(zip(sections, sets), 2):
        if not ones & others:
            fix = rename_advice(ones, others) or "check that both are of one species and panel, or leave one out"
            raise EosinError(f"sections '{one.name}' and '{other.name}' share no gene", fix=fix)
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
            found = json.loads(text)
            found = found.get("genes") if isinstance(found, dict) else found
            if not (isinstance(found, list) and all(isinstance(name, str) for name in found)):
                raise EosinError("holds no list of gene names", file=path, fix=fix)
        elif path.suffix.lower() in {".csv", ".tsv"}:
            rows = csv.reader(text.splitlines(), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            found = [row[0] for row in rows if row]
            found = found[1:] if found and found[0].strip().lower() in _HEADERS else found
        else:
            found = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    except (OSError, ValueError, csv.Error) as error:
        raise EosinError(f"not readable as a list of genes ({error})", file=path, fix=fix) from error
    names = tuple(name.strip() for name in found if name.strip())
    if not names:
        raise EosinError("lists no gene", file=path, fix=fix)
    return names


def _check_measured(names: tuple[str, ...], sections: Sequence[Section], path: Path | None) -> tuple[str, ...]:
    for section in sections:
        genes = measured(section)[1]
        missing = sorted(set(names) - set(genes), key=names.index)
        if missing:
            name = missing[0]
            near = [g for g in genes if g.lower() == name.lower()] or get_close_matches(name, genes, n=1, cutoff=0.7)
            fix = f"did you mean '{near[0]}'?" if near else rename_advice(missing, genes) or _known_rules()
            raise EosinError(f"gene '{name}' is not measured in section '{section.name}'", file=path, fix=fix)
    return names


def _known_rules() -> str:
    return "name measured genes, or use one of " + ", ".join(gene_rules())
