from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from eosin.errors import EosinError
from eosin.reporting import overview_figure, write_report
from eosin.reporting.gathered import truth_values
from eosin.reporting.maps import extent_of, gene_layers, thumbnail_of
from eosin.types import GenePanel, Prediction, Section, Spots

HOSTILE = '"><script src=//x.example></script><img src=http://x.example onerror=alert(1)>'
GENES = ("GOOD", "FAIR", "POOR", "FLAT")


class Tags(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def make(n: int = 36, *, name: str = "A1", model: str = "stflow", draws: int = 4) -> tuple[Prediction, Section]:
    """A section and a prediction of it that is good at the first gene and useless at the third."""
    rng = np.random.default_rng(0)
    side = int(np.sqrt(n))
    xy = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2) * 100.0 + 150
    spots = Spots(xy, 55.0, tuple(f"s{i}" for i in range(len(xy))))
    counts = rng.poisson(6, (len(xy), 4))
    counts[:, 3] = 2
    truth = Section(name, "P", spots, counts=sparse.csr_matrix(counts), genes=GENES)
    noise = rng.standard_normal(counts.shape) * np.array([0.05, 0.4, 9.0, 0.1])
    mean = np.log1p(counts) + noise
    values = mean + 0.3 * rng.standard_normal((draws, *mean.shape))
    return Prediction(name, spots, GenePanel(GENES), values, model, 0, provenance={"seed": 0}), truth


def maps_in(page: str) -> Any:
    """The record that the page's script reads."""
    return json.loads(page.split('<script type="application/json" id="maps">')[1].split("</script>")[0])


def write(tmp_path: Path, **given: Any) -> str:
    return write_report(tmp_path / "report.html", **given).read_text(encoding="utf-8")


def test_the_page_loads_nothing_and_runs_only_its_own_script(tmp_path: Path) -> None:
    prediction, truth = make()
    page = write(tmp_path, predictions=[prediction], truth=[truth], scores={"stflow": {"pcc": 0.4}})
    assert "://" not in page
    for tag, attributes in Tags(page).tags:
        assert tag not in {"link", "iframe", "object", "embed"}
        assert (attributes.get("src") or "data:image/jpeg;base64,").startswith("data:image/jpeg;base64,")
        assert "href" not in attributes and not any(name.startswith("on") for name in attributes)
    (policy,) = [attributes.get("content") or "" for _, attributes in Tags(page).tags if "http-equiv" in attributes]
    assert "default-src 'none'" in policy
    ran = page.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(ran.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and page.count("<script>") == 1


def test_every_string_from_outside_is_escaped(tmp_path: Path) -> None:
    prediction, truth = make()
    panel = GenePanel((HOSTILE, *GENES[1:]), rule=HOSTILE, chosen_on=(HOSTILE,))
    prediction = replace(prediction, section=HOSTILE, model=HOSTILE, panel=panel, provenance={HOSTILE: HOSTILE})
    truth = replace(truth, name=HOSTILE, genes=panel.names)
    page = write(
        tmp_path,
        predictions=[prediction],
        truth=[truth],
        scores={HOSTILE: {"pcc": {"mean": 0.5, "per_section": {HOSTILE: 0.5}}}},
        thumbnails={HOSTILE: (np.zeros((9, 9, 3), np.uint8), 100.0)},
        title=HOSTILE,
        settings={HOSTILE: HOSTILE},
        notes=[HOSTILE],
        when=HOSTILE,
    )
    clean = Tags(page)
    assert HOSTILE in clean.text
    assert [tag for tag, _ in clean.tags].count("script") == 2  # the data and the page's own
    assert not any("onerror" in attributes for _, attributes in clean.tags)
    assert maps_in(page)["genes"][1:] and HOSTILE in maps_in(page)["genes"]


def test_without_truth_it_says_so_and_shows_no_score(tmp_path: Path) -> None:
    prediction, _ = make()
    page = Tags(write(tmp_path, predictions=[prediction]))
    assert "for research only" in page.text.split("Does it beat")[0]  # unfolded, before all else
    assert "No measured expression was given" in page.text and "Not known: no measured values" in page.text
    assert "svg" not in {tag for tag, _ in page.tags} and "Without measured values" in page.text
    heads = [attributes.get("title") for tag, attributes in page.tags if tag == "th" and "title" in attributes]
    assert heads == ["half the width of the 90 % interval"]


def test_one_draw_has_no_error_bars(tmp_path: Path) -> None:
    prediction, truth = make(draws=1)
    page = Tags(write(tmp_path, predictions=[prediction], truth=[truth]))
    assert "svg" not in {tag for tag, _ in page.tags}
    assert "no error bars" in page.text and "inside 90 %" not in page.text.split("Conventions")[0]
    assert [layer.title for layer in gene_layers(prediction, "GOOD", None)] == ["predicted mean"]


def test_all_genes_are_there_those_asked_for_first_then_the_best(tmp_path: Path) -> None:
    prediction, truth = make()
    page = write(tmp_path, predictions=[prediction], truth=[truth], genes=["FLAT"])
    order = ["FLAT", "GOOD", "FAIR", "POOR"]
    assert maps_in(page)["genes"] == order
    assert re.findall(r'<tr data-place="\d+" data-trust=""><th scope="row">(\w+)', page) == order
    assert "FLAT on section A1" in page  # the picture without scripts
    assert maps_in(write(tmp_path, predictions=[prediction], truth=[truth]))["genes"][0] == "GOOD"


def test_truth_is_matched_by_spot_id_not_by_row() -> None:
    prediction, truth = make()
    shuffled = truth.take(np.random.default_rng(1).permutation(len(truth)))
    np.testing.assert_array_equal(truth_values(prediction, shuffled), truth_values(prediction, truth))


def test_truth_and_mean_share_their_colour_range() -> None:
    prediction, truth = make()
    measured, mean, sd = gene_layers(prediction, "FAIR", truth_values(prediction, truth)[:, 1])
    assert (measured.low, measured.high) == (mean.low, mean.high)
    assert sd.low == 0 and (sd.low, sd.high) != (mean.low, mean.high)


def test_a_constant_map_still_has_a_range() -> None:
    prediction, _ = make()
    layer = gene_layers(replace(prediction, draws=np.ones_like(prediction.draws)), "FLAT", None)[0]
    assert layer.low < 1 < layer.high


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"predictions": []}, "nothing to report"),
        ({"genes": ["NOPE"]}, "'NOPE'"),
        ({"predictions": [make()[0].of_spots(np.arange(0))], "truth": []}, "has no spots"),
        ({"predictions": [make()[0], make()[0]]}, "two predictions"),
        (
            {"predictions": [make()[0], replace(make()[0], section="B", panel=GenePanel(("a", "b", "c", "d")))]},
            "panels",
        ),
        ({"truth": [make(25)[1]]}, "lacks 11 of 36"),
    ],
)
def test_what_does_not_fit_is_one_line_and_leaves_no_file(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    prediction, truth = make()
    with pytest.raises(EosinError, match=says):
        write(tmp_path, **{"predictions": [prediction], "truth": [truth]} | change)
    assert list(tmp_path.iterdir()) == []


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    prediction, truth = make()
    given: dict[str, Any] = {"predictions": [prediction], "truth": [truth], "when": "today"}
    assert write(tmp_path, **given) == write(tmp_path, **given)


def test_says_which_sections_are_not_scored_and_that_tissue_is_synthetic(tmp_path: Path) -> None:
    (first, truth), (second, _) = make(), make(name="B1")
    text = Tags(write(tmp_path, predictions=[first, second], truth=[replace(truth, platform="synthetic")])).text
    assert "Not measured, so not scored: B1." in text
    assert "synthetic tissue" in text


def test_the_baseline_that_wins_is_recommended(tmp_path: Path) -> None:
    prediction, truth = make()
    ridge, _ = make(model="ridge", draws=1)
    scores = {"stflow": {"pcc": {"mean": 0.4}}, "ridge": {"pcc": {"mean": 0.5}}}
    page = write(tmp_path, predictions=[prediction, ridge], truth=[truth], scores=scores)
    assert "A tie with the ridge" in page and "Predicted by ridge" in page  # equal predictions, whatever was scored
    assert '<td class="best">0.500</td>' in page and '<td class="best">0.400</td>' not in page


def test_many_sections_stay_a_page(tmp_path: Path) -> None:
    predictions = [make(name=f"S{i}")[0] for i in range(7)]
    page = write(tmp_path, predictions=predictions)
    assert "The first 5 of 7 sections are drawn." in page
    assert [section["name"] for section in maps_in(page)["sections"]] == ["S0", "S1", "S2", "S3", "S4"]
    assert len(page) < 1_000_000


def test_thumbnails_are_made_small_and_keep_their_scale() -> None:
    image = np.zeros((3000, 1500, 4), np.uint8)
    image[:, 750:] = 200
    small, um_per_px = thumbnail_of({"A": (image, 0.5)}, "A") or (np.zeros(0), 0.0)
    assert small.shape == (1000, 500, 3) and um_per_px == 1.5
    assert small[0, 0, 0] == 0 and small[0, -1, 0] == 200
    assert thumbnail_of({"A": (image, 0.5)}, "B") is None


def test_maps_keep_within_the_image() -> None:
    prediction, _ = make()
    left, right, top, bottom = extent_of(prediction.spots, (np.zeros((70, 70, 3), np.uint8), 10.0))
    assert (left, top) == (30.0, 30.0) and (right, bottom) == (700.0, 700.0)


def test_overview_has_a_row_per_gene_and_the_tissue_in_its_place() -> None:
    import imagecodecs

    prediction, truth = make()
    image = np.full((800, 800, 3), 255, np.uint8)
    image[:400, :400] = (200, 0, 0)  # top left: a picture upside down would show it elsewhere
    one, two = (
        imagecodecs.png_decode(overview_figure(prediction, GENES[:n], truth=truth, thumbnail=(image, 1.0), dpi=60))
        for n in (1, 2)
    )
    assert two.shape[0] == pytest.approx(2 * one.shape[0], abs=2) and two.shape[1] == one.shape[1]
    red = np.argwhere((one[..., 0] > 180) & (one[..., 1] < 20) & (one[..., 2] < 20))
    assert red[:, 0].mean() < one.shape[0] * 0.55 and red[:, 1].mean() < one.shape[1] * 0.15
    with pytest.raises(EosinError, match="NOPE"):
        overview_figure(prediction, ["NOPE"])


def test_one_spot_is_enough(tmp_path: Path) -> None:
    prediction, truth = make()
    one = replace(prediction, spots=prediction.spots.take(np.array([0])), draws=prediction.draws[:, :1])
    page = write(tmp_path, predictions=[one], truth=[truth])
    assert "No gene varies" in page and "Not known: no ridge beside it" in page


def test_a_leak_that_the_file_knows_is_said_first(tmp_path: Path) -> None:
    prediction, truth = make()
    stamp = {"name": "p", "version": 3, "sha256": "cd" * 32, "selection": "test"}
    stamps = {"split": "x/A1", "note": "same-patient", "leak": ["selection: on the test"], "protocol": stamp}
    leaky = replace(prediction, provenance={"trained_on": ["B1"], "benchmark": stamps})
    page = write(tmp_path, predictions=[leaky], truth=[truth])
    top = page.split("<h2>")[0]
    assert "LEAK, not a result: selection: on the test" in top and "same-patient: x/A1" in top
    assert "p, version 3, sha256 " + "cd" * 32 in page
    own = replace(prediction, provenance={"trained_on": ["A1"]})
    assert "was trained on section A1" in write(tmp_path, predictions=[own], truth=[truth]).split("<h2>")[0]
    chosen = replace(prediction, panel=replace(prediction.panel, chosen_on=("A1",)))
    assert "the genes were chosen with section A1" in write(tmp_path, predictions=[chosen], truth=[truth])
    honest = replace(prediction, provenance={"trained_on": ["B1"]})
    assert "LEAK" not in write(tmp_path, predictions=[honest], truth=[truth])


def test_domains_and_biomarkers_of_a_score_are_shown_by_name(tmp_path: Path) -> None:
    prediction, truth = make()
    scores = {
        "stflow": {
            "pcc": {"mean": 0.4},
            **{"ari": 0.21, "ari_expected": 0.43, "nmi": 0.31, "nmi_expected": 0.53, "deg_overlap_20": 0.61},
            "biomarkers": {"mean": 0.7, "pcc": {"GOOD": 0.71}, "missing": ["VWF", "GATA3"]},
            "pathways": {"correlation": 0.81, "difference": 0.1, "sets": {"HYPOXIA": {"correlation": 0.83}}},
        }
    }
    text = Tags(write(tmp_path, predictions=[prediction], truth=[truth], scores=scores)).text
    for part in (
        "Domains and marker genes",
        "0.210",
        "0.430",
        "0.530",
        "0.610",
        "0.710",
        "HYPOXIA",
        "0.830",
        "Not in the panel: VWF, GATA3.",
    ):
        assert part in text, part
