"""Every verb on simulated tissue, through the command line."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import ENCODER, MPP, NARROW, Ground, Run, files_below
from eosin.api.score import score as eosin_score
from eosin.cli import main
from eosin.data import read_prediction
from eosin.engine import load
from eosin.models import MODELS

# --- info and list ------------------------------------------------------------------------------------------------


def test_info_of_data_names_reader_and_sections(eosin: Run, ground: Ground) -> None:
    said = eosin("info", ground.data)
    assert said.code == 0
    assert "reader: eosin" in said.out
    assert all(name in said.out for name in ("A1", "A2", "B1", "B2"))


def test_info_of_a_slide_gives_its_size_in_um(eosin: Run, ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    said = eosin("info", ground.image, "--mpp", MPP)
    assert said.code == 0
    assert "size_px: 350, 350" in said.out
    assert "size_um: 700, 700" in said.out
    assert "0.49 mm² of image, little for a slide: is it 2 µm per pixel?" in caplog.text


def test_info_of_a_checkpoint_gives_model_panel_and_encoder(eosin: Run, ground: Ground) -> None:
    said = eosin("info", ground.stflow)
    assert said.code == 0
    assert "model: stflow" in said.out
    assert "rule: var:6" in said.out
    assert f"encoder: {ENCODER}" in said.out
    assert "n_layers: 1" in said.out


def test_info_of_a_prediction_gives_model_draws_and_units(eosin: Run, ground: Ground) -> None:
    said = eosin("info", ground.prediction)
    assert said.code == 0, said.err
    assert "kind: prediction" in said.out
    assert "section: A1" in said.out
    assert "model: stflow" in said.out
    assert "draws: 1" in said.out  # error bars take the place of draws in the file
    assert "transform: log1p" in said.out


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("models", ["gene-mean", "ridge", "stflow"]),
        ("encoders", ["stain", "timm"]),
        ("readers", ["legacy-st", "hest", "hest-bench", "eosin"]),
    ],
)
def test_list_names_what_is_there(eosin: Run, kind: str, names: list[str]) -> None:
    said = eosin("list", kind)
    assert said.code == 0
    rows = [line.split()[0] for line in said.out.splitlines() if line.strip() and not line.startswith(" ")]
    assert set(names) <= set(rows)


def test_list_of_models_is_the_registry(eosin: Run) -> None:
    said = eosin("list", "models")
    assert all(MODELS[name].paper.split("(")[0].split()[0] in said.out for name in MODELS)


# --- encode -------------------------------------------------------------------------------------------------------


def test_encode_writes_a_file_per_section_with_defaults(eosin: Run, data: Path, tmp_path: Path) -> None:
    import anndata

    for name in ("A1", "B2"):  # windows of the default encoder take long: four of each section are enough
        file = data / "sections" / f"{name}.h5ad"
        adata = anndata.read_h5ad(file)[:4].copy()
        file.unlink()
        adata.write_h5ad(file)
    said = eosin("encode", data, "--sections", "A1", "--sections", "B2", "-o", "f")
    assert said.code == 0
    assert "2 sections" in said.out and "in f" in said.out
    assert sorted(path.name for path in (tmp_path / "f").rglob("*.h5")) == ["A1.h5", "B2.h5"]


def test_encode_skips_what_is_done_and_rebuilds_what_is_broken(eosin: Run, ground: Ground, tmp_path: Path) -> None:
    features = Path(shutil.copytree(ground.features, tmp_path / "f"))
    files = sorted(features.rglob("*.h5"))
    assert [file.stem for file in files] == ["A1", "A2", "B1", "B2"]
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}
    broken = files[1]
    broken.write_bytes(broken.read_bytes()[:2000])
    said = eosin("encode", ground.data, "-o", features, "--encoder", ENCODER)
    assert said.code == 0
    for file in files:
        assert (file.stat().st_mtime_ns == before[file][0]) == (file is not broken), file.name
    assert broken.read_bytes() == before[broken][1]
    assert "encode A2" in said.err and "encode A1" not in said.err


# --- train --------------------------------------------------------------------------------------------------------


def test_train_takes_settings_of_a_file_and_flags_over_it(eosin: Run, ground: Ground, tmp_path: Path) -> None:
    Path("run.toml").write_text(
        "[model]\nbase = 'ridge'\nn-layers = 1\nwidth = 16\nedge_width = 16\n[train]\nepochs = 3\nlr = 1e-3\n"
    )
    given = ("--features", ground.features, "--encoder", ENCODER, "--genes", "var:4", "--settings", "run.toml")
    said = eosin("train", ground.data, *given, "--train.epochs", "2", "--model.n_components=4", "-o", "run")
    assert said.code == 0, said.err
    trained = load(tmp_path / "run")
    assert trained.train_settings["epochs"] == 2  # flag over file
    assert trained.train_settings["lr"] == 1e-3  # file over default
    assert trained.model_settings["width"] == 16
    assert trained.model_settings["n_components"] == 4
    assert trained.train_settings["patience"] == 4  # default
    assert sorted(path.name for path in Path("run").iterdir()) == [
        "README.md",
        "config.json",
        "metrics.json",
        "model.safetensors",
        "training.safetensors",
    ]
    assert "4 genes" in said.out and "in run" in said.out


@pytest.mark.parametrize(
    ("text", "value"), [("none", None), ("7", 7)], ids=["none switches a setting off", "a number is a number"]
)
def test_values_of_flags_are_read_as_toml(eosin: Run, ground: Ground, text: str, value: int | None) -> None:
    given = ("--features", ground.features, "--encoder", ENCODER, "--genes", "var:3", "--train.epochs", "1")
    said = eosin("train", ground.data, *given, *NARROW, "--model.n-components", text, "-o", "run")
    assert said.code == 0, said.err
    assert load("run").model_settings["n_components"] == value


def test_train_encodes_what_is_missing_into_a_cache_that_it_names(
    eosin: Run, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = ("--model", "gene-mean", "--genes", "GLND1,NUCL1", "--encoder", ENCODER, "--sections", "A1")
    said = eosin("train", data, *given, "-o", "run")
    assert said.code == 0
    assert [path.name for path in (tmp_path / "eosin-cache").rglob("*.h5")] == ["A1.h5"]
    assert str(tmp_path / "eosin-cache") in caplog.text


def test_resumed_command_ends_at_the_weights_of_an_uninterrupted_one(
    eosin: Run, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eosin.engine import fit

    given = ("train", ground.data, "--features", ground.features, "--encoder", ENCODER, "--genes", "var:4")
    given = (*given, *NARROW, "--train.epochs", 3, "--train.early-stopping", "false")
    assert eosin(*given, "-o", "whole").code == 0
    save = fit.Fitting._save

    def stopping(self: fit.Fitting, *state: object) -> None:
        save(self, *state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit.Fitting, "_save", stopping)
        said = eosin(*given, "-o", "cut")
    assert said.code == 130
    assert "--resume" in said.err
    assert load("cut").metrics["finished"] is False
    assert eosin(*given, "-o", "cut", "--resume").code == 0
    whole, cut = load("whole").model.arrays(), load("cut").model.arrays()
    assert whole.keys() == cut.keys()
    assert all(np.array_equal(whole[name], cut[name]) for name in whole)


# --- predict ------------------------------------------------------------------------------------------------------


def test_predict_a_measured_section_without_its_counts(eosin: Run, ground: Ground, data: Path) -> None:
    """The counts of the target are replaced by others: the prediction must not notice."""
    import anndata

    file = data / "sections" / "A1.h5ad"
    adata = anndata.read_h5ad(file)
    adata.X = np.ones(adata.shape, dtype=np.float32)
    file.unlink()
    adata.write_h5ad(file)
    said = eosin("predict", ground.stflow, data, "--section", "A1", "--draws", 3, "-o", "p.h5ad")
    assert said.code == 0, said.err
    ours, theirs = read_prediction("p.h5ad"), read_prediction(ground.prediction)
    assert np.array_equal(ours.draws, theirs.draws)
    assert ours.spots.ids == theirs.spots.ids
    assert "6 genes in p.h5ad" in said.out


def test_predict_a_bare_image(eosin: Run, ground: Ground) -> None:
    said = eosin("predict", ground.ridge, ground.image, "--mpp", MPP, "--pitch-um", 150, "-o", "q.h5ad")
    assert said.code == 0, said.err
    found = read_prediction("q.h5ad")
    xy = found.spots.xy_um
    assert len(found.spots) > 5
    assert (xy > 0).all() and (xy < 700).all()
    steps = np.diff(np.unique(xy[:, 0]))
    assert np.allclose(steps / 150, np.round(steps / 150))
    assert found.image is not None and found.image.mpp == MPP
    assert found.n_draws == 1  # ridge is a point model


def test_prediction_opens_in_scanpy_with_image_and_error_bars(ground: Ground) -> None:
    import anndata

    adata = anndata.read_h5ad(ground.prediction)
    assert {"std", "q05", "q95"} <= set(adata.layers)
    library = adata.uns["spatial"]["A1"]
    assert library["images"]["hires"].std() > 1  # the slide, not a blank
    assert adata.obsm["spatial"].max() < 350  # pixels of the full image
    assert library["scalefactors"]["spot_diameter_fullres"] == pytest.approx(100 / MPP)


def test_seed_decides_the_draws(eosin: Run, ground: Ground) -> None:
    given = ("predict", ground.stflow, ground.data, "--section", "A1", "--features", ground.features, "--draws", 3)
    for name, seed in (("a", 0), ("b", 1), ("c", 0)):
        assert eosin(*given, "--keep-draws", "--seed", seed, "-o", f"{name}.h5ad").code == 0
    one, other, again = (read_prediction(path) for path in ("a.h5ad", "b.h5ad", "c.h5ad"))
    assert one.n_draws == 3 and np.array_equal(one.draws, again.draws)
    assert not np.array_equal(one.draws, other.draws)
    assert np.array_equal(one.sd, other.sd) and np.array_equal(one.sd, read_prediction(ground.prediction).sd)


# --- score and report ---------------------------------------------------------------------------------------------


def test_score_prints_the_numbers_of_the_library(eosin: Run, ground: Ground) -> None:
    import eosin as library

    said = eosin("score", ground.prediction, ground.data)
    assert said.code == 0, said.err
    known = library.score(ground.prediction, ground.data)
    assert f"mean: {known['pcc']['mean']:.4g}" in said.out
    assert f"mse: {known['mse']:.4g}" in said.out
    assert "n_draws: 1" in said.out


def test_score_takes_genes_and_gene_sets_by_name(eosin: Run, ground: Ground) -> None:
    genes = read_prediction(ground.prediction).panel.names
    Path("sets.gmt").write_text("HYPOXIA\tabout\t" + "\t".join(genes[:4]) + "\nTINY\tabout\tNONE\n")
    said = eosin("score", ground.prediction, ground.data, "--biomarkers", f"{genes[1]},VWF", "--pathways", "sets.gmt")
    assert said.code == 0, said.err
    for text in (f"{genes[1]}: ", "missing: VWF", "HYPOXIA", "n_too_small: 1"):
        assert text in said.out, text


LOADS = re.compile(
    r"""(?:src|href|action|data)\s*=\s*["']?\s*(?:https?:)?//|@import|url\(\s*["']?(?:https?:)?//""", re.I
)


def check_alone(page: Path) -> str:
    """The page loads nothing from anywhere: neither network nor a file beside it."""
    text = page.read_text(encoding="utf-8")
    assert text.lstrip().lower().startswith("<!doctype html")
    assert not LOADS.search(text)
    sources = re.findall(r"""<(?:img|script|link|iframe|source)[^>]*?(?:src|href)=["']?([^"'\s>]{0,30})""", text, re.I)
    assert all(source.startswith(("data:", "#")) for source in sources), sources
    return text


def test_report_of_a_prediction_stands_alone(eosin: Run, ground: Ground) -> None:
    gene = read_prediction(ground.prediction).panel.names[2]
    said = eosin("report", ground.prediction, "-o", "r.html", "--truth", ground.data, "--genes", gene)
    assert said.code == 0, said.err
    assert "open r.html" in said.out
    text = check_alone(Path("r.html"))
    assert gene in text and "A1" in text and "stflow" in text
    assert "data:image/" in text


def test_predictions_of_one_section_stand_side_by_side_with_the_ridge(eosin: Run, ground: Ground) -> None:
    beside = ("--features", ground.features)
    assert eosin("predict", ground.ridge, ground.data, "--section", "A1", *beside, "-o", "ridge.h5ad").code == 0
    said = eosin("report", ground.prediction, "ridge.h5ad", "--truth", ground.data, "-o", "r.html")
    assert said.code == 0, said.err
    text = check_alone(Path("r.html"))
    assert "Predicted by ridge" in text and "Predicted by stflow" in text and "no ridge beside it" not in text
    trained = ("--features", ground.features, "--encoder", ENCODER)
    said = eosin("report", ground.prediction, "--truth", ground.data, *trained, "-o", "r.html")
    assert said.code == 0, said.err
    assert "The ridge beside it was trained on B1, A2, B2." in check_alone(Path("r.html"))
    assert "no ridge beside it" not in Path("r.html").read_text(encoding="utf-8")
    assert "--truth" in eosin("report", ground.prediction, *trained, "-o", "q.html").complaint
    shutil.copy(ground.prediction, "again.h5ad")
    assert eosin("report", ground.prediction, "again.h5ad", "-o", "two.html").code == 0
    assert "Predicted by stflow, again" in check_alone(Path("two.html"))
    assert not Path("q.html").exists()


def test_plot_writes_maps_and_says_where(eosin: Run, ground: Ground) -> None:
    genes = read_prediction(ground.prediction).panel.names
    given = ("--genes", f"{genes[0]},{genes[1]}", "--show", "mean,interval,truth", "--dpi", 50)
    said = eosin("plot", ground.prediction, *given, "--truth", ground.data, "-o", "maps.svg")
    assert said.code == 0 and "maps in maps.svg" in said.out, said.err
    svg = Path("maps.svg").read_text(encoding="utf-8")
    assert svg.lstrip().startswith("<?xml") and "matplotlib" in svg
    assert "needs the measured section" in eosin("plot", ground.prediction, "--show", "truth", "-o", "x.png").complaint
    assert "NOPE" in eosin("plot", ground.prediction, "--genes", "NOPE", "-o", "x.png").complaint
    assert ".png" in eosin("plot", "absent.h5ad", "-o", "maps.gif").complaint or not Path("maps.gif").exists()
    assert not Path("x.png").exists()


def other_tool(ground: Ground, path: str) -> None:
    """A prediction as another tool would write it: no record of eosin, spots in another order."""
    import anndata

    ours = anndata.read_h5ad(ground.prediction)
    rows = np.random.default_rng(0).permutation(len(ours))
    theirs = anndata.AnnData(np.asarray(ours.X)[rows], obs=ours.obs[[]].iloc[rows], var=ours.var[[]])
    theirs.obsm["spatial"] = np.asarray(ours.obsm["spatial"])[rows]
    theirs.write_h5ad(path)


def test_score_takes_any_tools_file_and_sets_the_ridge_beside(eosin: Run, ground: Ground) -> None:
    other_tool(ground, "A1.h5ad")
    refused = eosin("score", "A1.h5ad", ground.data)
    assert refused.code == 1 and "does not say on which scale its values are" in refused.err
    flags = ("--features", ground.features, "--encoder", ENCODER)
    said = eosin("score", "A1.h5ad", ground.data, "--scale", "log1p", *flags)
    assert said.code == 0, said.err
    ours = eosin_score(ground.prediction, ground.data)
    assert f"pcc mean: {ours['pcc']['mean']:.4g}" in said.out
    assert re.search(r"pcc mean of the tuned ridge: \S+, trained on B1, A2, B2", said.out)
    assert "scale: log1p" in said.out


def test_calibrate_any_tools_file_and_apply_it(eosin: Run, ground: Ground) -> None:
    other_tool(ground, "A1.h5ad")
    said = eosin("calibrate", "A1.h5ad", "--truth", ground.data, "--scale", "log1p", "-o", "cal.safetensors")
    assert said.code == 0, said.err
    assert "6 genes, 1 section, 1 patient: prior for patients" in said.out
    flags = ("--apply", "cal.safetensors", "--scale", "log1p", "--mpp", 1.0)
    said = eosin("calibrate", "A1.h5ad", *flags, "-o", "done.h5ad")
    assert said.code == 0, said.err
    done = read_prediction("done.h5ad")
    assert done.error_bars is not None and done.trust is not None and (done.sd > 0).all()
    few = eosin(
        "calibrate",
        "A1.h5ad",
        "--truth",
        ground.data,
        "--scale",
        "log1p",
        "--calibrate",
        "conformal",
        "-o",
        "c.safetensors",
    )
    assert few.code == 1 and "need at least 9 patients, here are 1" in few.err and not Path("c.safetensors").exists()
    neither = eosin("calibrate", "A1.h5ad", "-o", "c.safetensors")
    assert neither.code == 1 and "neither of --truth and --apply given" in neither.err
    both = eosin("calibrate", "A1.h5ad", *flags, "--truth", ground.data, "-o", "e.h5ad")
    assert both.code == 1 and "both of --truth and --apply given" in both.err
    unused = eosin("calibrate", "A1.h5ad", *flags, "--calibrate", "conformal", "--bin-um", 50, "-o", "e.h5ad")
    assert unused.code == 1 and "--bin-um, --calibrate has no use with --apply" in unused.err
    twice = eosin("calibrate", "done.h5ad", "--apply", "cal.safetensors", "-o", "e.h5ad")
    assert twice.code == 1 and "'A1' is calibrated already" in twice.err
    unsaid = eosin("calibrate", "A1.h5ad", "--truth", ground.data, "--calibrate", "bars", "-o", "e.safetensors")
    assert unsaid.code == 1 and "no way to calibrate is called 'bars'" in unsaid.err
    other_way = eosin(
        "predict", ground.ridge, ground.data, "--section", "B2", "--calibration", "cal.safetensors", "-o", "p.h5ad"
    )
    assert other_way.code == 0, other_way.err
    assert "calibration" in read_prediction("p.h5ad").provenance


def test_adapt_by_a_few_measured_spots(eosin: Run, ground: Ground) -> None:
    flags = ("--features", ground.features)
    refused = eosin("adapt", ground.ridge, ground.data, "--section", "A2", *flags, "--spots", 5, "-o", "adapted")
    assert refused.code == 1 and "was trained on section 'A2'" in refused.err and not Path("adapted").exists()
    said = eosin("adapt", ground.ridge, ground.data, "--section", "A1", *flags, "--spots", 5, "-o", "adapted")
    assert said.code == 0, said.err
    assert "ridge: patient A by 5 spots of section A1; in adapted" in said.out
    done = eosin("predict", "adapted", ground.data, "--section", "A1", *flags, "-o", "p.h5ad")
    assert done.code == 0, done.err
    made = read_prediction("p.h5ad")
    assert made.provenance["remarks"]["adapted"] == "to 5 spots of A1"
    Path("spots.csv").write_text("barcode,x\n" + "".join(f"{id_},1\n" for id_ in made.spots.ids[:5]))
    named = eosin("adapt", ground.ridge, ground.data, "--section", "A1", *flags, "--spots", "spots.csv", "-o", "named")
    assert named.code == 0, named.err
    again = eosin("adapt", ground.ridge, ground.data, "--section", "A1", *flags, "-o", "named")
    assert again.code == 1 and "holds a trained model; choose another --out" in again.err
    score = eosin("score", "p.h5ad", ground.data)
    assert score.code == 0 and "LEAK, not a result: ridge was adapted to 5 spots of this section" in score.out
    over = eosin("adapt", ground.ridge, ground.data, "--section", "A1", *flags, "-o", ground.data)
    assert over.code == 1 and "would be written over itself" in over.err
    nearest = ("--match-um", 5, "--match", "nowhere")
    match = eosin("adapt", ground.ridge, ground.data, "--section", "A1", *flags, *nearest, "-o", "many")
    assert match.code == 1 and "nowhere" in match.err
    many = eosin("adapt", ground.ridge, ground.data, "--section", "A1", *flags, "--spots", 10_000, "-o", "many")
    assert many.code == 1 and "spots, not 10000; take 1 to" in many.err
    Path("other.csv").write_text("barcode\nnobody\n")
    other = eosin("adapt", ground.ridge, ground.data, "--section", "A1", *flags, "--spots", "other.csv", "-o", "many")
    assert other.code == 1 and "1 spot of 1 not in section 'A1', first 'nobody'" in other.err


def test_a_file_that_is_no_calibration_is_refused(eosin: Run, ground: Ground) -> None:
    said = eosin("calibrate", ground.prediction, "--apply", ground.ridge / "model.safetensors", "-o", "d.h5ad")
    assert said.code == 1 and "is no calibration of eosin's" in said.err
    folder = eosin("calibrate", ground.prediction, "--apply", ground.ridge, "-o", "d.h5ad")
    assert folder.code == 1 and "is a folder, no calibration" in folder.err


def test_report_without_truth_says_no_scores(eosin: Run, ground: Ground) -> None:
    assert eosin("report", ground.prediction, "-o", "r.html").code == 0
    check_alone(Path("r.html"))


# --- bench --------------------------------------------------------------------------------------------------------


RULES_AT_LENGTH = [("leave-section-out", 4), ("A1:A2;B1:B2", 2)]


def words_of_grid(ground: Ground, out: Path | str) -> tuple[object, ...]:
    given = ("bench", ground.data, "--models", "gene-mean,ridge", "--genes", "var:5", "--encoder", ENCODER)
    return (*given, "--features", ground.features, "--split", "A1,B1:A2,B2", "--seeds", 2, "-o", out)


@pytest.fixture
def grid(ground: Ground) -> tuple[object, ...]:
    return words_of_grid(ground, "out")


@pytest.fixture(scope="module")
def finished(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the finished grid, and what it printed: cells take seconds, so that it is made once."""
    out, printed = tmp_path_factory.mktemp("grid") / "out", io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main([str(word) for word in words_of_grid(ground, out)]) == 0
    return out, printed.getvalue()


@pytest.fixture
def done(finished: tuple[Path, str]) -> Path:
    """A copy of the finished grid that a test may change, as `out`."""
    return Path(shutil.copytree(finished[0], "out"))


def test_bench_writes_scores_and_a_second_run_computes_nothing(
    eosin: Run, grid: tuple[object, ...], finished: tuple[Path, str], done: Path
) -> None:
    printed = finished[1]
    assert "gene-mean" in printed and "A1,B1:A2,B2" in printed
    for word in ("to ridge", "parameters", "MiB per 1,000 spots", "same-patient"):
        assert word in printed
    scores = json.loads(Path("out/scores.json").read_text())
    assert scores["schema"] == 1
    assert [(c["model"], c["seed"]) for c in scores["cells"]] == [
        ("gene-mean", 0),
        ("gene-mean", 1),
        ("ridge", 0),
        ("ridge", 1),
    ]
    for cell in scores["cells"]:
        assert (cell["encoder"], cell["split"], cell["test"]) == (ENCODER, "A1,B1:A2,B2", ["A2", "B2"])
        assert cell["status"] == "done"
        assert cell["seconds"] > 0
        assert cell["note"] == "same-patient" and "leak" not in cell
        assert set(cell["settings"]) >= {"model", "train", "genes", "transform", "draws"}
        pcc = cell["metrics"]["pcc"]
        assert set(pcc) >= {"mean", "pooled", "per_section", "n_constant"}
        assert set(pcc["per_section"]) == {"A2", "B2"}
        assert pcc["mean"] == pytest.approx(np.mean(list(pcc["per_section"].values())))
        assert {"mse", "mae", "rvd", "gsc", "ssc"} <= set(cell["metrics"])
    ridge = [c["metrics"]["pcc"]["mean"] for c in scores["cells"] if c["model"] == "ridge"]
    assert min(ridge) > 0.1
    cells = {path: path.stat().st_mtime_ns for path in (done / "cells").iterdir()}
    assert len(cells) == 4
    again = eosin(*grid)
    assert again.code == 0
    assert {path: path.stat().st_mtime_ns for path in Path("out/cells").iterdir()} == cells
    assert json.loads(Path("out/scores.json").read_text()) == scores


def test_bench_computes_what_is_missing_or_was_asked_otherwise(
    eosin: Run, grid: tuple[object, ...], done: Path
) -> None:
    cells = sorted((done / "cells").iterdir())
    before = {path: path.stat().st_mtime_ns for path in cells}
    lost = next(path for path in cells if path.name.startswith("ridge"))
    lost.unlink()
    assert eosin(*grid).code == 0
    assert lost.is_file()
    assert all(path.stat().st_mtime_ns == before[path] for path in cells if path != lost)
    kept = {path: path.stat().st_mtime_ns for path in cells}
    numbers = json.loads(Path("out/scores.json").read_text())["cells"]
    for path in cells[:2]:
        path.unlink()
    assert eosin(*grid, "--on", "processes:2").code == 0  # elsewhere, the same numbers
    again = json.loads(Path("out/scores.json").read_text())["cells"]
    assert [cell["metrics"] for cell in again] == [cell["metrics"] for cell in numbers]
    assert eosin(*grid, "--draws", 3).code == 0  # another question: nothing of the old answers holds
    assert all(path.stat().st_mtime_ns != kept[path] for path in cells)


def test_bench_in_parts_ends_in_the_scores_of_the_whole(
    eosin: Run, grid: tuple[object, ...], finished: tuple[Path, str]
) -> None:
    first = eosin(*grid, "--shard", "1/3")
    assert first.code == 0 and "cells are not there yet" in first.out and "to ridge" not in first.out
    assert eosin(*grid, "--shard", "3/3").code == 0
    last = eosin(*grid, "--shard", "2/3")
    assert last.code == 0 and "to ridge" in last.out and "not there yet" not in last.out
    whole, parts = (json.loads((out / "scores.json").read_text()) for out in (finished[0], Path("out")))
    assert [cell["metrics"] for cell in parts["cells"]] == [cell["metrics"] for cell in whole["cells"]]
    assert parts["comparisons"] == whole["comparisons"] and set(parts) == set(whole)


def test_a_part_without_cells_says_what_is_missing(eosin: Run, grid: tuple[object, ...]) -> None:
    said = eosin(*grid, "--shard", "9/9")
    assert said.code == 0 and "4 of 4 cells are not there yet" in said.out, said.err


@pytest.mark.parametrize("verb", ["bench", "study"])
def test_places_and_parts_that_cannot_be_are_one_line(eosin: Run, grid: tuple[object, ...], verb: str) -> None:
    given = grid[1:] if verb == "bench" else ("priors", grid[1], "--features", "features", "-o", "out")
    for place in ("here", "processes:2"):
        said = eosin(verb, *given, "--on", place, "--workers", 3)
        assert said.code == 1 and said.complaint.startswith("eosin: --workers and --on both say where cells run")
    assert "give i/N" in eosin(verb, *given, "--shard", "4/3").complaint
    assert not Path("out").exists()


def test_bench_settings_per_model_and_kept_predictions(eosin: Run, grid: tuple[object, ...]) -> None:
    Path("grid.toml").write_text('["ridge".model]\nn_components = 3\n')
    assert eosin(*grid[:-4], "--settings", "grid.toml", "--keep-predictions", "-o", "out").code == 0
    scores = json.loads(Path("out/scores.json").read_text())
    of = {cell["model"]: cell["settings"]["model"] for cell in scores["cells"]}
    assert of["ridge"]["n_components"] == 3
    kept = sorted(Path("out/predictions").rglob("*.h5ad"))
    assert [path.name for path in kept] == ["A2.h5ad", "B2.h5ad"] * 2
    assert read_prediction(kept[0]).section == "A2"


@pytest.mark.usefixtures("done")
def test_report_of_a_grid_stands_alone(eosin: Run) -> None:
    said = eosin("report", "out/scores.json", "-o", "b.html")
    assert said.code == 0, said.err
    assert "ridge" in check_alone(Path("b.html"))


def test_bench_names_the_biomarkers_that_a_panel_lacks(eosin: Run, grid: tuple[object, ...], ground: Ground) -> None:
    gene = read_prediction(ground.prediction).panel.names[0]
    given = [*grid[:-4], "--biomarkers", f"{gene},VWF", "-o", "out"]
    given[given.index("--genes") + 1] = ",".join(read_prediction(ground.prediction).panel.names)
    said = eosin(*given)
    assert said.code == 0, said.err
    assert "biomarkers that are not in every panel: VWF" in said.out
    scores = json.loads(Path("out/scores.json").read_text())
    assert all(list(cell["metrics"]["biomarkers"]["pcc"]) == [gene] for cell in scores["cells"])
    assert eosin("report", "out/scores.json", "-o", "b.html").code == 0
    assert f"{gene}, VWF" in check_alone(Path("b.html"))


def test_report_of_a_study_stands_alone(eosin: Run, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    from eosin.benchmark import studies

    cells = tuple(
        studies.StudyCell(f"K = {k}", "knn", {"model": {"n_neighbours": (k,)}}, line="knn", value=k) for k in (2, 5)
    )
    monkeypatch.setattr(studies, "STUDIES", {"tiny": studies.Study("a small one", "none", cells, "neighbours")})
    beside = ("--features", ground.features, "--encoder", ENCODER, "--genes", "var:5", "--split", "A1,B1:A2,B2")
    assert eosin("study", "tiny", ground.data, *beside, "-o", "s").code == 0
    assert eosin("report", "s/scores.json", "-o", "s.html").code == 0
    text = check_alone(Path("s.html"))
    assert "Study: tiny" in text and "Against neighbours" in text
    assert "paired bootstrap" in text  # a study's own file has no comparisons


@pytest.mark.parametrize(
    ("rule", "n"),
    [("leave-patient-out", 2), *(pytest.param(*more, marks=pytest.mark.long) for more in RULES_AT_LENGTH)],
)
def test_bench_knows_the_split_rules(eosin: Run, grid: tuple[object, ...], rule: str, n: int) -> None:
    given = [*grid[:-4], "-o", "out"]
    given[given.index("--split") + 1] = rule
    given[given.index("--models") + 1] = "gene-mean"
    assert eosin(*given).code == 0
    scores = json.loads(Path("out/scores.json").read_text())
    assert [cell["model"] for cell in scores["cells"]] == ["gene-mean", "ridge"] * n  # the baseline is always there
    assert "was not asked for and was added" in scores["remarks"][0]
    assert all(not set(cell["train"]) & set(cell["test"]) for cell in scores["cells"])


def test_a_failing_cell_is_told_and_the_others_go_on(eosin: Run, grid: tuple[object, ...]) -> None:
    """A network that no machine can hold."""
    Path("grid.toml").write_text('["stflow".model]\nwidth = 1_000_000_000_000\n["stflow".train]\nepochs = 1\n')
    given = [*grid[:-4], "--settings", "grid.toml", "-o", "out"]
    given[given.index("--models") + 1] = "stflow,gene-mean"
    said = eosin(*given)
    assert said.code == 0
    cells = json.loads(Path("out/scores.json").read_text())["cells"]
    assert [(c["model"], c["status"]) for c in cells] == [
        ("stflow", "failed"),
        ("gene-mean", "done"),
        ("ridge", "done"),
    ]
    assert f"failed: stflow A1,B1:A2,B2 seed 0: {cells[0]['error']}" in said.out
    assert "out of memory" in cells[0]["error"]
    kept = {path: path.stat().st_mtime_ns for path in Path("out/cells").iterdir()}
    assert eosin(*given).code == 0  # a failed cell is tried again, and no other
    changed = {path.name.split("-")[0] for path, at in kept.items() if path.stat().st_mtime_ns != at}
    assert changed == {"stflow"}


def test_bench_by_protocol(eosin: Run, grid: tuple[object, ...]) -> None:
    given = list(grid[:-4])
    for flag in ("--genes", "--split"):
        place = given.index(flag)
        del given[place : place + 2]
    Path("mine.toml").write_text(
        'schema = 1\nname = "mine"\nversion = 1\nabout = "x"\ntransform = "log2p1"\n'
        '[split]\nrule = "leave-patient-out"\norigin = "generated"\n[panel]\nrule = "var:4"\n'
        '[score]\nmetrics = ["pcc.pooled"]\n[claims]\nunseen_patients = true\n'
    )
    said = eosin(*given, "--protocol", "mine.toml", "-o", "out")
    assert said.code == 0, said.err
    scores = json.loads(Path("out/scores.json").read_text())
    assert f"protocol mine, version 1, sha256 {scores['protocol']['sha256'][:16]}" in said.out
    assert "pcc.pooled" in said.out and "mean squared error" not in said.out
    assert [(c["split"], c["settings"]["genes"]) for c in scores["cells"][::2]] == [
        ("mine/A", "var:4"),
        ("mine/B", "var:4"),
    ]
    assert all(len(cell["panel"]) == 4 and cell["protocol"]["name"] == "mine" for cell in scores["cells"])
    for flag, value in (("--split", "A1:A2"), ("--genes", "var:3"), ("--transform", "log1p")):
        complaint = eosin(*given, "--protocol", "mine.toml", flag, value, "-o", "other").complaint
        assert "'mine'" in complaint and f"{flag} {value}" in complaint
    assert "has hash" in eosin(*given, "--protocol", "mine.toml@00000000", "-o", "other").complaint
    assert not Path("other").exists()


def test_leaks_are_refused_or_stamped(eosin: Run, grid: tuple[object, ...]) -> None:
    given = [*grid[:-4], "-o", "out"]
    given[given.index("--split") + 1] = "A1,A2:A2"
    assert "is on both sides" in eosin(*given).complaint
    said = eosin(*given, "--allow-leak")
    assert said.code == 0, said.err
    assert "LEAK, not a result: A1,A2:A2: same-section: section 'A2' is on both sides" in said.out
    assert all(cell["leak"] for cell in json.loads(Path("out/scores.json").read_text())["cells"])


def test_a_dry_run_lists_cells_and_writes_nothing(eosin: Run, grid: tuple[object, ...]) -> None:
    said = eosin(*grid, "--dry-run")
    assert said.code == 0, said.err
    assert said.out.count("to run") == 4 and "4 cells, at most about" in said.out
    assert not Path("out").exists()
    unencoded = list(grid)
    place = unencoded.index("--features")
    del unencoded[place : place + 2]
    assert "eosin encode" in eosin(*unencoded, "--dry-run").complaint


def test_protocols_are_listed(eosin: Run) -> None:
    said = eosin("list", "protocols")
    assert said.code == 0
    assert "her2st/stem" in said.out and "hest-bench/stflow-test-selected" in said.out


# --- demo ---------------------------------------------------------------------------------------------------------


def test_demo_writes_what_it_says(eosin: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a smaller cohort than the real one, so that it takes seconds."""
    from eosin.apps import demo
    from eosin.simulation.cohort import simulate

    def smaller(*, seed: int, **of_the_real_one: object):
        return simulate(n_sections=3, n_patients=2, size_um=500, mpp=MPP, n_genes=20, seed=seed)

    monkeypatch.setattr(demo, "simulate", smaller)
    monkeypatch.setattr(demo, "GENES", "var:8")
    said = eosin("demo", "-o", "demo", "--seed", 3)
    assert said.code == 0, said.err
    assert "Simulated 3 sections of 2 patients" in said.out
    assert "90 % intervals for a new patient, from 1 training patient, hold" in said.out
    assert "of 8 genes can be read" in said.out and "The slide is" in said.out
    assert "stflow" in said.out and "ridge" in said.out
    for name in ("scores.json", "prediction.h5ad", "report.html"):
        assert (tmp_path / "demo" / name).is_file()
        assert name in said.out
    check_alone(tmp_path / "demo" / "report.html")
    made = read_prediction("demo/prediction.h5ad")
    assert made.error_bars is not None and made.error_bars.n_patients == 1 and made.trust is not None
    assert files_below(tmp_path)[0] == "demo"  # nothing beside it: no cache in the user's folder
    assert not (tmp_path / "eosin-cache").exists()
    models = {cell["model"] for cell in json.loads(Path("demo/scores.json").read_text())["cells"]}
    assert models == {"gene-mean", "ridge", "stflow"}


def test_tables_in_a_pipe_are_not_broken_into_narrow_columns(eosin: Run, ground: Ground) -> None:
    """Paths must be whole where a script reads them."""
    assert str(ground.image) in eosin("info", ground.data).out


# --- study --------------------------------------------------------------------------------------------------------


def test_study_runs_every_row_beside_the_ridge_and_goes_on_where_it_was(
    eosin: Run, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eosin.benchmark.studies import STUDIES, Study, StudyCell

    rows = tuple(StudyCell(f"k = {k}", "knn", {"model": {"n_neighbours": [k]}}) for k in (2, 9))
    monkeypatch.setattr("eosin.benchmark.studies.STUDIES", {**STUDIES, "few": Study("neighbours", "a test", rows)})
    given = ("study", "few", ground.data, "--genes", "var:5", "--encoder", ENCODER, "--features", ground.features)
    given = (*given, "--split", "A1,B1:A2,B2", "-o", "out")
    said = eosin(*given)
    assert said.code == 0, said.err
    scores = json.loads(Path("out/scores.json").read_text())
    assert [c["model"] for c in scores["cells"]] == ["k = 2", "ridge", "k = 9"]
    pcc = {c["model"]: c["metrics"]["pcc"]["mean"] for c in scores["cells"]}
    assert pcc["k = 2"] != pcc["k = 9"]
    assert "k = 2" in said.out and "k = 9" in said.out
    cells = {path: path.stat().st_mtime_ns for path in Path("out").rglob("cells/*")}
    assert len(cells) == 4  # each row, and the ridge beside it
    assert eosin(*given).code == 0
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("cells/*")} == cells
    for part in ("2/2", "1/2"):
        assert eosin(*given[:-1], "parts", "--shard", part).code == 0
    parts = json.loads(Path("parts/scores.json").read_text())
    assert [(c["model"], c["metrics"]) for c in parts["cells"]] == [(c["model"], c["metrics"]) for c in scores["cells"]]
    assert set(parts) == set(scores)
    assert "compares times on one machine" in eosin("study", "efficiency", "-o", "e", "--shard", "1/2").complaint


def test_study_offers_near_names(eosin: Run, ground: Ground) -> None:
    said = eosin("study", "ablation", ground.data, "-o", "out")
    assert said.code == 1
    assert said.err.startswith("eosin: no study is called 'ablation'; did you mean 'ablations'")
    assert not Path("out").exists()
