"""The prior of `eosin.trust.level_prior`: how much levels of genes differ between slides and between patients.

    python benchmarks/level_prior.py ../shared/data/her2st_levels [--source "lung, 8 patients"]

Counts of two sections each of six patients (her2st, Andersson et al. 2021), no images; or of any folder of tables
(.tsv.gz, spots x genes, the first letter of a file's name is the patient). With `--source` the last lines are a
settings file: `eosin train DATA --settings FILE` stands on that prior. Values ln(1 + count); for each
ordered pair of patients the genes of largest variance within the first one's sections. Shifts of level in units of
that variance. The variance that is printed is the one by which intervals that expect `NOISE` within slides cover 90 %
of the second one's values, in the mean over pairs: plain means of squares are larger, for a few pairs are far apart.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from eosin.trust.level_prior import OF_PATIENTS, around_mean

NOISE = 0.4
"""Share of the variance within slides that an image leaves over, as on her2st by the kernel."""

Slides = dict[str, np.ndarray]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--source", help="what the counts are of; prints the prior as a settings file")
    given = parser.parse_args(arguments)
    tables = {path.name.split(".")[0]: pd.read_csv(path, sep="\t", index_col=0) for path in given.data.glob("*.tsv.gz")}
    shared = sorted(set.intersection(*(set(table.columns) for table in tables.values())))
    counts = {name: table.loc[table.sum(axis=1) > 0, shared].to_numpy(float) for name, table in tables.items()}
    slides = {name: np.log1p(values) for name, values in counts.items()}
    print(f"{len(slides)} sections of {len({name[0] for name in slides})} patients, {len(shared)} genes")
    prior: list[str] = []
    for n_genes in (50, 300, 1000, 5000):
        for what, pairs in (("patients", of_patients(slides)), ("slides of a patient", of_slides(slides))):
            shifts = [shift(*pair, n_genes) for pair in pairs]
            common = np.mean([np.square(s.mean()) / np.square(s).mean() for s, _ in shifts])
            total = variance(shifts)
            print(f"{n_genes} genes, two {what}: variance {total:.2f}, {common:.0%} of it common")
            if n_genes == 50:  # of one patient or slide: half of what two differ by
                prior += [f"{what.split()[0]}_{n} = {total / 2 * s:.3f}" for n, s in parts(common)]
    print(f"variance of a patient's own shifts: coefficient of variation {variation(slides):.2f} over patients")
    for n in range(1, len({name[0] for name in slides})):
        inside = coverage(slides, n)
        print(f"{n} training patients: {np.mean(inside):.3f} inside 90 % on the others, worst {np.min(inside):.3f}")
    if given.source:
        print("\n".join(["", "[train.level_prior]", f"source = {json.dumps(given.source)}", *prior]))


def variation(slides: Slides, n_genes: int = 50) -> float:
    """How much patients differ in the variance of their genes' own shifts from the mean of the others."""
    found = []
    for patient in sorted({name[0] for name in slides}):
        others = [values for name, values in slides.items() if name[0] != patient]
        shifts = [shift(others, values, n_genes)[0] for name, values in slides.items() if name[0] == patient]
        found.append(np.mean(shifts, axis=0).var())
    return float(np.std(found, ddof=1) / np.mean(found))


def coverage(slides: Slides, n_patients: int, n_genes: int = 50) -> list[float]:
    """Share inside 90 % intervals on patients outside a training of `n_patients`, for every choice of them.

    The mean of a gene over training stands for what an image says of its level; the prior is that of the library.
    """
    patients, found = sorted({name[0] for name in slides}), []
    of = {p: [values for name, values in slides.items() if name[0] == p] for p in patients}
    for chosen in combinations(patients, n_patients):
        within = np.mean([values.var(0) for p in chosen for values in of[p]], axis=0)
        genes = np.argsort(-within)[:n_genes]
        unit = np.sqrt(within[genes])
        level = {p: np.mean([values[:, genes].mean(0) for values in of[p]], axis=0) / unit for p in patients}
        misses = {p: level[p] - np.mean([level[q] for q in chosen if q != p] or [level[p]], axis=0) for p in patients}
        prior = OF_PATIENTS
        if n_patients > 1:
            alone = np.stack([misses[p] for p in chosen]) / np.sqrt(around_mean(n_patients - 1))
            prior = prior.updated(alone, np.arange(n_patients))
        half = ndtri(0.95) * np.sqrt(NOISE + prior.around_mean_of(n_patients).total)
        for p in set(patients) - set(chosen):
            sd = np.sqrt(NOISE * np.mean([values[:, genes].var(0) for values in of[p]], axis=0) / within[genes])
            found.append(float((ndtr((half - misses[p]) / sd) - ndtr((-half - misses[p]) / sd)).mean()))
    return found


def parts(common: float) -> list[tuple[str, float]]:
    """Names and shares of the two parts of a variance."""
    return [("common", common), ("own", 1 - common)]


def of_patients(slides: Slides) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
    """Slides of one patient, and a slide of another."""
    for one, other in permutations(sorted({name[0] for name in slides}), 2):
        for name in slides:
            if name[0] == other:
                yield [values for key, values in slides.items() if key[0] == one], slides[name]


def of_slides(slides: Slides) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
    """A slide, and another one of the same patient."""
    for one, other in permutations(slides, 2):
        if one[0] == other[0]:
            yield [slides[one]], slides[other]


def shift(known: list[np.ndarray], other: np.ndarray, n_genes: int) -> tuple[np.ndarray, np.ndarray]:
    """Difference of levels [g] in units of the sd within the known slides, and the other's variance in its square."""
    within = np.mean([values.var(0) for values in known], axis=0)
    genes = np.argsort(-within)[:n_genes]
    level = np.mean([values[:, genes].mean(0) for values in known], axis=0)
    unit = within[genes]
    return (other[:, genes].mean(0) - level) / np.sqrt(unit), other[:, genes].var(0) / unit


def variance(shifts: list[tuple[np.ndarray, np.ndarray]], level: float = 0.9) -> float:
    """The variance of levels by which intervals cover what they promise, in the mean over pairs."""

    def missing(value: float) -> float:
        half = ndtri(0.5 + level / 2) * np.sqrt(NOISE + value)
        covered = [
            (ndtr((half - s) / np.sqrt(NOISE * v + 1e-12)) - ndtr((-half - s) / np.sqrt(NOISE * v + 1e-12))).mean()
            for s, v in shifts
        ]
        return float(np.mean(covered)) - level

    return float(brentq(missing, 0, 50)) if missing(0) < 0 else 0.0


if __name__ == "__main__":
    main(sys.argv[1:])
