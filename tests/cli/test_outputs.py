"""What a command writes, and what it must not write over."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import anndata
import pytest

from cli.conftest import ENCODER, SMALL, Ground, Run
from eosin.data import read_prediction, write_prediction
from eosin.storage.files import read_json, write_json

_SMALL_GRID = ("--models", "gene-mean", "--genes", "var:2", "--encoder", ENCODER, "--split", "A1,A2,B1:B2")


@pytest.mark.parametrize("verb", ["predict", "report", "encode", "train", "bench", "study"])
def test_a_photo_is_not_written_over(eosin: Run, ground: Ground, verb: str) -> None:
    photo = Path("photo.png")
    photo.write_bytes(b"a photo")
    words = {
        "predict": ("predict", ground.ridge, ground.image),  # an image that would be encoded first
        "report": ("report", ground.prediction),
        "encode": ("encode", ground.data),
        "train": ("train", ground.data),
        "bench": ("bench", ground.data),
        "study": ("study", "priors", ground.data),
    }
    line = eosin(*words[verb], "-o", photo).complaint
    assert "photo.png" in line
    assert photo.read_bytes() == b"a photo"
    assert [path.name for path in Path().iterdir()] == ["photo.png"]


def test_a_trained_model_is_replaced_only_when_asked(eosin: Run, ground: Ground) -> None:
    given = ("train", ground.data, "--model", "ridge", "--features", ground.features, "--encoder", ENCODER)
    shutil.copytree(ground.ridge, "run")
    before = Path("run/model.safetensors").read_bytes()
    assert "--resume" in eosin(*given, "--genes", "var:2", "-o", "run").complaint
    assert Path("run/model.safetensors").read_bytes() == before
    assert eosin(*given, "--genes", "var:2", "-o", "run", "--overwrite").code == 0
    assert len(read_json(Path("run/config.json"))["panel"]["names"]) == 2


def test_a_switch_without_a_value_leaves_the_flag_behind_it(eosin: Run, ground: Ground) -> None:
    given = ("train", ground.data, "--features", ground.features, "--encoder", ENCODER, "--genes", "var:2")
    assert eosin(*given, *SMALL, "--model.move-positions", "-o", "run").code in (0, 1)
    line = eosin(*given, *SMALL[:-2], "--train.epochs", "-o", "run2").complaint
    assert "'epochs' is true, and is a number" in line


def test_predicting_from_an_unfinished_run_says_so_once(
    eosin: Run, ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(ground.stflow, "run")
    given = ("predict", "run", ground.data, "--section", "A1", "--features", ground.features, "--draws", 1)
    finished = eosin(*given, "-o", "a.h5ad")
    assert "not trained to its end" not in caplog.text
    assert "6 genes in a.h5ad" in finished.out  # draws are not in the file
    assert "6 genes, 1 draw in a.h5ad" in eosin(*given, "--keep-draws", "-o", "a.h5ad").out
    write_json(Path("run/metrics.json"), {**read_json(Path("run/metrics.json")), "finished": False})
    assert eosin(*given, "-o", "b.h5ad").code == 0
    assert caplog.text.count("not trained to its end") == 1


def test_the_only_section_there_is_what_a_prediction_is_scored_against(
    eosin: Run, ground: Ground, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(data / "sections" / "A1.h5ad", "one.h5ad")
    write_prediction(replace(read_prediction(ground.prediction), section="slide"), "slide.h5ad")
    for verb in (("score",), ("report", "-o", "r.html", "--truth")):
        done = eosin(verb[0], "slide.h5ad", *verb[1:], "one.h5ad", "--reader", "h5ad", "--mpp", 2)
        assert done.code == 0, done.err
    assert caplog.text.count("the prediction of 'slide' is compared with 'A1', the only section there") == 2


def test_genes_that_were_not_predicted_are_skipped_when_asked(
    eosin: Run, ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    gene = str(anndata.read_h5ad(ground.prediction).var_names[1])
    given = ("export", ground.prediction, "-o", "a.csv", "--layers", "mean", "--genes", gene, "--genes", "NONE1,NONE2")
    assert "'NONE1' was not predicted" in eosin(*given).complaint
    done = eosin(*given, "--missing-genes", "skip")
    assert done.code == 0 and "left out, as they were not predicted: NONE1, NONE2" in caplog.text
    assert gene in Path("a.csv").read_text().splitlines()[0]
    given = ("export", ground.prediction, "-o", "b.csv", "--genes", "NONE1", "--missing-genes", "skip")
    assert "NONE1" in eosin(*given).complaint


def test_score_prints_about_ten_lines_and_all_as_json(eosin: Run, ground: Ground) -> None:
    short = eosin("score", ground.prediction, ground.data)
    assert 6 <= len(short.out.splitlines()) <= 12, short.out
    everything = json.loads(eosin("score", ground.prediction, ground.data, "--json").out)
    assert f"pcc mean: {everything['pcc']['mean']:.4g}" in short.out
    assert set(everything["sections"]) == {"A1"}


def test_notes_of_many_sections_are_one_line_and_each_when_asked(
    eosin: Run, ground: Ground, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (data / "images" / "A2.jpg").unlink()  # one section has a note more than the others
    for flags, n_lines in (((), 1), (("-v",), 6), (("-q",), 0)):
        caplog.clear()
        done = eosin("bench", data, *_SMALL_GRID, "--dry-run", "-o", "out", "--features", ground.features, *flags)
        assert done.code == 0, done.err
        lines = [line for line in caplog.messages if "synthetic" in line or "not there" in line or "notes on" in line]
        assert len(lines) == n_lines, lines
        assert ("read sections" in done.err) == (flags != ("-q",))
    caplog.clear()
    assert "not there" in eosin("info", data).out  # it shows all notes, and sends nobody to see them
    assert not [line for line in caplog.messages if "notes on" in line]


def test_python_takes_lists_and_commas_and_records(ground: Ground, tmp_path: Path) -> None:
    import eosin as library

    prediction = read_prediction(ground.prediction)
    assert library.report(prediction, out=tmp_path / "p.html").is_file()
    genes = prediction.panel.names
    for given in (f"{genes[0]},{genes[1]}", [genes[0], genes[1]]):
        table = library.export(prediction, tmp_path / "a.csv", genes=given, layers="mean").read_text()
        assert genes[1] in table.splitlines()[0] and genes[2] not in table.splitlines()[0]
    given = {"features": ground.features, "encoder": ENCODER, "model": "gene-mean"}
    for wanted in (f"{genes[0]},{genes[1]}", [genes[0], genes[1]]):
        assert library.train(ground.data, genes=wanted, **given).panel.names == genes[:2]
