"""Repositories on the model hub: their lists of files, downloads, and errors that say in a line what to do."""

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
"""Space to leave free beside the downloaded files."""


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
        Its name, and what it forbids.
    instead
        What to use where access is not granted.
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
        """Address of its page, where access can be asked for."""
        return f"{endpoint()}/{'datasets/' if self.kind == 'dataset' else ''}{self.name}"


@dataclass(frozen=True)
class RepositoryFile:
    """A file of a repository: its path there and its size in bytes."""

    path: str
    size: int


def endpoint() -> str:
    """The hub's address: `HF_ENDPOINT`, or the public one."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in _ON


def list_files(repository: Repository) -> list[RepositoryFile]:
    """All files of a repository.

    Raises
    ------
    EosinError
        Offline, no connection, no such repository or revision, or no access.
    """
    from huggingface_hub import HfApi

    if is_offline():
        fix = "unset it, or read what was fetched before"
        raise EosinError(f"HF_HUB_OFFLINE is set, so that '{repository.name}' cannot be listed", fix=fix)
    with _explained(repository, "the list of files"):
        api = HfApi(endpoint=endpoint())
        tree = api.list_repo_tree(
            repository.name, recursive=True, revision=repository.revision, repo_type=repository.kind
        )
        files: list[Any] = [entry for entry in tree if getattr(entry, "size", None) is not None]  # a folder has no size
    return [RepositoryFile(file.path, file.size) for file in files]


def download(repository: Repository, path: str, folder: Path | None = None) -> Path:
    """Download one file, into `folder` under its own path, or into the hub's cache; continues an interrupted one.

    Raises
    ------
    EosinError
        No such file, no access, no connection.
    """
    from huggingface_hub import hf_hub_download

    with _explained(repository, path):
        downloaded = hf_hub_download(
            repository.name,
            path,
            repo_type=repository.kind,
            revision=repository.revision,
            local_dir=folder,
            endpoint=endpoint(),
            local_files_only=is_offline(),
        )
    return Path(downloaded)


def download_all(repository: Repository, files: Sequence[RepositoryFile], folder: Path) -> None:
    """Download files into a folder, after a check that there is space for the missing ones.

    Raises
    ------
    EosinError
        Too little space; or as `download`.
    """
    need_space(missing_bytes(files, folder), folder)
    with task(f"fetch {repository.name}", len(files), "files") as tick:
        for file in files:
            download(repository, file.path, folder)
            tick(1, file.path)


def missing_bytes(files: Sequence[RepositoryFile], folder: Path) -> int:
    """Bytes of those files that the folder does not hold complete."""
    return sum(file.size for file in files if not _is_complete(folder / file.path, file.size))


def need_space(n_bytes: int, folder: Path) -> None:
    """Raise `EosinError` where the disk of a folder has no space for so many bytes and 100 MB more."""
    free = shutil.disk_usage(existing_folder(folder.resolve())).free
    if n_bytes + _SPARE_BYTES > free and n_bytes > 0:
        problem = f"{size_text(n_bytes)} are to be fetched and {size_text(free)} are free"
        raise EosinError(problem, file=folder, fix="fetch less (--organ, --platform, --id) or choose another --out")


def existing_folder(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def cache_folder() -> Path:
    """The hub's cache, as huggingface_hub finds it."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def reason_of(error: Exception) -> str:
    """The first line of an error's message, or its kind where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def size_text(n_bytes: int) -> str:
    """A size as text: 1.5 kB, 20.0 MB, 3.2 GB."""
    if n_bytes < 1e6:
        return f"{n_bytes / 1e3:.1f} kB"
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:.1f} GB"


def _is_complete(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


@contextlib.contextmanager
def _explained(repository: Repository, what: str) -> Iterator[None]:
    """Turn what the hub's client raises into an `EosinError`; `what` is the file, or a name for the list of files."""
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
        fix = "check the connection and run it again; it goes on from there"
        raise EosinError(f"{what} of {name} cannot be fetched ({reason_of(error)})", fix=fix) from error


def _transport_error() -> type[Exception]:
    """The error of the HTTP library under the client, which is another one in other versions of the client."""
    import huggingface_hub.errors as hub

    return getattr(hub, "HTTPError", OSError)
