"""Whatever is wrong with a data file, the answer is one line that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eosin.data import read
from eosin.errors import EosinError
from unit.data.layouts import LAYOUTS

FILES = {
    "eosin": ["sections/A1.h5ad", "index.json"],
    "h5ad": [""],
    "legacy-st": ["ST-cnts/A1.tsv.gz", "ST-spotfiles/A1_selection.tsv"],
    "hest": ["st/TENX1.h5ad", "metadata/TENX1.json"],
    "hest-bench": ["adata/INT1.h5ad", "patches/INT1.h5", "splits/train_1.csv"],
}
CASES = [(name, file) for name, files in FILES.items() for file in files]
DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "text": lambda file: file.write_text("<html>404 not found</html>"),
    "noise": lambda file: file.write_bytes(bytes(range(256)) * 40),
    "head": lambda file: file.write_bytes(file.read_bytes()[:40]),
    "folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("damage", sorted(DAMAGE))
@pytest.mark.parametrize(("name", "file"), CASES)
def test_damaged_file_is_named_in_one_line(name: str, file: str, damage: str, tmp_path: Path) -> None:
    path = LAYOUTS[name](tmp_path / "data")
    broken = path / file if file else path
    DAMAGE[damage](broken)
    if (file, damage) == ("index.json", "folder"):
        pytest.skip("the index is optional")
    with pytest.raises(EosinError) as caught:
        read(path, reader=name) if damage != "folder" or file else read(path)
    line = str(caught.value)
    assert "\n" not in line and broken.name in line, line


@pytest.mark.parametrize(("name", "file"), [case for case in CASES if case[1] not in ("", "index.json")])
def test_missing_file_is_named(name: str, file: str, tmp_path: Path) -> None:
    path = LAYOUTS[name](tmp_path / "data")
    (path / file).unlink()
    if file in ("ST-cnts/A1.tsv.gz", "st/TENX1.h5ad"):
        assert "A1" not in [one.name for one in read(path)]  # the section is simply not there
        return
    with pytest.raises(EosinError) as caught:
        read(path)
    assert Path(file).stem in str(caught.value)
