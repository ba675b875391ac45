"""Train any model on measured sections. The one place that asks whether a model is solved or learned."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eosin.config import Settings, unknown_table
from eosin.encoders.parts.versions import with_version
from eosin.engine.checkpoint import Trained
from eosin.engine.fit import Fitting
from eosin.engine.out_of_fold import errors_of
from eosin.engine.selection import RULES, HeldOut, Validation
from eosin.engine.together import is_first, n_processes
from eosin.engine.train_settings import TrainSettings
from eosin.engine.units import units_of
from eosin.engine.verdict import of_network
from eosin.errors import EosinError
from eosin.genes import choose_panel, target, totals, with_ids
from eosin.geometry import grouped
from eosin.models import MODELS, Learned, Solved, Training
from eosin.models.parts.patients import SpotOrigins
from eosin.row_blocks import even_rows
from eosin.storage.files import fingerprint
from eosin.storage.lazy_rows import LazyRows, StackedRows
from eosin.trust import Distance, ErrorModel, need_patients
from eosin.types import Batch, Features, GenePanel, Section
from eosin.types.count_rows import CountRows

log = logging.getLogger("eosin")


def train(
    sections: Sequence[Section],
    *,
    model: str = "stflow",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    panel: GenePanel | str = "var:50",
    transform: str = "log1p",
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    validate: Validation | None = None,
) -> Trained:
    """Train a model on encoded, measured sections.

    Parameters
    ----------
    sections
        Training sections, all with counts and with features of one encoder.
    model
        A name in the registry, with an optional preset: `stflow`, `stflow:paper`, `ridge`.
    settings
        Tables `model` and `train` that go over the preset's and the defaults.
    panel
        The genes, or the rule that chooses them on these sections.
    transform
        The scale of the values, where the panel is a rule.
    seed
        Of weights, regions, noise and the group that is held out.
    out
        Checkpoint folder; written after every epoch of a learned model, and at the end.
    resume
        Continue what lies in `out` to the same weights as an uninterrupted run.
    validate
        Sections that choose the epoch, instead of a group inside the training sections: one run over all training
        sections, of which the best epoch's weights are kept. Models without epochs ignore it.

    Raises
    ------
    EosinError
        Sections without counts or features, an unknown model or setting, a panel that cannot be had, validation
        sections without the panel's genes or with features of another encoder.
    """
    if not sections:
        raise EosinError("there are no sections to train on", fix="name at least one measured section")
    started = time.monotonic()
    name, tables = resolve(model, settings)
    entry = MODELS[name]
    model_settings = entry.settings.of(tables["model"], source="[model]")
    train_settings = TrainSettings.of(tables["train"], source="[train]")
    if isinstance(panel, str):
        panel = choose_panel(panel, sections, transform=transform)
    panel = with_ids(panel, sections)
    conformal = train_settings.calibrate == "conformal"
    if conformal:
        need_patients(len({section.patient for section in sections}))  # before hours of training
    judging = {"conformal": conformal, "prior": train_settings.level_prior}
    training = gather(sections, panel)
    n_features = training.batch.features.shape[1]
    features = sections[0].need_features()

    def trained(fitted: Any, metrics: Mapping[str, Any], errors: ErrorModel | None = None) -> Trained:
        metrics = {**metrics, **of_network(fitted, metrics, model_settings.model_dump(mode="json"))}
        return Trained(
            model=fitted,
            name=name,
            panel=panel,
            encoder=with_version(features.encoder, features.key),
            encoder_key=features.key,
            n_features=n_features,
            model_settings=model_settings.model_dump(mode="json"),
            train_settings=train_settings.model_dump(mode="json"),
            seed=seed,
            trained_on=tuple(
                {"name": s.name, "patient": s.patient, "fingerprint": s.fingerprint(), **units_of(s)} for s in sections
            ),
            metrics={**metrics, "seconds": round(time.monotonic() - started, 2)},
            licence=features.licence,
            commercial=all(s.need_features().commercial for s in sections),
            errors=errors,
            distance=None if errors is None else distance_of(training),
        )

    def build() -> Any:
        torch.manual_seed(seed)
        return entry.build(model_settings, n_features, panel)

    untrained, depth = build(), depth_of(sections)
    if isinstance(training.batch.features, LazyRows) and not untrained.trains_on_rows:
        training, rows = _in_memory(training, untrained.most_spots, name)
        depth = depth[rows]
    if isinstance(untrained, Solved):
        if n_processes() > 1:
            raise EosinError(f"model '{name}' is solved in one step", fix="train it in one process: leave --on out")
        untrained.solve(training)
        result = trained(untrained, {}, errors_of(untrained, build, training, None, depth, **judging))
    elif isinstance(untrained, Learned):
        key = run_key(sections, model, model_settings, train_settings, panel, seed, validate)
        held_out = None if validate is None else _held_out(validate, features, panel, train_settings)
        fitting = Fitting(build, training, train_settings, seed, Path(out) if out else None, key, held_out)
        fitted, metrics = fitting.run(resume=resume, save_model=lambda m, x: trained(m, x).save(out) if out else None)
        if not is_first():
            return trained(fitted, metrics)  # the first of the processes that train together says and writes the rest
        scale = fitting.held_out_scale if metrics["epochs"] or not fitted.starts_from_base else None
        depth = depth if fitting.used is training else None  # without a refit some spots were left out
        result = trained(fitted, metrics, errors_of(fitted, build, fitting.used, scale, depth, **judging))
    else:
        raise EosinError(f"model '{name}' is neither solved nor learned", fix="derive it from Solved or Learned")
    if "network_note" in result.metrics:
        log.warning(result.metrics["network_note"])
    if out is not None:
        result.save(out)
    return result


def resolve(model: str, settings: Mapping[str, Mapping[str, Any]] | None) -> tuple[str, dict[str, dict[str, Any]]]:
    """Name and settings tables of `name` or `name:preset`, with `settings` on top.

    The model's own defaults of training stand under the preset's. What is unknown or impossible in the tables is an
    `EosinError` here already, before anything is computed.
    """
    name, _, preset = model.partition(":")
    entry = MODELS[name]
    if preset and preset not in entry.presets:
        raise EosinError(
            f"model '{name}' has no preset '{preset}'", fix="known presets: " + (", ".join(entry.presets) or "none")
        )
    tables: dict[str, dict[str, Any]] = {
        table: dict(entry.presets[preset].get(table, {})) if preset else {} for table in ("model", "train")
    }
    tables["train"] = {**entry.train, **tables["train"]}
    for table, values in (settings or {}).items():
        if table not in tables:
            raise unknown_table(table)
        tables[table].update({key.replace("-", "_"): value for key, value in values.items()})
    entry.settings.of(tables["model"], source="[model]")
    TrainSettings.of(tables["train"], source="[train]")
    return name, tables


def gather(sections: Sequence[Section], panel: GenePanel) -> Training:
    """Everything a model may learn from, as arrays: features, targets, counts and inner groups."""
    batch = Batch.of(sections)
    labels, level = grouped(
        [s.patient for s in sections], [s.name for s in sections], [s.spots.xy_um for s in sections]
    )
    log.info("inner validation keeps each %s whole", level)
    batch = replace(batch, training_rows=np.arange(len(batch)))
    values = np.empty((len(batch), len(panel)), dtype=np.float32)
    for section, (start, stop) in zip(sections, pairwise(batch.starts)):
        values[start:stop] = target(section, panel)
    counts = StackedRows([CountRows(section, panel.names) for section in sections])
    return Training(batch, values, counts, np.concatenate(labels), panel)


def _in_memory(training: Training, most: int | None, name: str) -> tuple[Training, np.ndarray]:
    """A training set on disk, in memory: at most so many spots, evenly from all sections; and their rows."""
    n, features = len(training.batch), training.batch.features
    rows = np.arange(n) if most is None else even_rows(n, most)
    if len(rows) < n:
        log.warning("model '%s' learns from %d of %d spots, whose features it takes into memory", name, len(rows), n)
        training = training.take(rows)
    else:
        log.warning("model '%s' takes all features into memory: %.1f GiB", name, features.nbytes / 2**30)
    return replace(training, batch=training.batch.in_memory()), rows


def distance_of(training: Training) -> Distance:
    """Where the features of the training slides lie."""
    origins = SpotOrigins.of(training)
    return Distance.of(training.batch.features, origins.section, origins.patient)


def depth_of(sections: Sequence[Section]) -> np.ndarray:
    """[s] logarithm of one more than the counts of each spot over all measured genes: its library size."""
    return np.log1p(np.concatenate([totals(section) for section in sections]))


def run_key(
    sections: Sequence[Section],
    model: str,
    model_settings: Settings,
    train_settings: TrainSettings,
    panel: GenePanel,
    seed: int,
    validate: Validation | None = None,
) -> str:
    """Hash of all that determines a run: a checkpoint of another run is not resumed."""
    validation: tuple[Any, ...] = ()
    if validate is not None:
        fingerprints = [section.fingerprint() for section in validate.sections]
        validation = (fingerprints, [validate.candidates, validate.draws, validate.seed])
    return fingerprint(
        [section.fingerprint() for section in sections],
        model,
        model_settings.model_dump(mode="json"),
        train_settings.model_dump(mode="json", exclude={"device"}),
        list(panel.names),
        panel.transform,
        seed,
        *validation,
    )


def _held_out(validate: Validation, features: Features, panel: GenePanel, settings: TrainSettings) -> HeldOut:
    """The spots of the sections that choose the epoch; their features must be of the training sections' encoder."""
    if not validate.sections:
        raise EosinError("there are no sections to choose the epoch on", fix="name at least one, or do not validate")
    for section in validate.sections:
        own = section.need_features()
        if not own.fits(features.key):
            raise EosinError(
                f"section '{section.name}', which is to choose the epoch, has features of encoder '{own.encoder}' "
                f"({own.key}), the training sections of '{features.encoder}' ({features.key})",
                fix="encode all sections alike",
            )
    return HeldOut.outside(validate, RULES[settings.select], panel, settings.epochs)
