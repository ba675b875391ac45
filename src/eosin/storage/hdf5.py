"""Opening HDF5 files that come from elsewhere.

Such a file can lead into other files, declare more than it holds, and where its bookkeeping is damaged bring the
process down or keep it busy for ever: HDF5 has no checksum over it. So it is first walked in another process, one for
all such files.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eosin.errors import EosinError
from eosin.storage import hdf5_child
from eosin.storage.not_the_file import not_the_file

if TYPE_CHECKING:
    import h5py

_ALLOWED = 256_000_000  # bytes that all arrays together may declare beyond what they can hold
_RATIO = 250  # declared to stored bytes of one array; dense counts of Visium compress 20 to 60 times
_PATIENCE_S, _BYTES_PER_S = 30.0, 10_000_000
_DAMAGED = "the file is damaged or hostile; write or download it again"
_probed: dict[tuple[str, int, int], str] = {}


@contextmanager
def open_foreign(path: str | Path, *, walk: bool = True) -> Iterator[h5py.File]:
    """Open a file of unknown origin to read it, checked by `probe` (unless `walk` is false) and `check_links`.

    Raises
    ------
    EosinError
        The file is damaged, leads into other files, or declares far more than it holds.
    OSError
        It is missing or no HDF5; the caller knows what it should be.
    """
    import h5py

    with open(path, "rb") as head:
        if (error := not_the_file(head.read(64), Path(path))) is not None:
            raise error
    if walk:
        probe(path)
    with h5py.File(path, "r") as file:
        check_links(file, Path(path))
        yield file


def probe(path: str | Path) -> None:
    """Walk a file in another process, and refuse it where that process crashes or does not end.

    A file that was walked before and has not changed since is not walked again.

    Raises
    ------
    EosinError
        HDF5 crashes on the file, cannot read it, or does not end within the time that its size allows.
    """
    path = Path(path)
    facts = path.stat()
    key = str(path.resolve()), facts.st_size, facts.st_mtime_ns
    if key not in _probed:
        _probed[key] = _walk(path, _PATIENCE_S + facts.st_size / _BYTES_PER_S) if sys.executable else ""
    if _probed[key]:
        raise EosinError(f"not readable as HDF5 ({_probed[key]})", file=path, fix=_DAMAGED)


def _walk(path: Path, seconds: float) -> str:
    """What went wrong in the other process, in words; `""` where nothing did."""
    try:
        problem = hdf5_child.walk(Path(__file__).with_name("hdf5_walk.py"), path.resolve(), seconds)
    except TimeoutError:
        return f"its structure has no end within {seconds:.0f} s"
    except OSError:  # no process can be started here; then HDF5 itself must do
        return ""
    return "HDF5 crashes on it" if problem is None else problem


def check_links(file: h5py.File, path: Path) -> None:
    """Refuse an open file that leads out of itself, or that would fill the memory.

    Raises
    ------
    EosinError
        A link or a dataset's storage is in another file, or datasets declare far more than they hold.
    """
    import h5py

    fix = "copy what it points to into the file"
    inside: list[str] = []
    outward: list[str] = []

    def look(name: Any, link: Any) -> None:  # raises nothing: h5py loses what a visitor raises
        text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        kind = outward if isinstance(link, h5py.ExternalLink) else inside if isinstance(link, h5py.HardLink) else []
        kind.append(text)

    file.visititems_links(look)
    if outward:
        raise EosinError(f"'{outward[0]}' leads into another file", file=path, fix=fix)
    declared = Declared(path)
    for name in inside:
        item = file[name]
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise EosinError(f"'{name}' is stored in another file", file=path, fix=fix)
            declared.add(name, item.nbytes, item.id.get_storage_size())


class Declared:
    """The bytes that arrays of a file declare but cannot hold, added up; more than 256 MB of them are refused."""

    def __init__(self, path: Path):
        self.path, self.hollow = path, 0

    def add(self, name: str, declared: int, stored: int) -> None:
        """Count an array of `declared` bytes of which `stored` bytes are in the file."""
        if declared <= _RATIO * stored:
            return
        self.hollow += declared
        if self.hollow > _ALLOWED:
            problem = f"'{name}' declares {declared / 1e9:.3g} GB and holds {stored / 1e6:.3g} MB"
            raise EosinError(problem, file=self.path, fix=_DAMAGED)
