"""Checks whether eosin can work on this machine; each failed check names the command that repairs it."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.fetching.hub import cache_folder, endpoint, existing_folder, is_offline, reason_of, size_text
from eosin.storage.user_cache import user_cache

OK, NOTE, FAILS = "ok", "note", "FAILS"
"""States of a check: all works; eosin works, but something does not; eosin cannot work."""

_NEEDED = ("torch", "timm", "safetensors", "anndata", "h5py", "pandas", "pyarrow", "scikit-learn", "scipy")
_READERS = ("openslide", "tiffslide")
_LITTLE_BYTES, _TOO_LITTLE_BYTES = 5_000_000_000, 200_000_000


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes
    ----------
    check
        Name of what was checked.
    state
        `ok`, `note` or `FAILS`.
    found
        What was found, in a line.
    fix
        The command that repairs it; empty where nothing is to be done.
    """

    check: str
    state: str
    found: str
    fix: str = ""


def doctor(*, compute: bool = False, online: bool = False) -> list[dict[str, Any]]:
    """Check Python, libraries, slide readers, devices, disk, caches and the hub's token.

    Parameters
    ----------
    compute
        Also compute with torch, numba and a GPU, which takes seconds; otherwise their versions are compared with what
        the libraries ask of one another.
    online
        Also ask the hub which gated encoders the token gives access to; nothing else here uses the network.

    Returns
    -------
    list of dict
        `check`, `state` (`ok`, `note`: some things do not work, `FAILS`: eosin cannot work), `found`, `fix`.
    """
    probes: list[tuple[str, Callable[[], Check], str]] = [
        ("python", _python, "install Python 3.11 or newer"),
        ("libraries", _libraries, _reinstall("eosin")),
        ("versions", _versions, _reinstall("eosin")),
        *((name, _reader_probe(name), _reinstall(package)) for name, package in _PACKAGE.items()),
        *(_COMPUTING if compute else [("processor", _machine, "pip install psutil"), ("gpu", _driver, "nvidia-smi")]),
        ("disk", lambda: _disk(Path.cwd()), "choose another folder by --out"),
        ("feature cache", lambda: _writable("feature cache", user_cache()), "export EOSIN_CACHE=FOLDER"),
        ("hub cache", lambda: _writable("hub cache", cache_folder(), NOTE), "export HF_HOME=FOLDER"),
        ("token", _token, "export HF_TOKEN=YOUR_TOKEN"),
        ("spatialdata", _spatialdata, "pip install spatialdata"),
    ]
    checks = [_guarded(name, probe, fix) for name, probe, fix in probes]
    return [asdict(check) for check in (*checks, *(_gates() if online else ()))]


def need_essentials(checks: Sequence[dict[str, Any]]) -> None:
    """Raise where a check of `doctor` says `FAILS`.

    Raises
    ------
    EosinError
        It names the failed checks, and how to repair the first.
    """
    failed = [check for check in checks if check["state"] == FAILS]
    if failed:
        names = ", ".join(check["check"] for check in failed)
        raise EosinError(f"{len(failed)} of {len(checks)} checks fail: {names}", fix=failed[0]["fix"])


_NVIDIA = Path("/proc/driver/nvidia/version")
_PACKAGE = {"openslide": "openslide-python openslide-bin", "tiffslide": "tiffslide"}


def _reinstall(package: str) -> str:
    return f"pip install --force-reinstall {package}"


def _guarded(name: str, probe: Callable[[], Check], fix: str) -> Check:
    try:
        return probe()
    except Exception as error:  # a broken library raises anything, also when it is imported
        return Check(name, FAILS, reason_of(error)[:200], fix)


def _python() -> Check:
    state = OK if sys.version_info >= (3, 11) else FAILS
    fix = "" if state == OK else "install Python 3.11 or newer"
    return Check("python", state, f"{platform.python_version()} on {platform.system()} {platform.machine()}", fix)


def _libraries() -> Check:
    versions = {name: _version(name) for name in ("eosin", "numpy", *_NEEDED)}
    missing = [name for name, installed in versions.items() if installed is None]
    if missing:
        return Check("libraries", FAILS, f"{', '.join(missing)} not installed", f"pip install {' '.join(missing)}")
    return Check("libraries", OK, ", ".join(f"{name} {installed}" for name, installed in versions.items()))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _versions() -> Check:
    """Whether each library that eosin loads is there in the version that the others ask for."""
    from packaging.requirements import Requirement

    wrong = []
    for name in ("eosin", *_NEEDED, "torchvision"):
        for line in requires(name) or [] if _version(name) is not None else []:
            asked = Requirement(line)
            if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
                continue
            found = _version(asked.name)
            if found is None or not asked.specifier.contains(found, prereleases=True):
                wrong.append((name, asked, found))
    if not wrong:
        return Check("versions", OK, "all libraries are in versions that fit one another")
    found = "; ".join(
        f"{name} asks for {asked.name}{asked.specifier}, {have or 'none'} is installed" for name, asked, have in wrong
    )
    return Check("versions", FAILS, found, f"pip install {' '.join(shlex.quote(str(asked)) for _, asked, _ in wrong)}")


def _reader_probe(name: str) -> Callable[[], Check]:
    def probe() -> Check:
        from eosin.slide.write_tiff import write_tiff

        pixels = np.full((256, 256, 3), (200, 120, 160), dtype=np.uint8)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "tiny.tif"
            write_tiff(file, lambda top, bottom: pixels[top:bottom], 256, 256)
            read = _OPENERS[name](file)
        if not np.array_equal(read, pixels[:8, :8]):
            return Check(name, FAILS, "reads other pixels than were written", _reinstall(_PACKAGE[name]))
        versions = ", ".join(f"{part} {_version(part)}" for part in _PACKAGE[name].split())
        return Check(name, OK, f"{versions}; opens a TIFF")

    return probe


def _by_openslide(file: Path) -> np.ndarray:
    import openslide

    with openslide.OpenSlide(file) as slide:
        return np.asarray(slide.read_region((0, 0), 0, (8, 8)).convert("RGB"))


def _by_tiffslide(file: Path) -> np.ndarray:
    import tiffslide

    with tiffslide.TiffSlide(file) as slide:
        return np.asarray(slide.read_region((0, 0), 0, (8, 8), as_array=True))[..., :3]


_OPENERS = {"openslide": _by_openslide, "tiffslide": _by_tiffslide}


def _numba() -> Check:
    import numba

    added = numba.njit(lambda a, b: a + b)(2, 3)
    if added != 5:
        return Check("numba", FAILS, f"computes 2 + 3 = {added}", _reinstall("numba"))
    return Check("numba", OK, f"{numba.__version__}; compiles")


def _processor() -> Check:
    import psutil
    import torch

    square = torch.eye(8) @ torch.eye(8)
    if not torch.equal(square, torch.eye(8)):
        return Check("processor", FAILS, "multiplies matrices wrongly", _reinstall("torch"))
    memory = size_text(psutil.virtual_memory().total)
    found = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, {memory} memory, float32"
    return Check("processor", OK, found)


def _gpu() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("gpu", NOTE, "none that torch can use; small models train on the processor")
    device = torch.cuda.get_device_properties(0)
    product = (torch.eye(8, device="cuda") @ torch.eye(8, device="cuda")).trace().item()
    if product != 8:
        return Check("gpu", FAILS, f"{device.name} multiplies matrices wrongly", "export CUDA_VISIBLE_DEVICES=")
    precision = "float32, float16, bfloat16" if torch.cuda.is_bf16_supported() else "float32, float16"
    return Check(
        "gpu", OK, f"{torch.cuda.device_count()} x {device.name}, {size_text(device.total_memory)}, {precision}"
    )


_COMPUTING: list[tuple[str, Callable[[], Check], str]] = [
    ("numba", _numba, _reinstall("numba")),
    ("processor", _processor, _reinstall("torch")),
    ("gpu", _gpu, "nvidia-smi, then install the torch that fits its driver"),
]


def _machine() -> Check:
    import psutil

    memory = size_text(psutil.virtual_memory().total)
    return Check("processor", OK, f"{os.cpu_count()} cores, {memory} memory; eosin doctor --compute computes with it")


def _driver() -> Check:
    """Whether a GPU's driver is there; torch alone knows whether it can use it."""
    if not _NVIDIA.exists() and platform.system() != "Darwin":
        return Check("gpu", NOTE, "no driver of NVIDIA; small models train on the processor")
    return Check("gpu", OK, "a driver is there; eosin doctor --compute tries it")


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    found = f"{size_text(free)} free in {folder}"
    if free < _TOO_LITTLE_BYTES:
        return Check("disk", FAILS, found, "free some space, or choose another folder by --out")
    if free < _LITTLE_BYTES:
        return Check("disk", NOTE, found, "features of a large cohort need more: choose another folder by --out")
    return Check("disk", OK, found)


def _writable(name: str, folder: Path, state_if_not: str = FAILS) -> Check:
    """Whether a folder, or the one that it would be made in, can be written; nothing is left behind."""
    try:
        with tempfile.TemporaryFile(dir=existing_folder(folder)):
            pass
    except OSError as error:
        fix = "export EOSIN_CACHE=FOLDER" if state_if_not == FAILS else "export HF_HOME=FOLDER"
        return Check(name, state_if_not, f"{folder} cannot be written ({error.strerror})", fix)
    return Check(name, OK, f"{folder} can be written")


def _token() -> Check:
    from huggingface_hub import get_token

    offline = "; HF_HUB_OFFLINE is set" if is_offline() else ""
    if get_token() is None:
        found = f"none; open data and encoders need none{offline}"
        return Check("token", NOTE, found, "for gated ones: export HF_TOKEN=YOUR_TOKEN")
    return Check("token", OK, f"there is one{offline}")


def _spatialdata() -> Check:
    installed = _version("spatialdata")
    if installed is None:
        return Check(
            "spatialdata", NOTE, "not installed; needed for stores of SpatialData only", "pip install spatialdata"
        )
    return Check("spatialdata", OK, installed)


def _gates() -> Iterator[Check]:
    """For each gated encoder on the hub, whether the token gives access."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError

    from eosin.encoders.parts.published import NAMES, zoo_card

    api = HfApi(endpoint=endpoint())
    cards = {card.hub: card for card in map(zoo_card, NAMES) if card.gated and card.hub is not None}
    for hub, card in cards.items():
        try:
            api.auth_check(hub)
            yield Check(f"access to {hub}", OK, f"granted; licence {card.licence}")
        except GatedRepoError:
            yield Check(f"access to {hub}", NOTE, "not granted", f"ask at {card.page}, and export HF_TOKEN=YOUR_TOKEN")
        except Exception as error:  # the client's libraries raise many kinds; none of them stops the other checks
            yield Check(f"access to {hub}", NOTE, f"not known ({reason_of(error)[:120]})", "check the connection")
