"""Whatever a user gives that is wrong: exit code 1, one line with the file and the way out, nothing half-written."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cli.conftest import ENCODER, MPP, SMALL, Ground, Run, files_below, start_server_of_processes
from unit.data.layouts import hest_bench, legacy_st


@pytest.fixture
def refused(eosin: Run, tmp_path: Path) -> Callable[..., str]:
    """Run a command that must fail, with parts of its one line; folders must be as they were before."""

    def run(*argv: object, says: tuple[object, ...], leaves: tuple[str, ...] = ()) -> str:
        before = files_below(tmp_path)
        line = eosin(*argv).complaint
        for part in says:
            assert str(part) in line, line
        assert [f for f in files_below(tmp_path) if not f.startswith(("eosin-cache", *leaves))] == before
        cache = tmp_path / "eosin-cache"
        assert all(path.suffix == ".h5" and not path.name.startswith(".") for path in cache.rglob("*.*"))
        return line

    return run


Refused = Callable[..., str]


def cut(file: Path, share: float = 0.6) -> Path:
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    return file


# --- no such file ----------------------------------------------------------------------------------------------------

ABSENT = {
    "info": ("info", "absent.svs"),
    "encode": ("encode", "absent", "-o", "f"),
    "train": ("train", "absent", "-o", "run"),
    "predict a slide": ("predict", "RUN", "absent.svs", "-o", "p.h5ad"),
    "predict with a run": ("predict", "absent", "DATA", "--section", "A1", "-o", "p.h5ad"),
    "score a prediction": ("score", "absent.h5ad", "DATA"),
    "score against": ("score", "PREDICTION", "absent"),
    "report": ("report", "absent.h5ad", "-o", "r.html"),
    "report of a grid": ("report", "absent.json", "-o", "r.html"),
    "report with truth": ("report", "PREDICTION", "--truth", "absent", "-o", "r.html"),
    "bench": ("bench", "absent", "-o", "out"),
    "settings": ("train", "DATA", "--settings", "absent.toml", "-o", "run"),
    "settings of a grid": ("bench", "DATA", "--settings", "absent.toml", "-o", "out"),
    "features": ("train", "DATA", "--features", "absent", "-o", "run"),
    "weights": ("encode", "DATA", "--encoder", "timm:resnet18@absent.safetensors", "-o", "f"),
}


@pytest.mark.parametrize("case", ABSENT)
def test_no_such_file(refused: Refused, ground: Ground, case: str) -> None:
    known = {"DATA": ground.data, "RUN": ground.ridge, "PREDICTION": ground.prediction}
    line = refused(*(known.get(word, word) for word in ABSENT[case]), says=("absent", "no such"))
    assert ";" in line or "report" in case or "settings" in case or case == "features"


def test_no_such_section(refused: Refused, ground: Ground) -> None:
    refused("predict", ground.ridge, ground.data, "--section", "A3", "-o", "p.h5ad", says=(ground.data, "'A3'", "'A"))


def test_several_sections_and_none_named(refused: Refused, ground: Ground) -> None:
    refused("predict", ground.ridge, ground.data, "-o", "p.h5ad", says=(ground.data, "4 sections", "--section A1"))


# --- not an image, cut short, without a scale ------------------------------------------------------------------------

IMAGES: dict[str, Callable[[Path, Path], object]] = {
    "text.jpg": lambda file, good: file.write_text("no image, but a page that says 404"),
    "empty.jpg": lambda file, good: file.write_bytes(b""),
    "noise.tif": lambda file, good: file.write_bytes(bytes(range(256)) * 50),
    "cut.jpg": lambda file, good: file.write_bytes(good.read_bytes()[:9000]),
    "head.jpg": lambda file, good: file.write_bytes(good.read_bytes()[:30]),
    "cut.png": lambda file, good: file.write_bytes(encoded(good, "PNG")[:60_000]),
    "cut.tif": lambda file, good: tiff(file, good, tiled=False),
    "cut-tiled.tif": lambda file, good: tiff(file, good, tiled=True),
}


def encoded(good: Path, kind: str) -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.open(good).save(buffer, kind)
    return buffer.getvalue()


def tiff(file: Path, good: Path, *, tiled: bool) -> None:
    import tifffile
    from PIL import Image

    tile = (64, 64) if tiled else None
    tifffile.imwrite(
        file, np.asarray(Image.open(good)), photometric="rgb", compression="zlib", tile=tile, metadata=None
    )
    cut(file)


@pytest.mark.parametrize("name", IMAGES)
def test_a_bad_image_is_named_and_nothing_is_predicted(
    refused: Refused, ground: Ground, name: str, tmp_path: Path
) -> None:
    IMAGES[name](tmp_path / name, ground.image)
    refused("predict", ground.ridge, name, "--mpp", MPP, "-o", "p.h5ad", says=(name,))


@pytest.mark.parametrize("name", ["text.jpg", "cut.jpg", "head.jpg", "cut.tif"])
def test_a_bad_image_of_a_cohort_leaves_no_features(
    refused: Refused, ground: Ground, data: Path, name: str, tmp_path: Path
) -> None:
    IMAGES[name](data / "images" / "B1.jpg", ground.image)
    line = refused(
        *("encode", data, "--encoder", ENCODER, "--sections", "B1", "-o", "f"), says=("B1.jpg",), leaves=("f",)
    )
    assert not [path for path in (tmp_path / "f").rglob("*") if path.is_file()], line


def test_encoding_keeps_the_sections_before_the_broken_one(eosin: Run, data: Path, tmp_path: Path) -> None:
    cut(data / "images" / "B1.jpg", 0.3)
    line = eosin("encode", data, "--encoder", ENCODER, "-o", "f").complaint
    assert "B1.jpg" in line
    assert [path.name for path in (tmp_path / "f").rglob("*.*")] == ["A1.h5"]


@pytest.mark.parametrize("verb", ["info", "predict"])
def test_an_image_without_scale_asks_for_it(refused: Refused, ground: Ground, verb: str) -> None:
    given = ("info", ground.image) if verb == "info" else ("predict", ground.ridge, ground.image, "-o", "p.h5ad")
    refused(*given, says=(ground.image, "µm per pixel", "--mpp"))


@pytest.mark.parametrize("mpp", [0, -1, 50, "nan"])
def test_an_impossible_scale_is_refused(refused: Refused, ground: Ground, mpp: object) -> None:
    refused("predict", ground.ridge, ground.image, f"--mpp={mpp}", "-o", "p.h5ad", says=("A1.jpg", "--mpp"))


def test_a_blank_image_has_no_tissue(refused: Refused, ground: Ground, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (400, 400), "white").save(tmp_path / "blank.png")
    refused("predict", ground.ridge, "blank.png", "--mpp", MPP, "-o", "p.h5ad", says=("blank.png", "tissue"))


def test_spots_outside_the_image(refused: Refused, data: Path) -> None:
    from PIL import Image

    small = data / "images" / "A2.jpg"
    Image.open(small).crop((0, 0, 150, 150)).save(small)
    refused(
        *("encode", data, "--encoder", ENCODER, "--sections", "A2", "-o", "f"),
        says=("A2.jpg", "spots lie outside the image", "--mpp"),
    )


def test_a_missing_image_is_named(refused: Refused, data: Path) -> None:
    (data / "images" / "A2.jpg").unlink()
    refused("encode", data, "--encoder", ENCODER, "--sections", "A2", "-o", "f", says=("A2.jpg",))


# --- damaged data files ----------------------------------------------------------------------------------------------


def test_a_truncated_gzip_is_named(refused: Refused, tmp_path: Path) -> None:
    data = legacy_st(tmp_path / "st")
    cut(data / "ST-cnts" / "A2.tsv.gz")
    refused("train", data, "--model", "gene-mean", "-o", "run", says=("A2.tsv.gz", "download it again"))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_truncated_section_is_named(refused: Refused, data: Path, share: float) -> None:
    cut(data / "sections" / "A2.h5ad", share)
    refused("train", data, "--model", "gene-mean", "-o", "run", says=("A2.h5ad", "again"))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_truncated_patches_are_named(refused: Refused, tmp_path: Path, share: float) -> None:
    data = hest_bench(tmp_path / "task")
    cut(data / "patches" / "INT2.h5", share)
    refused("train", data, "--model", "gene-mean", "-o", "run", says=("INT2.h5",))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_truncated_feature_file_is_named(refused: Refused, ground: Ground, tmp_path: Path, share: float) -> None:
    features = Path(shutil.copytree(ground.features, tmp_path / "f"))
    cut(next(features.rglob("A1.h5")), share)
    given = ("--features", features, "--encoder", ENCODER, "--genes", "var:4", "--model", "ridge")
    refused("train", ground.data, *given, "-o", "run", says=("A1.h5", "encode again"))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_truncated_prediction_is_named(refused: Refused, ground: Ground, tmp_path: Path, share: float) -> None:
    cut(Path(shutil.copy(ground.prediction, tmp_path / "p.h5ad")), share)
    refused("score", "p.h5ad", ground.data, says=("p.h5ad",))
    refused("report", "p.h5ad", "-o", "r.html", says=("p.h5ad",))


@pytest.mark.parametrize(
    "text", ["", '{"schema": 1, "cells": [', "[]", '{"schema": 9, "cells": [{}]}', '{"schema": 1}']
)
def test_broken_scores_are_named(refused: Refused, tmp_path: Path, text: str) -> None:
    (tmp_path / "scores.json").write_text(text)
    refused("report", "scores.json", "-o", "r.html", says=("scores.json",))


def test_a_measured_section_is_no_prediction(refused: Refused, ground: Ground) -> None:
    section = ground.data / "sections" / "A1.h5ad"
    refused("score", section, ground.data, says=("A1.h5ad", "no prediction", "give a prediction"))


def test_a_folder_of_something_else(refused: Refused, ground: Ground, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    refused("train", "photos", "-o", "run", says=("photos", "no reader fits", "sections/{name}.h5ad"))


# --- counts, spots and genes -----------------------------------------------------------------------------------------


def foreign(folder: Path, counts: np.ndarray, spots: list[str] | None = None, genes: list[str] | None = None) -> Path:
    """A plain AnnData as other tools write it, with its scale."""
    n, g = counts.shape
    adata = anndata.AnnData(
        X=counts,
        obs=pd.DataFrame(index=spots or [f"s{i}" for i in range(n)]),
        var=pd.DataFrame(index=genes or [f"G{j}" for j in range(g)]),
    )
    adata.obsm["spatial"] = np.arange(2 * n, dtype=float).reshape(n, 2) * 100
    adata.uns["eosin"] = {"mpp": 0.5}
    folder.mkdir(exist_ok=True)
    adata.write_h5ad(folder / "mine.h5ad")
    return folder / "mine.h5ad"


def counts(n: int = 12, g: int = 8) -> np.ndarray:
    return np.random.default_rng(0).poisson(2.0, (n, g)).astype(np.float32)


@pytest.mark.parametrize(
    ("value", "word"), [(-1.0, "negative"), (0.5, "fractions"), (np.nan, "NaN"), (np.inf, "infin")]
)
@pytest.mark.parametrize("packed", [False, True], ids=["dense", "sparse"])
def test_bad_counts_in_anndata(refused: Refused, tmp_path: Path, value: float, word: str, *, packed: bool) -> None:
    bad = counts()
    bad[3, 4] = value
    foreign(tmp_path / "d", sparse.csr_matrix(bad) if packed else bad)
    line = refused("train", "d/mine.h5ad", "--model", "gene-mean", "--genes", "var:3", "-o", "run", says=("mine.h5ad",))
    assert word in line and "raw counts" in line


@pytest.mark.parametrize(
    ("cell", "word"), [("-1", "negative"), ("0.5", "fractions"), ("nan", "NaN"), ("many", "'many' is no number")]
)
def test_bad_counts_in_a_table(refused: Refused, tmp_path: Path, cell: str, word: str) -> None:
    data = legacy_st(tmp_path / "st")
    file = data / "ST-cnts" / "B1.tsv.gz"
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    row = lines[4].split("\t")
    row[6] = cell
    lines[4] = "\t".join(row)
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    refused("train", data, "--model", "gene-mean", "-o", "run", says=("B1.tsv.gz", word))


def test_a_section_without_spots(refused: Refused, tmp_path: Path) -> None:
    foreign(tmp_path / "d", counts(0))
    refused("train", "d/mine.h5ad", "--model", "gene-mean", "-o", "run", says=("mine.h5ad", "no spots"))


def test_spots_of_one_name(refused: Refused, tmp_path: Path) -> None:
    foreign(tmp_path / "d", counts(3), spots=["a", "b", "a"])
    refused("train", "d/mine.h5ad", "--model", "gene-mean", "-o", "run", says=("mine.h5ad", "'a' occurs twice"))


def test_genes_of_one_name_are_added_up_and_said(eosin: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Real tables have them; their molecules are of one gene."""
    foreign(tmp_path / "d", counts(4, 3), genes=["a", "b", "a"])
    said = eosin("info", "d/mine.h5ad")
    assert said.code == 0
    assert "1 column was added to another of the same gene: a" in said.out


def test_genes_of_one_name_in_a_panel(refused: Refused, ground: Ground) -> None:
    given = (
        "--model",
        "gene-mean",
        "--features",
        ground.features,
        "--encoder",
        ENCODER,
        "--genes",
        "GLND1,NUCL1,GLND1",
    )
    refused("train", ground.data, *given, "-o", "run", says=("'GLND1' occurs twice",))


def rename_genes(file: Path, names: Callable[[str], str]) -> None:
    adata = anndata.read_h5ad(file)
    adata.var_names = [names(name) for name in adata.var_names]
    file.unlink()
    adata.write_h5ad(file)


@pytest.mark.parametrize("genes", ["var:4", "hvg:4", "hmhvg:4"])
def test_sections_that_share_no_gene(refused: Refused, ground: Ground, data: Path, genes: str) -> None:
    rename_genes(data / "sections" / "B1.h5ad", lambda name: f"mouse-{name}")
    given = ("--model", "gene-mean", "--features", ground.features, "--encoder", ENCODER, "--genes", genes)
    refused("train", data, *given, "--sections", "A1", "--sections", "B1", "-o", "run", says=("share", "gene"))


def test_a_panel_gene_that_a_training_section_lacks(refused: Refused, ground: Ground, data: Path) -> None:
    rename_genes(data / "sections" / "B1.h5ad", lambda name: "other" if name == "GLND1" else name)
    given = ("--model", "gene-mean", "--features", ground.features, "--encoder", ENCODER, "--genes", "GLND1,NUCL1")
    refused("train", data, *given, "-o", "run", says=("'B1'", "GLND1"))


def test_a_panel_gene_that_no_section_has(refused: Refused, ground: Ground, tmp_path: Path) -> None:
    (tmp_path / "panel.txt").write_text("GLND1\nGLND99\n")
    given = ("--model", "gene-mean", "--features", ground.features, "--encoder", ENCODER, "--genes", "panel.txt")
    refused("train", ground.data, *given, "-o", "run", says=("GLND99",))


def test_a_panel_gene_that_the_truth_lacks(refused: Refused, ground: Ground, data: Path) -> None:
    gene = anndata.read_h5ad(ground.prediction).var_names[0]
    rename_genes(data / "sections" / "A1.h5ad", lambda name: "other" if name == gene else name)
    refused("score", ground.prediction, data, says=("'A1'", gene))
    refused("report", ground.prediction, "--truth", data, "-o", "r.html", says=("'A1'", gene))


@pytest.mark.parametrize("rule", ["var:0", "var:-3", "var:x", "vat:5", "var:999"])
def test_a_panel_rule_that_cannot_be(refused: Refused, ground: Ground, rule: str) -> None:
    given = ("--model", "gene-mean", "--features", ground.features, "--encoder", ENCODER, "--genes", rule)
    refused("train", ground.data, *given, "-o", "run", says=(rule.split(":")[0],))


@pytest.fixture
def lonely(ground: Ground, data: Path) -> Path:
    """The cohort with section A1 reduced to one spot."""
    file = data / "sections" / "A1.h5ad"
    adata = anndata.read_h5ad(file)[:1].copy()
    file.unlink()
    adata.write_h5ad(file)
    return data


@pytest.mark.parametrize("model", ["ridge", "stflow"])
def test_one_spot_is_predicted_and_scores_are_undefined(eosin: Run, ground: Ground, lonely: Path, model: str) -> None:
    given = ("predict", getattr(ground, model), lonely, "--section", "A1", "--features", ground.features)
    assert eosin(*given, "--draws", 2, "-o", "p.h5ad").code == 0
    adata = anndata.read_h5ad("p.h5ad")
    assert adata.shape == (1, 6) and np.isfinite(adata.X).all()
    said = eosin("score", "p.h5ad", lonely)
    assert said.code == 0
    assert re.search(r"^mse: \d", said.out, re.MULTILINE)
    assert "rvd: -" in said.out  # one spot has no variance
    assert eosin("report", "p.h5ad", "--truth", lonely, "-o", "r.html").code == 0


@pytest.mark.parametrize("model", ["ridge", "stflow"])
def test_one_spot_among_the_training_sections(eosin: Run, ground: Ground, lonely: Path, model: str) -> None:
    given = ("--features", ground.features, "--encoder", ENCODER, "--genes", "var:3", "--model", model)
    small = SMALL if model == "stflow" else ()
    assert eosin("train", lonely, *given, *small, "-o", "run").code == 0


@pytest.mark.parametrize("model", ["gene-mean", "ridge", "stflow"])
def test_one_spot_alone_trains_or_says_why_not(eosin: Run, ground: Ground, lonely: Path, model: str) -> None:
    given = ("--features", ground.features, "--encoder", ENCODER, "--genes", "GLND1,NUCL1", "--model", model)
    small = SMALL if model == "stflow" else ()
    said = eosin("train", lonely, *given, *small, "--sections", "A1", "-o", "run")
    assert said.code == 0 or "spot" in said.complaint
    if said.code == 0:
        given = ("predict", "run", lonely, "--section", "B1", "--features", ground.features, "--draws", 2)
        assert eosin(*given, "-o", "p.h5ad").code == 0
        assert np.isfinite(anndata.read_h5ad("p.h5ad").X).all()


# --- encoder and checkpoint ------------------------------------------------------------------------------------------


def test_features_of_another_encoder_than_the_model(refused: Refused, ground: Ground, eosin: Run) -> None:
    other = "stain?px=112"
    assert eosin("encode", ground.data, "--encoder", other, "--sections", "A1", "-o", "others").code == 0
    given = ("predict", ground.ridge, ground.data, "--section", "A1", "--features", "others", "-o", "p.h5ad")
    refused(*given, says=("others", "'A1'", f"--encoder '{ENCODER}'"))


def test_features_inside_a_section_of_another_encoder(refused: Refused, ground: Ground, tmp_path: Path) -> None:
    import eosin as library
    from eosin.data import write_sections
    from eosin.types import Features

    section = library.read(ground.data, sections=["A1"])[0]
    foreign = Features(np.zeros((len(section), 7)), "virchow", "virchow;version=2")
    write_sections([section.with_features(foreign)], tmp_path / "own")
    given = ("predict", ground.ridge, "own", "--section", "A1", "-o", "p.h5ad")
    refused(*given, says=("'A1'", "virchow", ENCODER))


def test_sections_encoded_differently(refused: Refused, ground: Ground, tmp_path: Path) -> None:
    import eosin as library
    from eosin.data import write_sections
    from eosin.types import Features

    read = library.read(ground.data, sections=["A1", "A2"])
    own = [one.with_features(Features(np.zeros((len(one), 7)), f"e{i}", f"e{i}-1")) for i, one in enumerate(read)]
    write_sections(own, tmp_path / "own")
    given = ("--model", "gene-mean", "--genes", "GLND1", "-o", "run")
    refused("train", "own", *given, says=("e0-1, e1-1", "encode all sections alike"))


def test_weights_that_are_no_safetensors(refused: Refused, ground: Ground, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"not weights at all")
    given = ("encode", ground.data, "-o", "f", "--encoder")
    refused(*given, "timm:resnet18@w.safetensors", says=("w.safetensors",))
    (tmp_path / "w.bin").write_bytes(b"a pickle, perhaps")
    refused(*given, "timm:resnet18@w.bin", says=("w.bin", ".safetensors"))


@pytest.fixture
def run(ground: Ground, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ground.stflow, tmp_path / "run"))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("verb", ["info", "predict"])
def test_a_checkpoint_without_a_file(refused: Refused, ground: Ground, run: Path, name: str, verb: str) -> None:
    (run / name).unlink()
    given = ("info", run) if verb == "info" else ("predict", run, ground.data, "--section", "A1", "-o", "p.h5ad")
    refused(*given, says=("run", f"lacks {name}", "copy the whole folder"))


def flip(file: Path, at: float) -> None:
    whole = bytearray(file.read_bytes())
    whole[int(len(whole) * at)] ^= 1
    file.write_bytes(bytes(whole))


def other_setting(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["panel"]["names"].reverse()
    (run / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def weights_of_another(run: Path) -> None:
    shutil.copy(run.parent / "ridge.safetensors", run / "model.safetensors")


ALTERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "config": (other_setting, "config.json"),
    "config cut": (lambda run: cut(run / "config.json"), "config.json"),
    "config empty": (lambda run: (run / "config.json").write_text("{}"), "config.json"),
    "a bit of the weights": (lambda run: flip(run / "model.safetensors", 0.9), "model.safetensors"),
    "a bit of the header": (lambda run: flip(run / "model.safetensors", 0.001), "model.safetensors"),
    "weights cut": (lambda run: cut(run / "model.safetensors"), "model.safetensors"),
    "weights empty": (lambda run: (run / "model.safetensors").write_bytes(b""), "model.safetensors"),
    "weights of another model": (weights_of_another, ".json"),
    "metrics cut": (lambda run: cut(run / "metrics.json"), "metrics.json"),
}


@pytest.mark.parametrize("case", ALTERED)
def test_an_altered_checkpoint(refused: Refused, ground: Ground, run: Path, case: str) -> None:
    spoil, name = ALTERED[case]
    shutil.copy(ground.ridge / "model.safetensors", run.parent / "ridge.safetensors")
    spoil(run)
    refused("predict", run, ground.data, "--section", "A1", "-o", "p.h5ad", says=(name,))


@pytest.mark.parametrize("at", [0.5, 0.9])
def test_an_altered_training_state_is_not_resumed(refused: Refused, ground: Ground, run: Path, at: float) -> None:
    flip(run / "training.safetensors", at)
    given = ("--features", ground.features, "--encoder", ENCODER, "--genes", "var:6", *SMALL)
    others = ("--sections", "A2", "--sections", "B1", "--sections", "B2")
    refused("train", ground.data, *given, *others, "--resume", "-o", run, says=("training.safetensors", "altered"))


def test_a_prediction_is_no_checkpoint(refused: Refused, ground: Ground) -> None:
    refused("predict", ground.prediction, ground.data, "-o", "p.h5ad", says=("A1.h5ad", "checkpoint folder"))
    refused("predict", ground.data, ground.data, "-o", "p.h5ad", says=("data", "config.json"))


# --- settings and names ----------------------------------------------------------------------------------------------

SETTINGS = {
    "near name": (("--model.n-layer", "3"), ("'n_layer'", "did you mean 'n_layers'")),
    "of training": (("--train.epoch", "3"), ("'epoch'", "did you mean 'epochs'")),
    "impossible": (("--model.n-heads", "0"), ("n_heads", "greater than or equal to 1")),
    "of another kind": (("--model.n-heads", "many"), ("n_heads", "many")),
    "no such choice": (("--model.sampler", "rk45"), ("sampler", "'euler' or 'heun'")),
    "no value": (("--model.n-heads",), ("'n_heads' is true, and is a number",)),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_unknown_or_impossible_setting(refused: Refused, ground: Ground, case: str) -> None:
    flags, says = SETTINGS[case]
    given = ("--features", ground.features, "--encoder", ENCODER, "--genes", "var:3", "-o", "run")
    refused("train", ground.data, *given, *flags, says=says)


FILES = {
    "unknown": ("[model]\nn_layer = 3\n", ("did you mean 'n_layers'",)),
    "table": ("[modell]\nn_layers = 3\n", ("'modell'", "model, train")),
    "no table": ("n_layers = 3\n", ("run.toml", "'n_layers'", "[model]")),
    "no toml": ("[model\n", ("run.toml", "TOML")),
    "no text": ("\udcff", ("run.toml",)),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_settings_file(refused: Refused, ground: Ground, tmp_path: Path, case: str) -> None:
    text, says = FILES[case]
    (tmp_path / "run.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    given = ("--features", ground.features, "--encoder", ENCODER, "--genes", "var:3", "-o", "run")
    refused("train", ground.data, *given, "--settings", "run.toml", says=says)


NAMES = {
    "model": (("train", "DATA", "--model", "stflo", "-o", "run"), ("'stflo'", "'stflow'")),
    "model of a grid": (("bench", "DATA", "--models", "ridge,stflo", "-o", "out"), ("'stflo'", "'stflow'")),
    "preset": (("train", "DATA", "--model", "stflow:papers", "-o", "run"), ("'papers'", "paper")),
    "encoder": (("encode", "DATA", "--encoder", "stian", "-o", "f"), ("'stian'", "'stain'")),
    "setting of an encoder": (("encode", "DATA", "--encoder", "stain?pxs=96", "-o", "f"), ("'pxs'", "'px'")),
    "architecture": (("encode", "DATA", "--encoder", "timm:resnt18@w.safetensors", "-o", "f"), ("resnt18",)),
    "reader": (("info", "DATA", "--reader", "heste"), ("'heste'", "'hest'")),
    "reader that does not fit": (("info", "DATA", "--reader", "hest"), ("data", "'hest'", "wsis")),
    "transform": (("train", "DATA", "--transform", "log1pp", "--genes", "var:3", "-o", "run"), ("'log1p'",)),
    "split": (("bench", "DATA", "--split", "leave-slide-out", "-o", "out"), ("leave-slide-out", "leave-section-out")),
    "section of a split": (("bench", "DATA", "--split", "A1:A7", "-o", "out"), ("'A7'",)),
    "leak": (("bench", "DATA", "--split", "A1,A2:A2", "-o", "out"), ("leaks", "'A2'")),
    "settings of a model that is not there": (
        ("bench", "DATA", "--models", "ridge", "--settings", "TOML", "-o", "out"),
        ("'stflow'", "--models"),
    ),
    "list": (("list", "model"), ("'model'", "models")),
    "draws": (("predict", "RUN", "DATA", "--section", "A1", "--draws", "0", "-o", "p.h5ad"), ("0 draws",)),
    "pitch": (("predict", "RUN", "IMAGE", "--mpp", "2", "--pitch-um", "0", "-o", "p.h5ad"), ("pitch",)),
    "seeds": (("bench", "DATA", "--models", "gene-mean", "--seeds", "0", "-o", "out"), ("seed",)),
    "place of a grid": (("bench", "DATA", "--on", "procesess:2", "-o", "out"), ("'procesess'", "'processes'")),
    "two places of a grid": (
        ("bench", "DATA", "--on", "processes:2", "--workers", "3", "-o", "out"),
        ("--workers", "--on"),
    ),
    "gene of a report": (("report", "PREDICTION", "--genes", "GLND99", "-o", "r.html"), ("GLND99",)),
}


@pytest.mark.parametrize("case", NAMES)
def test_unknown_name(refused: Refused, ground: Ground, tmp_path: Path, case: str) -> None:
    (tmp_path / "w.safetensors").write_bytes(bytes(100))
    (tmp_path / "grid.toml").write_text("[stflow.model]\nn_layers = 1\n")
    known = {"DATA": ground.data, "RUN": ground.ridge, "TOML": "grid.toml", "IMAGE": ground.image}
    known["PREDICTION"] = ground.prediction
    line, says = NAMES[case]
    words = [known.get(word, word) for word in line]
    if line[0] in ("train", "bench"):
        words += ["--features", ground.features]
        words += [] if "--encoder" in line else ["--encoder", ENCODER]
    refused(*words, says=says)


UNENCODED = {
    "setting": ("train", "DATA", "--model.n-layer", "3", "-o", "run"),
    "setting of training": ("train", "DATA", "--train.epochs", "0", "-o", "run"),
    "model": ("bench", "DATA", "--models", "gene-mean,stflo", "-o", "out"),
    "setting of a grid": ("bench", "DATA", "--models", "stflow", "--settings", "grid.toml", "-o", "out"),
    "split": ("bench", "DATA", "--split", "A1:A7", "-o", "out"),
}


@pytest.mark.parametrize("case", UNENCODED)
def test_wrong_names_are_told_before_images_are_encoded(
    refused: Refused, ground: Ground, tmp_path: Path, case: str
) -> None:
    """Encoding a cohort takes minutes to hours; a typing error must not wait for it."""
    (tmp_path / "grid.toml").write_text("[stflow.model]\nn_layer = 1\n")
    refused(*(ground.data if word == "DATA" else word for word in UNENCODED[case]), says=())
    assert not (tmp_path / "eosin-cache").exists()


def test_unknown_gene_rule_and_a_name_with_a_sign(refused: Refused, ground: Ground) -> None:
    given = ("--model", "ridge", "--features", ground.features, "--encoder", ENCODER, "-o", "run")
    refused("train", ground.data, *given, "--genes", "GLND1,GLND111", says=("GLND111",))


# --- disk full, or not ours to write ---------------------------------------------------------------------------------


@contextlib.contextmanager
def no_room(n_bytes: int) -> Iterator[None]:
    """Files cannot grow beyond `n_bytes`: the kernel refuses the write itself, wherever in a library it happens."""
    start_server_of_processes()  # else it starts under the limit and keeps it: later tests would meet a full disk
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)  # Python would keep what it compiles, cut short
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def full_at_the_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The disk is full when the last bytes are flushed."""

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        yield


WRITERS = {
    "features": ("encode", "DATA", "--encoder", ENCODER, "--sections", "A1", "-o", "f/deep"),
    "checkpoint of a solved model": ("train", "DATA", "FEATURES", "--model", "ridge", "-o", "run"),
    "checkpoint of a learned model": ("train", "DATA", "FEATURES", "--model", "stflow", *SMALL, "-o", "run"),
    "prediction": ("predict", "RUN", "DATA", "--section", "A1", "--features", "F", "-o", "p.h5ad"),
    "scores": ("bench", "DATA", "FEATURES", "--models", "gene-mean", "--split", "A1:A2", "-o", "out"),
    "report": ("report", "PREDICTION", "-o", "r.html"),
    "cohort of the demo": ("demo", "-o", "demo"),
}


def words_of(case: str, ground: Ground) -> list[object]:
    known: dict[str, list[object]] = {
        "DATA": [ground.data],
        "RUN": [ground.stflow],
        "F": [ground.features],
        "PREDICTION": [ground.prediction],
        "FEATURES": ["--features", ground.features, "--encoder", ENCODER, "--genes", "var:3"],
    }
    return [one for word in WRITERS[case] for one in known.get(word, [word])]


def one_section(*, seed: int, **of_the_real_one: object) -> object:
    from eosin.simulation.cohort import simulate

    return simulate(n_sections=1, n_patients=1, size_um=400, mpp=4, n_genes=20, seed=seed)


def half_written(folder: Path) -> list[Path]:
    """Files below a folder, but for the journal of tiles that a run of `encode` goes on from."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".h5.part")]


HDF5 = ("features", "prediction")  # see `test_disk_full_while_hdf5_is_written`
FULL = [
    (case, how)
    for case in WRITERS
    for how in ("while writing", "at the end")
    if how != "while writing" or case not in HDF5
]


@pytest.mark.parametrize(("case", "how"), FULL)
def test_disk_full(
    eosin: Run, ground: Ground, tmp_path: Path, case: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eosin.apps import demo

    monkeypatch.setattr(demo, "simulate", one_section)
    words = words_of(case, ground)
    with no_room(400) if how == "while writing" else full_at_the_end(monkeypatch):
        said = eosin(*words)
    line = said.complaint
    assert "disk is full" in line and "free some space" in line, line
    assert WRITERS[case][-1].partition("/")[0] in line
    assert half_written(tmp_path) == []
    if case == "cohort of the demo":
        return
    assert eosin(*words).code == 0  # nothing that was left behind is in the way


LIMITED = """
import json, resource, sys
sys.dont_write_bytecode = True  # Python would keep what it compiles, cut short
from eosin.cli import main
for words in json.loads(sys.argv[1]):
    for n_bytes in (400, 20_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))
        print(main(words))
"""


def test_disk_full_while_hdf5_is_written(ground: Ground, tmp_path: Path) -> None:
    """In a process of its own: HDF5 that cannot write used to bring the interpreter down when it ended."""
    commands = json.dumps([words_of(case, ground) for case in HDF5], default=str)
    words = [sys.executable, "-c", LIMITED, commands]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1"] * 4
    assert "Traceback" not in done.stderr
    full = [line for line in done.stderr.splitlines() if "the disk is full" in line]
    assert len(full) == 4, done.stderr
    assert all("f/deep" in line for line in full[:2]) and all("p.h5ad" in line for line in full[2:])
    assert "the disk is full" in done.stderr.splitlines()[-1]
    assert half_written(tmp_path) == []


def test_disk_full_leaves_the_old_file_as_it_was(
    eosin: Run, ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Path(shutil.copy(ground.prediction, tmp_path / "p.h5ad")).read_bytes()
    with full_at_the_end(monkeypatch):
        assert eosin(*words_of("prediction", ground)).code == 1
    assert Path("p.h5ad").read_bytes() == old
    assert files_below(tmp_path) == ["p.h5ad"]


@pytest.mark.parametrize("case", WRITERS)
def test_a_file_where_a_folder_must_be(
    eosin: Run, ground: Ground, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stands in for a folder that cannot be written: root, as which tests may run, can write everywhere."""
    from eosin.apps import demo

    monkeypatch.setattr(demo, "simulate", one_section)
    words = words_of(case, ground)
    (tmp_path / "file").write_text("in the way")
    words[-1] = f"file/{words[-1]}"
    line = eosin(*words).complaint
    assert "file" in line and "cannot be written" in line, line
    assert files_below(tmp_path) == ["file"]


def test_the_simulated_full_disk_is_full_and_then_is_not(tmp_path: Path) -> None:
    with no_room(400), pytest.raises(OSError):
        (tmp_path / "x").write_bytes(bytes(1000))
    (tmp_path / "x").write_bytes(bytes(1000))


@pytest.mark.parametrize("verb", ["score", "bench"])
@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--pathways", "bad.gmt"), ("bad.gmt", "line 1 is no gene set")),
        (("--pathways", "none.gmt"), ("none.gmt", "no such gene-set file")),
        (("--pathways", "far.gmt"), ("none of the 1 gene sets has 3 genes",)),
        (("--biomarkers", "TP53,MYC"), ("none of the 2 biomarkers", "TP53")),
    ],
)
def test_genes_and_gene_sets_that_cannot_be_scored(
    refused: Callable[..., str], ground: Ground, tmp_path: Path, verb: str, flags: tuple[str, ...], says: tuple[str]
) -> None:
    """A benchmark refuses them before anything is trained."""
    (tmp_path / "bad.gmt").write_text("only a name\n")
    (tmp_path / "far.gmt").write_text("SET\tabout\tTP53\tMYC\tKRAS\n")
    beside = ("--features", ground.features, "--encoder", ENCODER, "--split", "A1,B1:A2", "--genes", "var:6")
    words = {
        "score": ("score", ground.prediction, ground.data),
        "bench": ("bench", ground.data, "--models", "ridge", *beside, "-o", "out"),
    }
    refused(*words[verb], *flags, says=says)
