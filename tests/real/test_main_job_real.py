"""The main job on published sections: encode, train on one, predict the next without its counts, score, draw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageFilter

from eosin.errors import EosinError
from eosin.options import DEFAULT_ENCODER
from eosin.types.likeness import UNLIKE

HER2ST = Path(__file__).resolve().parents[2] / "../shared/data/her2st"
pytestmark = [
    pytest.mark.skipif(not HER2ST.is_dir(), reason="no real sections in ../shared/data/her2st"),
    pytest.mark.long,  # the default encoder; `test_encoders_real` predicts a section by a cheaper one
]


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from eosin.cli import main

    folder = tmp_path_factory.mktemp("features")
    given = ["encode", str(HER2ST), "--sections", "C5", "--sections", "C6", "-o", str(folder)]
    assert main(given) == 0
    return folder


@pytest.fixture(scope="module")
def run(features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from eosin.cli import main

    out = tmp_path_factory.mktemp("run")
    given = ["train", str(HER2ST), "--sections", "C5", "--features", str(features), "--model", "ridge", "-o", str(out)]
    assert main(given) == 0
    return out


@pytest.fixture(scope="module")
def prediction(features: Path, run: Path) -> Path:
    """Of C6 with its counts taken away."""
    import eosin

    section = eosin.read(HER2ST, sections=["C6"], features=features)[0]
    bare = replace(section, counts=None, genes=None)
    eosin.predict(run, bare, out=run / "C6.h5ad")
    return run / "C6.h5ad"


def test_a_section_that_was_not_seen_is_predicted(prediction: Path) -> None:
    """The tuned ridge reaches 0.66 from four sections; one is less, and chance is 0."""
    import eosin

    scores = eosin.score(prediction, HER2ST)
    assert scores["n_spots"] == 178 and scores["n_genes"] == 50
    assert scores["pcc"]["mean"] > 0.3


def test_the_command_line_gives_the_same(features: Path, run: Path, prediction: Path, tmp_path: Path) -> None:
    from eosin.cli import main
    from eosin.data import read_prediction

    given = ["predict", str(run), str(HER2ST), "--section", "C6", "--features", str(features)]
    assert main([*given, "-o", str(tmp_path / "p.h5ad")]) == 0
    one, other = read_prediction(tmp_path / "p.h5ad"), read_prediction(prediction)
    assert np.array_equal(one.draws, other.draws)
    assert one.spots.ids == other.spots.ids


def test_scanpy_draws_the_prediction_on_its_image(prediction: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import anndata
    import scanpy
    from matplotlib import pyplot

    adata = anndata.read_h5ad(prediction)
    hires = adata.uns["spatial"]["C6"]["images"]["hires"]
    factor = adata.uns["spatial"]["C6"]["scalefactors"]["tissue_hires_scalef"]
    at = np.round(adata.obsm["spatial"] * factor).astype(int)
    stained = hires[at[:, 1], at[:, 0]].astype(int)
    assert np.median(np.ptp(stained, axis=1)) > 15  # spots lie on coloured tissue, not on glass
    scanpy.pl.spatial(adata, color=adata.var_names[0], show=False)
    assert pyplot.gcf().axes[0].images, "no image under the spots"
    pyplot.close("all")


def test_the_checkpoint_says_where_it_comes_from(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    assert [(s["name"], s["patient"]) for s in config["trained_on"]] == [("C5", "C")]
    assert config["panel"]["chosen_on"] == ["C5"]
    assert config["encoder"] == DEFAULT_ENCODER


CHANGES = {
    "as it is": lambda image: image,
    "hue turned by a third": lambda image: hue_turned(image),
    "blurred by 3 px": lambda image: image.filter(ImageFilter.GaussianBlur(3)),
}


def hue_turned(image: Image.Image) -> Image.Image:
    hue, *others = image.convert("HSV").split()
    return Image.merge("HSV", (hue.point(lambda h: (h + 85) % 256), *others)).convert("RGB")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # the test's own opening of 92 megapixels
@pytest.mark.parametrize("change", CHANGES)
def test_a_slide_that_is_unlike_training_is_told(change: str, run: Path, tmp_path: Path) -> None:
    """C6, a section of the patient of training, as a bare image."""
    import eosin

    image = eosin.read(HER2ST, sections=["C6"])[0].image
    assert image is not None and image.path is not None
    with Image.open(image.path) as picture:
        CHANGES[change](picture.convert("RGB")).save(tmp_path / "slide.png", compress_level=1)
    made = eosin.predict(run, tmp_path / "slide.png", mpp=image.mpp, patient="C", pitch_um=300)
    assert made.likeness is not None
    assert (made.likeness.verdict == UNLIKE) == (change != "as it is"), made.likeness.line()


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_scale_is_told(factor: float, run: Path) -> None:
    import eosin

    image = eosin.read(HER2ST, sections=["C6"])[0].image
    assert image is not None and image.path is not None
    made = eosin.predict(run, image.path, mpp=image.mpp * factor, patient="C", pitch_um=300 * factor)
    assert made.likeness is not None and made.likeness.verdict == UNLIKE, made.likeness


def test_another_tissue_is_told(run: Path, tmp_path: Path) -> None:
    """Colon stained by DAB and haematoxylin: the picture that scikit-image brings along."""
    import eosin

    colon = Image.fromarray(skimage.data.immunohistochemistry()).resize((2048, 2048))
    colon.save(tmp_path / "colon.png")
    made = eosin.predict(run, tmp_path / "colon.png", mpp=0.5)
    assert made.likeness is not None and made.likeness.verdict == UNLIKE
    with pytest.raises(EosinError, match="unlike training"):
        eosin.predict(run, tmp_path / "colon.png", mpp=0.5, strict=True)
