"""Where the user's cache is."""

from __future__ import annotations

from pathlib import Path

import pytest

from eosin.storage.user_cache import user_cache


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"EOSIN_CACHE": "/big/disk", "XDG_CACHE_HOME": "/shared"}, "/big/disk"),
        ({"EOSIN_CACHE": "~/here"}, "HOME/here"),
        ({"EOSIN_CACHE": "below"}, "CWD/below"),
        ({"XDG_CACHE_HOME": "/shared"}, "/shared/eosin/features"),
        ({"XDG_CACHE_HOME": "relative"}, "HOME/.cache/eosin/features"),
        ({"EOSIN_CACHE": "", "XDG_CACHE_HOME": ""}, "HOME/.cache/eosin/features"),
        ({}, "HOME/.cache/eosin/features"),
    ],
)
def test_the_cache_is_where_the_environment_says(
    environment: dict[str, str], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, folder = tmp_path / "home", tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(home))
    for name in ("EOSIN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(user_cache()) == place.replace("HOME", str(home)).replace("CWD", str(folder))
    assert not user_cache().exists()
