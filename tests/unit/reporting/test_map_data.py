"""What the script of a page draws: every value within half a step of the true one, and never more than fits."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from eosin.reporting import write_report
from eosin.reporting.gathered import gather
from eosin.reporting.gene_rows import gene_numbers
from eosin.reporting.map_data import MOST_GENES, MOST_VALUES, MapData, map_data
from eosin.types import ErrorBars, GenePanel, Likeness, Prediction, Section, Spots


def case(n: int, g: int, *, draws: int = 1, truth: bool = True) -> tuple[Prediction, list[Section]]:
    rng = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(n)))
    xy = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[:n] * 100.0 + 300
    spots = Spots(xy, 55.0, tuple(map(str, range(n))))
    names = tuple(f"G{j}" for j in range(g))
    mean = rng.gamma(2, 1, (draws, n, g)).astype(np.float32)
    made = Prediction("A1", spots, GenePanel(names), mean, "kernel", 0)
    counts = sparse.csr_matrix(rng.poisson(3, (n, g)).astype(np.float32)) if truth else None
    return made, [Section("A1", "P", spots, counts=counts, genes=names)] if truth else []


def maps_of(made: list[Prediction], truth: list[Section], **more: Any) -> MapData:
    run = gather(made, truth)
    return map_data(run, gene_numbers(run, {}).order(run), more.pop("thumbnails", {}), **more)


def decoded(text: str, kind: str = "u1") -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=f"<{kind}")


def test_values_come_back_within_half_a_step_and_places_within_a_hair() -> None:
    made, truth = case(100, 7)
    found = maps_of([made], truth)
    (section,) = found.record["sections"]
    assert [layer["key"] for layer in section["layers"]] == ["mean", "truth"]
    low, high = np.array(section["ranges"]).T
    steps = decoded(section["layers"][0]["values"]).reshape(7, 100).astype(float)
    shown = low[:, None] + steps / 254 * (high - low)[:, None]
    true = np.clip(made.mean[:, found.columns].T, low[:, None], high[:, None])
    assert (np.abs(shown - true) <= 0.51 / 254 * (high - low)[:, None] + 2e-3).all()
    places = decoded(section["places"], "u2").reshape(100, 2) / 65535 * section["size"]
    offset = made.spots.xy_um - places
    assert np.ptp(offset, axis=0).max() < 0.1
    assert section["width"] == 55.0 and section["widths"] is None


def test_an_unknown_value_has_a_step_of_its_own() -> None:
    made, truth = case(25, 2)
    run = gather([made], truth)
    run.truth["A1"][3, :] = np.nan
    found = map_data(run, [0, 1], {})
    steps = decoded(found.record["sections"][0]["layers"][1]["values"]).reshape(2, 25)
    assert (steps[:, 3] == 255).all() and (np.delete(steps, 3, 1) < 255).all()


def test_a_map_of_the_sd_is_there_only_where_it_differs_by_spot() -> None:
    made, truth = case(25, 2, draws=4)
    assert [layer["key"] for layer in maps_of([made], truth).record["sections"][0]["layers"]] == ["mean", "truth", "sd"]
    bars = ErrorBars(np.ones(2), np.array([0.05, 0.95]), np.array([-1.0, 1.0]))
    barred = replace(made, error_bars=bars, likeness=Likeness(np.ones(25), 2.0, 2.0))
    section = maps_of([barred], truth).record["sections"][0]
    assert [layer["key"] for layer in section["layers"]] == ["mean", "truth"]
    assert section["limits"] == [0, 4.0, 2.0] and (decoded(section["distance"]) == round(254 / 4)).all()


def test_other_models_share_the_range_of_the_first() -> None:
    made, truth = case(25, 2)
    other = replace(made, model="ridge", draws=made.draws * 3)
    section = maps_of([made, other], truth).record["sections"][0]
    assert [layer["title"] for layer in section["layers"]] == ["Predicted by kernel", "Measured", "Predicted by ridge"]
    assert section["ranges"][0][1] > maps_of([made], truth).record["sections"][0]["ranges"][0][1]


def test_very_many_spots_are_thinned_and_very_many_genes_are_left_out_and_both_are_said() -> None:
    many, none = case(60_000, 50, truth=False)
    found = maps_of([many], none)
    n = len(decoded(found.record["sections"][0]["places"], "u2")) // 2
    assert 5_000 < n <= 20_000 and len(found.columns) == 50
    assert found.notes == [f"{n:,} of 60,000 spots are drawn, evenly chosen and enlarged; numbers are of all."]
    assert found.record["sections"][0]["width"] == pytest.approx(55 * np.sqrt(60_000 / n))
    wide, measured = case(30, 3_000)
    found = maps_of([wide], measured)
    assert len(found.columns) == MOST_GENES and "1,000 of 3,000 genes are on this page" in found.notes[0]
    few = maps_of([wide], measured, most_values=30 * 2 * 60)
    assert len(few.columns) == 60


def test_a_page_of_5000_spots_and_50_genes_beside_the_ridge_is_under_2_mb(tmp_path: Path) -> None:
    made, truth = case(5_000, 50)
    noise = np.random.default_rng(0).integers(0, 255, (1200, 1200, 3), dtype=np.uint8)
    slide = (noise // 3 + 120, 6.5)  # no slide is as hard to compress
    page = write_report(
        tmp_path / "x.html",
        predictions=[made, replace(made, model="ridge", draws=made.draws + 1)],
        truth=truth,
        thumbnails={"A1": slide},
    )
    assert page.stat().st_size < 2_000_000
    assert MOST_VALUES >= 5_000 * 50 * 3


def test_the_slide_is_cropped_to_the_spots_and_stays_in_place() -> None:
    import io

    from PIL import Image

    made, truth = case(25, 2)
    image = np.full((100, 100, 3), 255, np.uint8)
    image[30:50, 30:50] = (200, 0, 0)  # 300 to 500 µm, where the first spots lie
    section = maps_of([made], truth, thumbnails={"A1": (image, 10.0)}).record["sections"][0]
    slide = np.asarray(Image.open(io.BytesIO(base64.b64decode(section["slide"].split(",")[1]))))
    assert section["size"] == [slide.shape[1] * 10.0, slide.shape[0] * 10.0]
    x, y = decoded(section["places"], "u2").reshape(-1, 2)[0] / 65535 * (slide.shape[1], slide.shape[0])
    red = slide[int(y) + 2, int(x) + 2].astype(int)
    assert red[0] > 150 and red[1] < 80


def test_spots_outside_the_image_are_not_drawn_and_an_image_of_another_slide_is_left_out(tmp_path: Path) -> None:
    made, truth = case(25, 2)  # from 300 to 700 µm
    narrow = (np.full((80, 55, 3), 200, np.uint8), 10.0)  # 550 µm wide
    found = maps_of([made], truth, thumbnails={"A1": narrow})
    n = int((made.spots.xy_um[:, 0] <= 550).sum())
    assert 0 < n < 25 and len(decoded(found.record["sections"][0]["places"], "u2")) == 2 * n
    assert f"{25 - n} of 25 spots lie outside the slide's image and are not drawn." in found.notes
    other = {"A1": (np.full((20, 20, 3), 200, np.uint8), 10.0)}
    page = write_report(tmp_path / "x.html", predictions=[made], truth=truth, thumbnails=other).read_text("utf-8")
    assert "does not lie under its spots" in page and '"slide":null' in page
