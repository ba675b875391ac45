"""Weights of a published encoder, downloaded to the hub's cache, where `--encoder NAME` finds them offline."""

from __future__ import annotations

from eosin.errors import EosinError
from eosin.fetching.hub import Repository, cache_folder, download, is_offline, list_files, need_space, size_text
from eosin.fetching.sources import SOURCES, FetchOptions, Source

_OPEN = "open encoders are stain (no weights), phikon and kaiko-b16"


class Weights(Source):
    """The weights of one encoder: one file."""

    about = "weights of an encoder, by its name or ORGANISATION/MODEL"
    takes = frozenset({"name", "revision"})

    def fetch(self, options: FetchOptions, *, dry_run: bool) -> list[str]:
        """Download the file of weights to the hub's cache."""
        repository, file = _published(options)
        if not is_offline():
            sizes = {listed.path: listed.size for listed in list_files(repository)}
            if file not in sizes:
                others = ", ".join(sorted(sizes)[:6])
                raise EosinError(f"'{repository.name}' has no file {file}", fix=f"it holds {others}")
            need_space(sizes[file], cache_folder())
            if dry_run:
                return [f"{file} of {repository.name}, {size_text(sizes[file])}", f"licence: {repository.licence}"]
        path = download(repository, file)
        return [f"{file} of {repository.name} in {path}", f"licence: {repository.licence}", *_how_to_use(options, file)]


def _published(options: FetchOptions) -> tuple[Repository, str]:
    """Where the weights are, and the name of the file."""
    name = options.name or ""
    from eosin.encoders.parts.published import NAMES, zoo_card  # loads torch, only where needed
    from eosin.encoders.parts.weights import HUB_FILE

    if name in NAMES:
        card = zoo_card(name)
        if card.hub is None:
            raise EosinError(f"encoder '{name}' is not on the hub", fix=f"see {card.page}; {_OPEN}")
        return Repository(card.hub, "model", card.licence, _OPEN, options.revision or card.revision), card.file
    if name.count("/") == 1:
        return Repository(name, "model", "unknown: see its page", _OPEN, options.revision), HUB_FILE
    fix = f"name an encoder ({', '.join(NAMES[:4])}, ...) or ORGANISATION/MODEL"
    raise EosinError(f"no weights are called '{name}'", fix=fix)


def _how_to_use(options: FetchOptions, file: str) -> list[str]:
    from eosin.encoders.parts.published import NAMES

    if options.name not in NAMES:
        return [f"use them: --encoder timm:ARCH@{options.name}"]
    if file.endswith(".safetensors"):
        return [f"use them: --encoder {options.name}"]
    return [f"a pickle, which eosin does not open: eosin encode DATA --encoder {options.name} says how to convert it"]


SOURCES.add("weights", Weights())
