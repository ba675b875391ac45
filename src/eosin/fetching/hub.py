"""Repositories on the model hub: what they hold, their files, and one line for each way in which that can fail."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eosin.errors import EosinError
from eosin.progress import task

_ON = {"1", "ON", "YES", "TRUE"}
_SPARE_BYTES = 100_000_000
"""What must be left free beside what is fetched."""


@dataclass(frozen=True)
class Repository:
    """A repository on the hub.

    Attributes
    ----------
    name
        ORGANISATION/NAME.
    kind
        `dataset` or `model`.
    licence
        On what terms.
    instead
        What to use where access is not granted: an order.
    revision
        Commit; the newest where None.
    """

    name: str
    kind: str
    licence: str
    instead: str
    revision: str | None = None

    @property
    def page(self) -> str:
        """Where it is described, and access asked for."""
        return f"{endpoint()}/{'datasets/' if self.kind == 'dataset' else ''}{self.name}"


@dataclass(frozen=True)
class Listed:
    """A file of a repository: its path there and its size in bytes."""

    path: str
    size: int


def endpoint() -> str:
    """The hub's address; `HF_ENDPOINT` says another one."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in _ON


def list_files(repository: Repository) -> list[Listed]:
    """All files of a repository."""
    from huggingface_hub import HfApi

    if is_offline():
        fix = "unset it, or read what was fetched before"
        raise EosinError(f"HF_HUB_OFFLINE is set, so that '{repository.name}' cannot be listed", fix=fix)
    with _explained(repository, "its list of files"):
        api = HfApi(endpoint=endpoint())
        tree = api.list_repo_tree(
            repository.name, recursive=True, revision=repository.revision, repo_type=repository.kind
        )
        found: list[Any] = [one for one in tree if getattr(one, "size", None) is not None]
    return [Listed(one.path, one.size) for one in found]


def download(repository: Repository, path: str, folder: Path | None = None) -> Path:
    """One file, into a folder under its own path, or into the hub's cache; what was cut off is continued."""
    from huggingface_hub import hf_hub_download

    with _explained(repository, path):
        where = hf_hub_download(
            repository.name,
            path,
            repo_type=repository.kind,
            revision=repository.revision,
            local_dir=folder,
            endpoint=endpoint(),
            local_files_only=is_offline(),
        )
    return Path(where)


def download_all(repository: Repository, files: Sequence[Listed], folder: Path) -> None:
    """Many files into a folder, if there is space for those that are missing.

    Raises
    ------
    EosinError
        Too little space; or as `download`.
    """
    need_space(missing_bytes(files, folder), folder)
    with task(f"fetch {repository.name}", len(files), "files") as tick:
        for one in files:
            download(repository, one.path, folder)
            tick(1, one.path)


def missing_bytes(files: Sequence[Listed], folder: Path) -> int:
    """How much of these files is not in the folder yet."""
    return sum(one.size for one in files if not _is_there(folder / one.path, one.size))


def need_space(n_bytes: int, folder: Path) -> None:
    """Refuse to begin what the disk cannot hold."""
    there = next(one for one in (folder.resolve(), *folder.resolve().parents) if one.exists())
    free = shutil.disk_usage(there).free
    if n_bytes + _SPARE_BYTES > free and n_bytes > 0:
        problem = f"{told(n_bytes)} are to be fetched and {told(free)} are free"
        raise EosinError(problem, file=folder, fix="fetch less (--organ, --platform, --id) or choose another --out")


def told(n_bytes: int) -> str:
    """A size for people."""
    if n_bytes < 1e6:
        return f"{n_bytes / 1e3:.1f} kB"
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:.1f} GB"


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


@contextlib.contextmanager
def _explained(repository: Repository, what: str) -> Iterator[None]:
    """What the hub's client raises, as one line."""
    import huggingface_hub.errors as hub

    name = f"'{repository.name}'"
    try:
        yield
    except hub.GatedRepoError as error:
        fix = (
            f"ask for access at {repository.page} and set HF_TOKEN to your token; "
            f"the licence is {repository.licence}; without access: {repository.instead}"
        )
        raise EosinError(f"{name} is gated", fix=fix) from error
    except hub.RevisionNotFoundError as error:
        raise EosinError(f"{name} has no revision '{repository.revision}'", fix="give a commit of it") from error
    except hub.RepositoryNotFoundError as error:
        fix = "check the name; if it is private or gated, set HF_TOKEN to your token"
        raise EosinError(f"the hub has no {repository.kind} {name}", fix=fix) from error
    except hub.LocalEntryNotFoundError as error:
        fix = "unset HF_HUB_OFFLINE" if is_offline() else "check the connection and run it again; it goes on from there"
        raise EosinError(f"{what} of {name} is not in the cache, and the hub is not reached", fix=fix) from error
    except hub.EntryNotFoundError as error:
        raise EosinError(f"{name} has no file {what}", fix="check its page, or another --revision") from error
    except (hub.HfHubHTTPError, OSError, _transport_error()) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        fix = "check the connection and run it again; it goes on from there"
        raise EosinError(f"{what} of {name} cannot be fetched ({reason})", fix=fix) from error


def _transport_error() -> type[Exception]:
    """What the client's own HTTP library raises; which library that is has changed between its versions."""
    import huggingface_hub.errors as hub

    return getattr(hub, "HTTPError", OSError)
