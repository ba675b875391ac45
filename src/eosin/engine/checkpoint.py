"""A trained model with all that using it needs, and the folder that holds it.

    model.safetensors   the arrays; its header carries the hashes of the arrays and of config.json
    config.json         model, settings, panel, encoder, versions, seed, fingerprints of the training sections
    metrics.json        what training measured
    README.md           a card for people

The folder rebuilds its model alone, without code from the file and without pickle.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from eosin.encoders.parts.versions import with_version
from eosin.engine.adaptation import Adaptation, MeasuredSpots
from eosin.errors import EosinError
from eosin.models import MODELS, Model, ModelEntry
from eosin.models.parts.named_arrays import below, under
from eosin.plurals import counted
from eosin.storage.files import atomic_file, fingerprint, read_json, write_json
from eosin.trust import Distance, ErrorModel
from eosin.types import GenePanel
from eosin.types.display import first_of, html_table, one_line

SCHEMA = 1
_ERRORS, _DISTANCE, _MEASURED = "errors.", "distance.", "measured."
"""Before the names of the arrays that are not the model's own."""


@dataclass(frozen=True)
class Trained:
    """A model that can predict.

    Attributes
    ----------
    model
        The model itself, on the CPU.
    name
        Its name in the registry.
    panel
        The genes it predicts.
    encoder, encoder_key, n_features
        What its features must come from.
    model_settings, train_settings
        Resolved settings, JSON-able.
    seed
        Seed of training.
    trained_on
        Name, patient, fingerprint and width of the units of each training section.
    metrics
        What training measured (history, held-out scores, seconds).
    licence, commercial
        Of the encoder's weights, and whether it allows commercial use; it binds the model, too.
    errors
        How far measured values lie from predicted ones; None in checkpoints of before it was learned, and in those of
        unfinished training.
    distance
        Where the features of the training slides lie; None likewise.
    adaptation
        Spots of patients that were measured after training; None where there are none.
    """

    model: Model
    name: str
    panel: GenePanel
    encoder: str
    encoder_key: str
    n_features: int
    model_settings: Mapping[str, Any]
    train_settings: Mapping[str, Any]
    seed: int
    trained_on: tuple[Mapping[str, Any], ...]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    licence: str = "unknown"
    commercial: bool = False
    errors: ErrorModel | None = None
    distance: Distance | None = None
    adaptation: Adaptation | None = None

    def __repr__(self) -> str:
        facts = self._facts()
        encoder = f"encoder {self.encoder!r}"
        return one_line("Trained", repr(self.name), facts["genes"], encoder, facts["size"], facts["trained on"])

    def _repr_html_(self) -> str:
        about = {"encoder": self.encoder, "first genes": first_of(self.panel.names), "seed": self.seed}
        sections = ", ".join(section["name"] for section in self.trained_on)
        licence = (
            f"{self.licence} ({'commercial use' if self.commercial else 'commercial use not known to be allowed'})"
        )
        facts = {**self._facts(), **about, "sections": sections, "licence": licence}
        return html_table(f"Model {self.name}", facts)

    def _facts(self) -> dict[str, str]:
        n_sections = len(self.trained_on)
        return {
            "genes": f"{len(self.panel):,} genes ({self.panel.rule}, {self.panel.transform})",
            "size": f"{self.model.n_parameters:,} parameters",
            "trained on": f"{n_sections} training section{'' if n_sections == 1 else 's'}",
        }

    def config(self) -> dict[str, Any]:
        """What config.json says: all but the arrays and what training measured."""
        return {
            "schema": SCHEMA,
            "model": self.name,
            "model_settings": dict(self.model_settings),
            "train_settings": dict(self.train_settings),
            "panel": asdict(self.panel),
            "encoder": self.encoder,
            "encoder_key": self.encoder_key,
            "n_features": self.n_features,
            "licence": self.licence,
            "commercial": self.commercial,
            "n_parameters": self.model.n_parameters,
            "seed": self.seed,
            "trained_on": [dict(section) for section in self.trained_on],
            **({} if self.adaptation is None else {"adapted_to": self.adaptation.facts()}),
            "versions": versions(),
        }

    def save(self, folder: str | Path) -> Path:
        """Write the folder; each file appears whole, the arrays last."""
        folder = Path(folder)
        config = json.dumps(self.config(), indent=1) + "\n"
        with atomic_file(folder / "config.json") as partial:
            partial.write_text(config, encoding="utf-8")
        write_json(folder / "metrics.json", dict(self.metrics))
        with atomic_file(folder / "README.md") as partial:
            partial.write_text(self._card(), encoding="utf-8")
        arrays = self.model.arrays()
        for prefix, part in ((_ERRORS, self.errors), (_DISTANCE, self.distance)):
            arrays |= {} if part is None else under(prefix, part.arrays())
        for number, spots in enumerate(() if self.adaptation is None else self.adaptation.measured):
            arrays |= under(f"{_MEASURED}{number}.", spots.arrays())
        write_arrays(folder / "model.safetensors", arrays, {"config_sha256": _sha(config)})
        return folder

    def _card(self) -> str:
        sections = ", ".join(f"{s['name']} (patient {s['patient']})" for s in self.trained_on)
        entry: ModelEntry = MODELS[self.name]
        note = f"- **{self.metrics['network_note']}**\n" if "network_note" in self.metrics else ""
        return (
            f"# {self.name}: {entry.title}\n\n"
            f"Predicts {counted(len(self.panel), 'gene')} ({self.panel.rule}, values {self.panel.transform}) at "
            f"spots of H&E tissue from features of encoder `{self.encoder}`.\n\n"
            f"- Source: {entry.paper}\n- Trained on: {sections}\n- Seed: {self.seed}\n"
            f"- Parameters: {self.model.n_parameters:,}\n{note}- Held-out scores and history: `metrics.json`\n"
            f"- Licence of the encoder's weights: {self.licence}; commercial use "
            f"{'allowed' if self.commercial else 'not allowed, or not known to be'}\n\n"
            "For research. Not validated for any clinical use. The licence of the encoder and of the training data "
            "apply to this model as well.\n\nUse: `eosin predict THIS_FOLDER SECTION -o P.h5ad`\n"
        )


def load(folder: str | Path) -> Trained:
    """Open a checkpoint folder.

    Raises
    ------
    EosinError
        A file is missing, unreadable, altered after training, or of another schema.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise EosinError("no such checkpoint folder", file=folder, fix="train one first: eosin train")
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise EosinError(f"the checkpoint lacks {name}", file=folder, fix="copy the whole folder, or train again")
    config = read_json(folder / "config.json")
    arrays, header = read_arrays(folder / "model.safetensors")
    if header.get("config_sha256") != _sha((folder / "config.json").read_text(encoding="utf-8")):
        raise EosinError(
            "was changed after training (its hash differs from the one in model.safetensors)",
            file=folder / "config.json",
            fix="restore the original file, or train again",
        )
    return _rebuild(folder, config, arrays)


def _rebuild(folder: Path, config: dict[str, Any], arrays: dict[str, Tensor]) -> Trained:
    if config.get("schema") != SCHEMA:
        raise EosinError(
            f"has schema {config.get('schema')}, this eosin reads {SCHEMA}",
            file=folder / "config.json",
            fix="use the version of eosin that wrote it",
        )
    panel = GenePanel(**{**config["panel"], "names": tuple(config["panel"]["names"])})
    entry = MODELS[config["model"]]
    model_settings = {**entry.older, **config["model_settings"]}
    settings = entry.settings.of(model_settings, source=str(folder / "config.json"))
    model = entry.build(settings, config["n_features"], panel)
    of_errors, of_distance = below(_ERRORS, arrays), below(_DISTANCE, arrays)
    try:
        beside = (_ERRORS, _DISTANCE, _MEASURED)
        model.load_arrays({name: v for name, v in arrays.items() if not name.startswith(beside)})
        errors = ErrorModel.of_arrays(of_errors) if of_errors else None
        distance = Distance.of_arrays(of_distance) if of_distance else None
        numbers = range(len(config.get("adapted_to", ())))
        measured = tuple(MeasuredSpots.of_arrays(below(f"{_MEASURED}{n}.", arrays)) for n in numbers)
    except (RuntimeError, KeyError, ValueError) as error:
        raise EosinError(
            f"does not fit its config.json ({str(error).splitlines()[0]})",
            file=folder / "model.safetensors",
            fix="copy the whole folder again, or train again",
        ) from error
    metrics = read_json(folder / "metrics.json") if (folder / "metrics.json").is_file() else {}
    return Trained(
        model=model,
        name=config["model"],
        panel=panel,
        encoder=with_version(config["encoder"], config["encoder_key"]),
        encoder_key=config["encoder_key"],
        n_features=config["n_features"],
        model_settings=model_settings,
        train_settings=config["train_settings"],
        seed=config["seed"],
        trained_on=tuple(config["trained_on"]),
        metrics=metrics,
        licence=config.get("licence", "unknown"),  # older checkpoints do not say
        commercial=config.get("commercial", False),
        errors=errors,
        distance=distance,
        adaptation=Adaptation(measured) if measured else None,
    )


def with_settings(trained: Trained, settings: Mapping[str, Any]) -> Trained:
    """The same arrays under other settings of how draws are made, as the sampler and its steps.

    Parameters
    ----------
    trained
        Stays as it is.
    settings
        Over the model's own; only those that its `ModelEntry.drawing` names may differ, since what was learned holds
        under the others only.

    Raises
    ------
    EosinError
        Another setting would change, or an unknown or impossible one is given.
    """
    entry: ModelEntry = MODELS[trained.name]
    wanted = entry.settings.of({**trained.model_settings, **settings}, source="[model]")
    resolved = wanted.model_dump(mode="json")
    before = entry.settings.of(trained.model_settings, source="[model]").model_dump(
        mode="json"
    )  # an old name is no change
    fixed = [k for k, v in resolved.items() if k not in entry.drawing and v != before[k]]
    if fixed:
        may = ", ".join(entry.drawing) or "none of its settings"
        raise EosinError(
            f"setting '{fixed[0]}' of a trained '{trained.name}' cannot change: its arrays depend on it",
            fix=f"train again, or change one that only draws use: {may}",
        )
    model = entry.build(wanted, trained.n_features, trained.panel)
    model.load_arrays({name: value.clone() for name, value in trained.model.arrays().items()})
    return replace(trained, model=model, model_settings=resolved)


def write_arrays(path: Path, arrays: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    """One safetensors file, atomically, with a hash over its arrays in the header."""
    arrays = {name: value.contiguous() for name, value in arrays.items()}
    with atomic_file(path) as partial:
        partial.write_bytes(_in_order(save(arrays, metadata={**header, "arrays_hash": hash_arrays(arrays)})))


def _in_order(content: bytes) -> bytes:
    """The same file with its metadata in the order of names: the library writes them in an order of chance."""
    n = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + n])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # what follows is aligned
    return len(text).to_bytes(8, "little") + text + content[8 + n :]


def read_arrays(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Arrays and header of such a file, checked against the hash."""
    try:
        with safe_open(str(path), framework="pt") as file:
            header = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except FileNotFoundError:
        raise EosinError("no such file", file=path) from None
    except (SafetensorError, OSError) as error:
        raise EosinError(
            f"not readable as safetensors ({error})", file=path, fix="copy it again, or train again"
        ) from error
    if header.get("arrays_hash") != hash_arrays(arrays):
        raise EosinError("its content was altered (the hash differs)", file=path, fix="copy it again, or train again")
    return arrays, header


def hash_arrays(arrays: Mapping[str, Tensor]) -> str:
    """Hash over names, types and values, in the order of names."""
    parts: list[Any] = []
    for name in sorted(arrays):
        value = arrays[name].detach().cpu()
        raw = value.view(torch.uint8) if value.dtype == torch.bfloat16 else value
        parts += [name, str(value.dtype), np.ascontiguousarray(raw.numpy())]
    return fingerprint(*parts)


def versions() -> dict[str, str]:
    """Versions of eosin and of the libraries whose numbers matter."""
    return {name: _version_of(name) for name in ("eosin", "torch", "numpy", "scipy", "scikit-learn", "anndata")}


@cache
def _version_of(package: str) -> str:
    """Found once a process: it takes 5 ms, and every prediction asks for six."""
    return metadata.version(package)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
