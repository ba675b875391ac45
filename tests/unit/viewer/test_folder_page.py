from __future__ import annotations

import base64
import io
import json
import re
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from eosin.errors import EosinError
from eosin.viewer import compose, folder_page, write_folder
from eosin.viewer.gene_vectors import unpack
from unit.viewer.conftest import HOSTILE, SQUARE, Make, as_cells


def messages_of(file: Path) -> dict[str, tuple[dict, dict]]:
    """The messages of a script, by name."""
    pattern = r'eosin\.receive\("([a-z/0-9]+)", "([A-Za-z0-9+/=]+)"\);'
    matches = [re.fullmatch(pattern, line) for line in file.read_text().splitlines()]
    assert all(matches), file
    return {match[1]: unpack(base64.b64decode(match[2])) for match in matches if match}


def test_a_folder_holds_all_that_the_page_asks_for(make: Make, tmp_path: Path) -> None:
    with closing(compose(make(), others=[make(seed=1)])) as scene:
        page = write_folder(scene, tmp_path / "view")
        wanted = {name: scene.answer(name) for name in scene.names()}
    assert page == tmp_path / "view" / "index.html"
    written = {}
    for file in (tmp_path / "view" / "data").iterdir():
        for name, (facts, arrays) in messages_of(file).items():
            written[name] = facts
            if name != "scene":
                expected = unpack(wanted[name])
                assert facts == expected[0] and all((arrays[key] == expected[1][key]).all() for key in arrays)
    assert set(written) == set(wanted)
    pictures = written["scene"]["slide"]["pictures"]
    assert [picture["width"] for picture in pictures] == [375, 750, 1500]
    for picture in pictures:
        decoded = Picture.open(io.BytesIO(base64.b64decode(picture["url"].partition(",")[2])))
        assert decoded.size == (picture["width"], picture["height"])
    text = page.read_text()
    for source in re.findall(r'(?:src|href)="([^"]+)"', text):
        assert source == "data:," or (tmp_path / "view" / source).is_file(), source
    assert HOSTILE not in text and 'type="module"' not in text


def test_it_replaces_its_own_folder_and_no_other(make: Make, tmp_path: Path) -> None:
    with closing(compose(make())) as scene:
        write_folder(scene, tmp_path / "view")
        (tmp_path / "view" / "data" / "old.js").write_text("x")
        write_folder(scene, tmp_path / "view")
        assert not (tmp_path / "view" / "data" / "old.js").exists()
        precious = tmp_path / "home" / "thesis.docx"
        precious.parent.mkdir()
        precious.write_text("years of work")
        with pytest.raises(EosinError, match="holds other files"):
            write_folder(scene, precious.parent)
        with pytest.raises(EosinError, match="is not a folder"):
            write_folder(scene, precious)
        assert precious.read_text() == "years of work"
        (tmp_path / "empty").mkdir()
        assert write_folder(scene, tmp_path / "empty").is_file()


def test_too_much_for_a_folder(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_page, "_MOST_BYTES", 100)
    with closing(compose(make())) as scene, pytest.raises(EosinError, match="would take"):
        write_folder(scene, tmp_path / "view")
    assert not (tmp_path / "view").exists()


def test_no_path_of_the_machine_is_in_it(make: Make, tmp_path: Path) -> None:
    prediction = make()
    with closing(compose(prediction)) as scene:
        write_folder(scene, tmp_path / "view")
    assert prediction.image is not None
    for file in (tmp_path / "view" / "data").iterdir():
        for facts, _ in messages_of(file).values():
            assert str(prediction.image.path.parent) not in json.dumps(facts)


def test_cells_bring_their_outlines(make: Make, tmp_path: Path) -> None:
    cells, has = as_cells(make())
    write_folder(scene := compose(cells), tmp_path / "view")
    facts, arrays = messages_of(tmp_path / "view" / "data" / "outlines_0.js")["outlines/0"]
    order = scene.blocks.order
    assert arrays["sizes"].tolist() == (4 * has[order]).tolist()
    np.testing.assert_allclose(
        arrays["steps"].reshape(-1, 4, 2) * facts["step_um"], np.tile(SQUARE, (has.sum(), 1, 1)), atol=0.051
    )
    _, arrays = messages_of(tmp_path / "view" / "data" / "spots.js")["spots"]
    np.testing.assert_allclose(arrays["widths_um"], 2 * np.sqrt(64 / np.pi), rtol=1e-6)


def test_small_genes_share_scripts_and_large_ones_do_not(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_page, "_LEAST_BYTES", 2 * 60 * 2)
    with closing(compose(make(genes=tuple("ABCDE")))) as scene:
        write_folder(scene, tmp_path / "view")
    scripts = {file.name: list(messages_of(file)) for file in (tmp_path / "view" / "data").glob("gene_*.js")}
    assert scripts == {
        "gene_0_0.js": ["gene/0/0", "gene/0/1"],
        "gene_0_1.js": ["gene/0/2", "gene/0/3"],
        "gene_0_2.js": ["gene/0/4"],
    }
    facts, _ = messages_of(tmp_path / "view" / "data" / "scene.js")["scene"]
    assert facts["genes_per_script"] == 2
