"""The kernel, its ablations and the tuned ridge on six sections of two patients (her2st).

    python benchmarks/kernel_her2st.py DATA --features FOLDER [--models ridge,kernel] [--only lso,b-c,c-b,c6]

Features of encoder `stain+stain?tile_um=100,660` are kept in FOLDER. Panel `var:50`, `log1p`; everything is chosen on
training sections. PCC is the mean over genes on a whole test section, then over sections.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eosin.data import read
from eosin.encoders import get_encoder
from eosin.engine import Trained, predict, train
from eosin.features import encode
from eosin.genes import target
from eosin.metrics import mean_defined, pcc_counted
from eosin.types import Section

PAIR = "stain+stain?tile_um=100,660"
C = ("C2", "C3", "C4", "C5", "C6")
SPLITS = {
    "lso": [(tuple(name for name in C if name != held), (held,)) for held in C],
    "b-c": [(("B4",), C)],
    "c-b": [(C, ("B4",))],
    "c6": [(("B4", "C2", "C3", "C4", "C5"), ("C6",))],
}
VARIANTS = {
    "kernel": {},
    "kernel-linear": {"rbf": False},
    "kernel-no-rings": {"rings": ()},
    "kernel-uncentred": {"centre_sections": False},
    "kernel-one-head": {"heads": False},
    "kernel-one-member": {"members": "one"},
    "kernel-no-registration": {"registration": False},
    "kernel-no-gate": {"gate": False},
    "kernel-nystroem": {"n_exact": 300, "n_landmarks": 300},
}


def first_block(section: Section) -> Section:
    """The section with the features of the first encoder only."""
    features = section.need_features()
    width = features.blocks[0]
    return section.with_features(replace(features, values=features.values[:, :width], key="first", blocks=()))


def parser_of(doc: str) -> argparse.ArgumentParser:
    """The arguments that all benchmarks on these sections take."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--features", type=Path, required=True)
    return parser


def encoded(data: Path, features: Path) -> dict[str, Section]:
    """The sections by name, with features of `PAIR` that are kept in a folder."""
    encoder = get_encoder(PAIR)
    return {section.name: encode(section, encoder, cache=features) for section in read(data)}


def test_sections(doc: str, arguments: Sequence[str]) -> Iterator[tuple[str, str, Iterator[tuple[Trained, Section]]]]:
    """For each model and split that is asked for: its test sections, each with the model trained without it."""
    parser = parser_of(doc)
    parser.add_argument("--models", default="kernel,ridge")
    parser.add_argument("--only", default="lso,b-c,c-b")
    given = parser.parse_args(arguments)
    sections = encoded(given.data, given.features)

    def of_split(model: str, split: str) -> Iterator[tuple[Trained, Section]]:
        for training, test in SPLITS[split]:
            trained = train([sections[name] for name in training], model=model)
            yield from ((trained, sections[name]) for name in test)

    for model in given.models.split(","):
        for split in given.only.split(","):
            yield model, split, of_split(model, split)


def measure(sections: dict[str, Section], model: str, settings: dict, split: str) -> dict[str, float]:
    """Mean PCC and MSE over the test sections of a split, and seconds of one training."""
    pcc, squared, seconds = [], [], []
    for training, test in SPLITS[split]:
        started = time.monotonic()
        trained = train([sections[name] for name in training], model=model, settings={"model": settings})
        seconds.append(time.monotonic() - started)
        for name in test:
            truth, mean = target(sections[name], trained.panel), predict(trained, sections[name]).mean
            pcc.append(mean_defined(pcc_counted(truth, mean)))
            squared.append(np.square(truth - mean).mean())
    return {"pcc": float(np.mean(pcc)), "mse": float(np.mean(squared)), "seconds": float(np.mean(seconds))}


def main(arguments: Sequence[str]) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--models", default="ridge,kernel")
    parser.add_argument("--only", default=",".join(SPLITS))
    parser.add_argument("--one", action="store_true", help="the first encoder only")
    parser.add_argument("--set", default="{}", help="settings over the variant's, as JSON")
    given = parser.parse_args(arguments)
    sections = encoded(given.data, given.features)
    if given.one:
        sections = {name: first_block(section) for name, section in sections.items()}
    for name in given.models.split(","):
        model = "kernel" if name in VARIANTS else name
        settings = {**VARIANTS.get(name, {}), **json.loads(given.set)}
        for split in given.only.split(","):
            found = measure(sections, model, settings, split)
            sys.stdout.write(f"{name:18s} {split:4s} " + "  ".join(f"{k} {v:.4f}" for k, v in found.items()) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
