"""Tile width, flips, licences and lists on the command line: what a user asks for is what is encoded."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import h5py
import pytest

from cli.conftest import ENCODER, SMALL, Ground, Run
from eosin.cli import show
from eosin.engine import load
from eosin.features import read_features

TWO = ("--sections", "A1", "--sections", "B2")
WIDE = f"{ENCODER}&tile_um=120"


def test_a_tile_width_is_encoded_remembered_and_used_to_predict(eosin: Run, ground: Ground) -> None:
    """A model trained on tiles of another width must not be fed the encoder's own."""
    asked = ("--encoder", ENCODER, "--tile-um", "120")
    assert eosin("encode", ground.data, "-o", "f", *asked, *TWO).code == 0
    (file, *_) = [read_features(path) for path in Path("f").rglob("*.h5")]
    assert file.attrs["tile_um"] == 120 and "views=120um/96px;" in file.attrs["encoder_key"]
    train = ("train", ground.data, *TWO, *asked, "--model", "ridge", "--genes", "var:4", "-o", "run")
    assert eosin(*train, "--features", "f").code == 0
    trained = load("run")
    assert trained.encoder == "stain?tile_um=120&px=96" and trained.encoder_key == file.attrs["encoder_key"]

    said = eosin("predict", "run", ground.data, "--section", "A2", "--draws", 1, "-o", "p.h5ad")
    assert said.code == 0, said.err
    made = [read_features(path) for path in Path("eosin-cache").rglob("A2.h5")]
    assert [one.attrs["tile_um"] for one in made] == [120]

    lacking = eosin(*train[:-1], "other", "--features", ground.features).complaint
    assert "has no features of encoder 'stain'" in lacking and f"--encoder '{WIDE}'" in lacking


@pytest.mark.parametrize("width", ["wide", "0", "-3", "inf", "10,20", ""])
def test_a_width_that_is_none_is_one_line(eosin: Run, ground: Ground, width: str) -> None:
    said = eosin("encode", ground.data, "-o", "f", "--encoder", ENCODER, f"--tile-um={width}")
    assert said.complaint and not Path("f").exists()


def test_enlarged_tiles_are_told_once(eosin: Run, ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    said = eosin("encode", ground.data, "-o", "f", "--encoder", ENCODER, "--tile-um", "95", *TWO)
    assert said.code == 0 and caplog.text.count("are enlarged") == 1


def test_training_encodes_turned_tiles_where_it_shows_them(eosin: Run, ground: Ground) -> None:
    """Without --features it encoded the tiles as they lie only, and then refused to train on them."""
    train = ("train", ground.data, *TWO, "--encoder", ENCODER, "--genes", "var:4", *SMALL)
    said = eosin(*train, "--train.augment", "0.5", "-o", "run")
    assert said.code == 0, said.err
    turned = [read_features(path, turned=True).turned for path in Path("eosin-cache").rglob("*.h5")]
    assert len(turned) == 2 and all(one is not None for one in turned)
    assert eosin("predict", "run", ground.image, "--mpp", 2, "--draws", 1, "-o", "p.h5ad").code == 0


def test_grids_and_studies_refuse_what_is_not_licensed(eosin: Run, ground: Ground, tmp_path: Path) -> None:
    bound = Path(shutil.copytree(ground.features, tmp_path / "bound"))
    for path in bound.rglob("*.h5"):
        with h5py.File(path, "r+") as file:
            file.attrs["licence"], file.attrs["commercial"] = "CC-BY-NC-4.0", False
    given = ("--features", bound, "--encoder", ENCODER, "--genes", "var:4", "-o", "out", "--commercial-only")
    for verb in (("bench", ground.data, "--models", "gene-mean"), ("study", "draws", ground.data)):
        complaint = eosin(*verb, *given).complaint
        assert "CC-BY-NC-4.0" in complaint and "--commercial-only" in complaint
    assert not list(tmp_path.glob("out/**/*.json"))
    fine = ("--features", ground.features, "--encoder", ENCODER, "--genes", "var:4", "-o", "out", "--commercial-only")
    assert eosin("bench", ground.data, "--models", "ridge", "--split", "A1,B2:A2", *fine).code == 0


def test_a_grid_takes_several_tile_widths(eosin: Run, ground: Ground) -> None:
    """Commas stand between encoders, and between the numbers of a setting."""
    beside = ("--models", "ridge", "--split", "A1,B2:A2", "--genes", "var:4", "-o", "out", "--draws", 1)
    said = eosin("bench", ground.data, "--encoder", f"{ENCODER}&tile_um=60,120,pixels?px=8", *beside)
    assert said.code == 0, said.err
    assert len({path.name for path in Path("eosin-cache").glob("*/*")}) == 2
    assert "tile_um=60,120" in said.out and "pixels?px=8" in said.out
    said = eosin("bench", ground.data, "--encoder", ENCODER, "--tile-um", "60,120", *beside)
    assert said.code == 0 and len({path.name for path in Path("eosin-cache").glob("*/*")}) == 2


def test_info_says_what_a_feature_file_is(eosin: Run, ground: Ground) -> None:
    said = eosin("info", next(ground.features.rglob("A1.h5")))
    assert said.code == 0, said.err
    for line in ("kind: features", "written_by: eosin", f"encoder: {ENCODER}", "turned: 0", "unreadable: 0", "mpp: 2"):
        assert line in said.out


def test_the_list_says_what_an_encoder_is(eosin: Run) -> None:
    said = eosin("list", "encoders").out
    rows = {line.split()[0]: line for line in said.splitlines()}
    assert "statistics of colour, texture and nuclei" in rows["stain"]
    assert "the tile itself" in rows["pixels"]
    assert "takes no argument" not in said and "681M" in rows["uni2-h"]


@pytest.mark.parametrize(("width", "lost"), [(80, ["about"]), (160, [])])
def test_the_list_is_readable_on_a_terminal(
    width: int, lost: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 80 columns every cell was broken into pieces of a few letters."""
    from rich.console import Console

    from eosin.api.listing import list_things

    monkeypatch.setattr(show, "_console", lambda: Console(soft_wrap=True, width=width))
    records = list_things("encoders")
    show.rows(records)
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= width
    assert ("left out, as the terminal is narrow: about" in said) == bool(lost)
    for record in records:  # name, width, scale, terms and gate in one line
        row = rf"^{re.escape(record['name'])} +{record['features'] or '-'} +\S+ +(yes|no|-) +(yes|no|-) "
        assert re.search(row, said, re.MULTILINE), record["name"]


def test_encoders_by_commas_have_a_file_each(eosin: Run, ground: Ground) -> None:
    specs = (ENCODER, "pixels?px=16")
    assert eosin("encode", ground.data, "-o", "both", "--encoder", ",".join(specs), "--sections", "A1").code == 0
    for spec in specs:
        assert eosin("encode", ground.data, "-o", "alone", "--encoder", spec, "--sections", "A1").code == 0
    made = {path.relative_to("both"): read_features(path) for path in Path("both").rglob("*.h5")}
    assert len(made) == 2
    for path, file in made.items():
        assert (file.values == read_features("alone" / path).values).all()
    assert "no encoder" in eosin("encode", ground.data, "-o", "f", "--encoder", "pixels,stein").complaint
