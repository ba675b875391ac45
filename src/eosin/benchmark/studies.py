"""The papers' studies as named grids: which models, with which settings, panels and draws, stand in one table.

What varies in two other tables needs no grid here: encoders are `bench`'s own `encoders`, and sample statistics (Stem,
table 7) are read off one prediction by `eosin.metrics.sample_statistics`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from eosin.config import did_you_mean, near_names
from eosin.errors import EosinError
from eosin.metrics.gene_lists import BIOMARKERS
from eosin.models import MODELS


@dataclass(frozen=True)
class StudyCell:
    """One row of a study: what `bench` is asked for.

    Attributes
    ----------
    label
        Its name in the study's table, unique there.
    model
        As `bench` takes it, with a preset where one is chosen.
    settings
        Tables `model` and `train`, on top of the preset.
    genes, draws
        The panel's rule and the number of draws; None where the study leaves them to the caller.
    line, value
        What is alike in some rows, and what the study varies among these: a number where there is an order, else a
        word; None where the row stands by itself.
    """

    label: str
    model: str
    settings: Mapping[str, Mapping[str, Any]]
    genes: str | None = None
    draws: int | None = None
    line: str = ""
    value: float | str | None = None

    @property
    def folder(self) -> str:
        """The label as a file name."""
        return re.sub(r"[^A-Za-z0-9.]+", "-", self.label).strip("-")


@dataclass(frozen=True)
class Study:
    """A named grid, what it shows and where it was published.

    `varied` is what differs between its rows, with the unit. `needs_data` is False where rows are measured on simulated
    sections (`eosin.benchmark.efficiency`).
    """

    title: str
    source: str
    cells: tuple[StudyCell, ...]
    varied: str = "the varied setting"
    needs_data: bool = True


def _row(
    label: str,
    model: str,
    *,
    at: tuple[str, float | str | None] = ("", None),
    genes: str | None = None,
    draws: int | None = None,
    left_out: bool = True,
    **settings: Any,
) -> StudyCell:
    """A row; `left_out` is False where its network takes part also if it adds nothing to its base."""
    tables = ({"model": settings} if settings else {}) | ({} if left_out else {"train": {"least_gain": -2.0}})
    return StudyCell(label, model, tables, genes, draws, *at)


_network = partial(_row, left_out=False)
"""A row of a study whose rows differ in the network: were it left out, they would all be the base."""


_ALONE: dict[str, Any] = {"base": "none", "precondition": False}
"""The flow makes expression from its prior by itself: only then can priors be compared."""
_SIZES = (50, 100, 200, 300, 400, 1000)
_FLAG_KINDS = {"FLAG": "genes", "node-only diffusion": "nodes", "joint node-edge diffusion": "nodes-and-edges"}
_SAMPLERS = (("ancestral", None), ("ddim", 50), ("ddim", 20), ("dpm", 20), ("dpm", 10))

_EVERY_STEP = 1000
"""Steps of Stem's diffusion: what its ancestral sampler takes."""

STUDIES: Mapping[str, Study] = {
    "refinement-steps": Study(
        "how many refinement steps STFlow needs",
        "STFlow, table 5",
        tuple(_network(f"S = {n}", "stflow", at=("STFlow", n), n_steps=n) for n in (1, 2, 5, 10, 16)),
        "refinement steps",
    ),
    "priors": Study(
        "where STFlow's flow starts",
        "STFlow, table 10; 'empirical' and 'residual' are eosin's",
        tuple(
            _row(p, "stflow", at=("STFlow", p), prior=p, **_ALONE)
            for p in ("gaussian", "zero", "zinb", "empirical", "residual")
        ),
        "prior",
    ),
    "zinb": Study(
        "mean and dispersion of the ZINB prior, beside the prior fitted to each gene",
        "STFlow, table 13",
        (
            *(
                _row(
                    f"mean {mean}, dispersion {phi}",
                    "stflow",
                    at=(f"dispersion {phi}", mean),
                    prior="zinb",
                    prior_mean=mean,
                    prior_dispersion=phi,
                    **_ALONE,
                )
                for phi in (1.0, 2.0, 4.0)
                for mean in (0.1, 0.2, 0.4)
            ),
            _row("empirical", "stflow", prior="empirical", **_ALONE),
        ),
        "mean of the prior",
    ),
    "ablations": Study(
        "STFlow without flow matching, and without frame averaging",
        "STFlow, tables 4 and 9",
        (
            _network("STFlow", "stflow", at=("STFlow", "nothing")),
            _network("without flow matching", "stflow", at=("STFlow", "flow matching"), flow_matching=False),
            _network("without frame averaging", "stflow", at=("STFlow", "frame averaging"), frame_averaging=False),
        ),
        "part that is left out",
    ),
    "denoisers": Study(
        "E(2)-invariant denoisers in one flow",
        "STFlow, tables 3 and 11",
        tuple(_network(model, model, at=("flow", model)) for model in ("stflow", "egnn", "e2cnn")),
        "denoiser",
    ),
    "draws": Study(
        "what more draws bring to the mean and to the error bars",
        "Stem, appendix B, takes 100",
        tuple(
            _network(f"{model}, {k} draws", model, at=(model, k), draws=k)
            for model in ("stflow", "stem")
            for k in (1, 2, 4, 8, 16, 32)
        ),
        "draws",
    ),
    "samplers": Study(
        "whether Stem's short samplers lose anything against the long one",
        "Stem samples with 1000 ancestral steps",
        tuple(
            _network(f"{name} {steps}", "stem", at=(name, steps), sampler=name, n_steps=steps)
            if steps
            else _network(f"{name}, every step", "stem", at=(name, _EVERY_STEP), sampler=name)
            for name, steps in _SAMPLERS
        ),
        "sampling steps",
    ),
    "panel-sizes": Study(
        "how accuracy and structure fall as the panel grows",
        "FLAG, section 4.3 and table 8; Stem, table 6",
        (
            *(
                _row(f"{model}, {g} genes", model, at=(model, g), genes=f"hmhvg:{g}")
                for model in ("stflow", "stem")
                for g in _SIZES
            ),
            *(
                _row(f"{label}, {g} genes", "flag", at=(label, g), genes=f"hmhvg:{g}", diffuse=kind)
                for label, kind in _FLAG_KINDS.items()
                for g in _SIZES
            ),
        ),
        "genes",
    ),
    "flag-ablations": Study(
        "FLAG without diffusion, without its alignment to gene vectors, and without the graph of spots",
        "FLAG, table 2",
        (
            _network("FLAG", "flag", at=("FLAG", "nothing")),
            _network("without diffusion (supervised)", "flag", at=("FLAG", "diffusion"), diffusion=False),
            _network("without alignment", "flag", at=("FLAG", "alignment"), align=0.0),
            _network("without spatial graph", "flag", at=("FLAG", "spatial graph"), spatial_graph=False),
        ),
        "part that is left out",
    ),
    "efficiency": Study(
        "time and memory of one prediction against the number of spots, features given",
        "STFlow, figure 5; FLAG, table 10",
        (
            *(_row(m, m) for m in ("ridge", "stflow", "egnn", "e2cnn", "gigapath", "triplex", "histogene", "flag")),
            *(_row(f"flag {kind}", "flag", diffuse=kind) for kind in ("nodes", "nodes-and-edges")),
            _row("stem", "stem"),
        ),
        "model",
        needs_data=False,
    ),
    "biomarkers": Study(
        "four genes scored by name",
        "STFlow, table 2",
        (
            *(_row(m, m, genes=",".join(BIOMARKERS)) for m in ("forest", "stnet", "bleep", "triplex", "stflow")),
            _row("stflow without flow matching", "stflow", genes=",".join(BIOMARKERS), flow_matching=False),
        ),
        "model",
    ),
}
"""What `study_cells` knows by name."""


def study_cells(name: str, *, preset: str | None = None, rule: str | None = None) -> tuple[StudyCell, ...]:
    """The rows of a study.

    Parameters
    ----------
    preset
        As `paper` or `small`, for every model of the study that has it; the others keep their defaults.
    rule
        Another gene rule for a study of panel sizes, as `var` for `hmhvg`: the sizes stay.

    Raises
    ------
    EosinError
        No such study (near names are told), or a preset that none of its models has.
    """
    if name not in STUDIES:
        fix = did_you_mean(near_names(name, STUDIES), "known: " + ", ".join(STUDIES))
        raise EosinError(f"no study is called '{name}'", fix=fix)
    cells = STUDIES[name].cells
    if preset is not None:
        presets = {cell.model: preset in MODELS[cell.model].presets for cell in cells}
        if not any(presets.values()):
            raise EosinError(f"no model of study '{name}' has a preset '{preset}'", fix="leave the preset out")
        cells = tuple(replace(c, model=f"{c.model}:{preset}") if presets[c.model] else c for c in cells)
    if rule is not None:
        cells = tuple(
            replace(c, genes=f"{rule}:{c.genes.partition(':')[2]}") if c.genes and ":" in c.genes else c for c in cells
        )
    return cells


def needs_data(name: str) -> bool:
    """Whether a study that `study_cells` knows is of measured sections; else they are simulated."""
    return STUDIES[name].needs_data


def varied(name: str, cells: Sequence[StudyCell]) -> dict[str, Any]:
    """What a study varies, as `scores.json` keeps it: the quantity, and for each row its line and value.

    Rows that stand by themselves are not in it.
    """
    rows = {cell.label: {"line": cell.line, "value": cell.value} for cell in cells if cell.value is not None}
    return {"quantity": STUDIES[name].varied if name in STUDIES else "the varied setting", "rows": rows}
