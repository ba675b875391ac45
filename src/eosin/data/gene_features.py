"""Which features of a file are genes, and what they are called without what other programs made of their names.

Joint references of two species put the genome before each name, spreadsheets turn MARCH1 into a date, instruments count
control probes beside genes. None of it may become a gene, or keep one from being found in another section.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eosin.data.missing import as_text, names_no_gene
from eosin.errors import EosinError
from eosin.genes.columns import GeneNames, listed
from eosin.plurals import counted

GENE_EXPRESSION = "Gene Expression"
_GENE_TYPES = frozenset({"gene expression", "gene", "genes", "rna", "gex", "mrna"})
"""What tools write of a gene where they say what a feature is, in lower case."""
_OTHER_TYPES = frozenset(
    {"antibody capture", "crispr guide capture", "multiplexing capture", "antigen capture", "peaks", "custom"}
    | {"protein", "proteins", "adt", "hto", "negative control probe", "negative control codeword", "blank codeword"}
    | {"unassigned codeword", "deprecated codeword", "genomic control", "protein expression"}
)
_CONTROL = re.compile(
    r"BLANK|Neg(?:ative)?[ _-]?(?:Control|Ctrl|Prb|Probe|[0-9])|antisense_|Unassigned|Deprecated"
    r"|Intergenic[ _]?Region|Genomic[ _]?Control|System[ _]?Control|False[ _]?Code|ERCC-[0-9]{5}",
    re.IGNORECASE,
)
"""How names of control probes, unused codewords and spiked-in RNA begin: Xenium, CosMx, MERSCOPE, probe sets, ERCC."""
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|M[aä]r[sz]|Mrz|Mai|Okt|Dez)[a-z]{0,6}\.?"
_DATE = re.compile(
    rf"[0-9]{{1,2}}[-./ ]{{1,2}}{_MONTH}(?:[-./ ][0-9]{{2,4}})?|{_MONTH}[-./ ][0-9]{{1,4}}"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[ T][0-9:.]+)?|[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{2,4}",
    re.IGNORECASE,
)
"""What spreadsheets make of MARCH1, SEPT2 and DEC1."""
_GENOME = re.compile(
    r"(?P<genome>GRC[a-z]{1,3}[0-9]+|hg[0-9]{2}|mm[0-9]{1,2}|rn[0-9]|mRatBN[0-9.]+|Rnor_[0-9.]+)_+(?=.)"
)
_LEAST_SHARE = 0.5
"""Of the features, from which on what stands before their names is taken for a genome."""


def are_genes(types: Sequence[object] | np.ndarray) -> np.ndarray:
    """[f] which features are genes by what their file says that they are; all where it says nothing that is known.

    Raises
    ------
    EosinError
        All are of kinds that are no genes, as antibodies.
    """
    kinds, of_feature = np.unique([as_text(one).strip().lower() for one in types], return_inverse=True)
    genes = np.isin(kinds, list(_GENE_TYPES))
    if len(kinds) and not genes.any():
        if set(kinds.tolist()) <= _OTHER_TYPES:
            there = ", ".join(f"{int((of_feature == k).sum())} of '{kind}'" for k, kind in enumerate(kinds[:4]))
            problem = f"holds no feature of type '{GENE_EXPRESSION}', but {there}"
            raise EosinError(problem, fix="give the file that holds gene expression")
        genes[:] = True
    return genes[of_feature] if len(kinds) else np.zeros(0, dtype=bool)


def is_control(name: str) -> bool:
    """Whether a name is that of a control probe, an unused codeword or spiked-in RNA."""
    return _CONTROL.match(name) is not None


def genes_of(given: GeneNames) -> tuple[GeneNames, np.ndarray | None, list[str]]:
    """The genes among features, which columns they are (None for all, in order), and notes on the others.

    A name that is empty, `nan` or a date is none: the Ensembl id stands in, and without one the column is no gene.
    """
    given, notes = _without_genome(given)
    dates = [name for name in given.names if _DATE.fullmatch(name)]
    is_date = set(dates)
    nameless = np.array([name in is_date or names_no_gene(name) for name in given.names], dtype=bool)
    controls = np.array([is_control(name) for name in given.names], dtype=bool)
    if not nameless.any() and not controls.any():
        return given, None, notes
    ids = given.ensembl or ("",) * len(given)
    beside = ["" if names_no_gene(one) else one for one in ids]
    names = [one if not none else other for one, none, other in zip(given.names, nameless.tolist(), beside)]
    lost = np.array([not name for name in names], dtype=bool)
    if dates:
        n_lost = sum(name in is_date and not new for name, new in zip(given.names, names))
        notes.append(_said_of_dates(dates, n_lost))
    if n := int(controls.sum()):
        notes.append(f"{n} control probes were left out")
    if n := int((lost & [name not in is_date for name in given.names]).sum()):
        notes.append(f"{n} of {len(given)} features have no name and were left out")
    kept = np.flatnonzero(~lost & ~controls)
    return replace(given, names=tuple(names)).take(kept), kept, notes


def _said_of_dates(dates: Sequence[str], n_lost: int) -> str:
    """A note on genes whose names a spreadsheet turned into dates."""
    became = f"{len(dates) - n_lost} called by their Ensembl ids, {n_lost} left out"
    n = counted(len(dates), "gene")
    return f"{n} named as dates, which spreadsheets make of MARCH1 ({listed(dates)}): {became}"


def _without_genome(given: GeneNames) -> tuple[GeneNames, list[str]]:
    """Names and ids without the genome that joint references put before them; names that are then two's keep it."""
    matches = [_GENOME.match(name) for name in given.names]
    genomes = Counter(match["genome"] for match in matches if match is not None)
    if sum(genomes.values()) < max(1, _LEAST_SHARE * len(given)):
        return given, []
    bare = [name if match is None else name[match.end() :] for name, match in zip(given.names, matches)]
    of_name: dict[str, set[str | None]] = {}
    for name, match in zip(bare, matches):
        of_name.setdefault(name, set()).add(None if match is None else match["genome"])
    names = tuple(new if len(of_name[new]) == 1 else old for new, old in zip(bare, given.names))
    ids, symbols = (
        None if part is None else tuple(_GENOME.sub("", one, count=1) if _GENOME.match(one) else one for one in part)
        for part in (given.ensembl, given.symbols)
    )
    counted = ", ".join(f"{genome}: {n}" for genome, n in genomes.most_common(4))
    several = "; counts of all of them are in a spot's total" if len(genomes) > 1 else ""
    note = f"genes are called without their genome ({counted}){several}"
    return GeneNames(names, ids, symbols), [note]
