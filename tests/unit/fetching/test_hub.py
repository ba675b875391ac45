"""What counts as fetched, and which revision is asked for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eosin.fetching.hub import Repository, RepositoryFile, download, list_files, missing_bytes

COMMIT = "0123456789abcdef"


@pytest.mark.parametrize(("content", "n_missing"), [(b"12345", 0), (b"1234", 5), (b"123456", 5), (None, 5)])
def test_only_a_file_of_the_right_size_is_there(tmp_path: Path, content: bytes | None, n_missing: int) -> None:
    """A file that was cut short is fetched again."""
    if content is not None:
        (tmp_path / "st").mkdir()
        (tmp_path / "st" / "a.h5ad").write_bytes(content)
    (tmp_path / "b").write_bytes(b"12")
    files = [RepositoryFile("st/a.h5ad", 5), RepositoryFile("b", 2)]
    assert missing_bytes(files, tmp_path) == n_missing


@pytest.mark.parametrize("revision", [COMMIT, None])
@pytest.mark.parametrize("kind", ["dataset", "model"])
def test_the_revision_reaches_the_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, revision: str | None
) -> None:
    asked: list[dict[str, Any]] = []

    def take(*args: Any, **given: Any) -> Any:
        asked.append(given)
        return str(tmp_path / "a")

    def tree(self: Any, *args: Any, **given: Any) -> Any:
        asked.append(given)
        return [SimpleNamespace(path="a", size=3), SimpleNamespace(path="folder", size=None)]

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", take)
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_tree", tree)
    repository = Repository("some/one", kind, "a licence", "another", revision)
    assert list_files(repository) == [RepositoryFile("a", 3)]
    assert download(repository, "a", tmp_path) == tmp_path / "a"
    assert [(given["revision"], given["repo_type"]) for given in asked] == [(revision, kind)] * 2
