"""The doctor finds what is broken, names the command that mends it, and fails only for what eosin cannot do without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eosin.apps import doctor as room
from eosin.apps.doctor import FAILS, NOTE, OK, doctor, need_essentials
from eosin.errors import EosinError


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def of(name: str, found: list[dict]) -> dict:
    (one,) = [check for check in found if check["check"] == name]
    return one


def test_here_all_is_well_and_nothing_is_left_behind(tmp_path: Path) -> None:
    found = doctor(compute=True)
    need_essentials(found)
    assert {one["state"] for one in found} <= {OK, NOTE}
    names = [one["check"] for one in found]
    assert {"openslide", "tiffslide", "numba", "processor", "gpu", "disk", "feature cache", "token"} <= set(names)
    assert "opens a TIFF" in of("openslide", found)["found"] and "opens a TIFF" in of("tiffslide", found)["found"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("check", "module", "fix"),
    [
        ("openslide", "openslide", "pip install --force-reinstall openslide-python openslide-bin"),
        ("tiffslide", "tiffslide", "pip install --force-reinstall tiffslide"),
        ("numba", "numba", "pip install --force-reinstall numba"),
    ],
)
def test_a_library_that_cannot_be_loaded(check: str, module: str, fix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # importing it is an error now
    found = doctor(compute=True)
    assert of(check, found)["state"] == FAILS and of(check, found)["fix"] == fix
    with pytest.raises(EosinError, match=f"1 of {len(found)} checks fail: {check}; pip install"):
        need_essentials(found)


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    known = room._version
    monkeypatch.setattr(room, "_version", lambda name: None if name in {"timm", "spatialdata"} else known(name))
    found = doctor()
    assert of("libraries", found)["state"] == FAILS and of("libraries", found)["fix"] == "pip install timm"
    assert of("spatialdata", found)["state"] == NOTE and of("spatialdata", found)["fix"] == "pip install spatialdata"


def test_scanpy_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a dependency of the tests alone."""
    known = room._version
    monkeypatch.setattr(room, "_version", lambda name: None if name == "scanpy" else known(name))
    assert of("libraries", doctor())["state"] == OK


def test_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"total": 8 * 10**9}))
    assert ", 8.0 GB memory;" in of("processor", doctor())["found"]
    assert ", 8.0 GB memory, float32" in of("processor", doctor(compute=True))["found"]


def test_versions_that_do_not_fit_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a torchvision that was built for another torch: it breaks when it is loaded, which doctor does not do."""
    known = room._version
    monkeypatch.setattr(room, "_version", lambda name: "1.0.0" if name == "torch" else known(name))
    one = of("versions", doctor())
    assert one["state"] == FAILS
    assert "torchvision asks for torch" in one["found"] and "1.0.0 is installed" in one["found"]
    assert one["fix"].startswith("pip install ") and "'torch>=2.4'" in one["fix"]


def test_a_marker_that_is_not_of_this_machine_asks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    known = room.requires
    asked = ["nothing-of-that-name; sys_platform == 'plan9'", "another; extra == 'dev'"]
    monkeypatch.setattr(room, "requires", lambda name: asked if name == "eosin" else known(name))
    assert of("versions", doctor())["state"] == OK


def test_a_look_loads_no_torch() -> None:
    code = "import sys; from eosin.apps.doctor import doctor; doctor(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("there", [True, False])
def test_a_driver_is_seen_without_torch(*, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "version"
    if there:
        file.write_text("NVRM")
    monkeypatch.setattr(room, "_NVIDIA", file)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    one = of("gpu", doctor())
    assert one["state"] == (OK if there else NOTE) and ("--compute" in one["found"]) == there


@pytest.mark.parametrize(("free", "state"), [(10**11, OK), (10**9, NOTE), (10**6, FAILS)])
def test_disk(free: int, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": free}))
    one = of("disk", doctor())
    assert one["state"] == state and bool(one["fix"]) == (state != OK)


def test_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**where: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    found = doctor()
    assert of("feature cache", found)["state"] == FAILS and "Permission denied" in of("feature cache", found)["found"]
    assert of("feature cache", found)["fix"] == "export EOSIN_CACHE=FOLDER"
    assert of("hub cache", found)["state"] == NOTE and of("hub cache", found)["fix"] == "export HF_HOME=FOLDER"


def test_the_token_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    found = doctor()
    assert of("token", found)["state"] == OK
    assert "hf_secret" not in str(found)
