"""Weights of a published encoder, into the hub's cache, where `--encoder NAME` finds them without a network."""

from __future__ import annotations

from pathlib import Path

from eosin.encoders.parts.published import NAMES, zoo_card
from eosin.encoders.parts.weights import HUB_FILE
from eosin.errors import EosinError
from eosin.fetching.hub import Repository, download, is_offline, list_files, need_space, told
from eosin.fetching.sources import SOURCES, Order, Source

_OPEN = "open encoders are stain (no weights), phikon and kaiko-b16"


class Weights(Source):
    """One file of weights."""

    about = "weights of an encoder, by its name or ORGANISATION/MODEL"
    takes = frozenset({"name", "revision"})

    def fetch(self, order: Order, *, dry_run: bool) -> list[str]:
        repository, file = _published(order)
        if not is_offline():
            sizes = {one.path: one.size for one in list_files(repository)}
            if file not in sizes:
                some = ", ".join(sorted(sizes)[:6])
                raise EosinError(f"'{repository.name}' has no file {file}", fix=f"it holds {some}")
            need_space(sizes[file], _cache())
            if dry_run:
                return [f"{file} of {repository.name}, {told(sizes[file])}", f"licence: {repository.licence}"]
        where = download(repository, file)
        return [f"{file} of {repository.name} in {where}", f"licence: {repository.licence}", *_next(order, file)]


def _published(order: Order) -> tuple[Repository, str]:
    """Where the weights are, and the name of the file."""
    name = order.name or ""
    if name in NAMES:
        card = zoo_card(name)
        if card.hub is None:
            raise EosinError(f"encoder '{name}' is not on the hub", fix=f"see {card.page}; {_OPEN}")
        return Repository(card.hub, "model", card.licence, _OPEN, order.revision or card.revision), card.file
    if name.count("/") == 1:
        return Repository(name, "model", "unknown: see its page", _OPEN, order.revision), HUB_FILE
    fix = f"name an encoder ({', '.join(NAMES[:4])}, ...) or ORGANISATION/MODEL"
    raise EosinError(f"no weights are called '{name}'", fix=fix)


def _next(order: Order, file: str) -> list[str]:
    if order.name not in NAMES:
        return [f"use them: --encoder timm:ARCH@{order.name}"]
    if file.endswith(".safetensors"):
        return [f"use them: --encoder {order.name}"]
    return [f"a pickle, which eosin does not open: eosin encode DATA --encoder {order.name} says how to convert it"]


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


SOURCES.add("weights", Weights())
