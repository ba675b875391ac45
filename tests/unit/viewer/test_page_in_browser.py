"""The page in a browser without a window; left out where there is none."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from PIL import Image as Picture

from eosin.viewer import Viewing, compose, write_folder
from unit.viewer.conftest import HOSTILE, Make, as_cells

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: the page was not opened")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--enable-logging=stderr"),
)


@dataclass(frozen=True)
class Opened:
    """What a page held and looked like when it was done."""

    dom: str
    log: str
    pixels: np.ndarray

    @property
    def faults(self) -> list[str]:
        return [line for line in self.log.splitlines() if "CONSOLE" in line]


def opened(address: str, folder: Path, size: tuple[int, int] = (1200, 800)) -> Opened:
    picture = folder / "picture.png"
    flags = [*FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={size[0]},{size[1]}"]
    timing = "--virtual-time-budget=12000"
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, *flags, timing, f"--screenshot={picture}", "--dump-dom", address],
        capture_output=True,
        text=True,
        timeout=120,
    )
    pixels = np.asarray(Picture.open(picture).convert("RGB")).astype(int) if picture.exists() else np.zeros((1, 1, 3))
    return Opened(done.stdout, done.stderr, pixels)


def share_of_spots(pixels: np.ndarray) -> float:
    """Share of pixels in the blue-green and yellow of the values: the drawn slide has no blue."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return float(((blue > 90) & (green - red > 40)).mean())


def test_a_folder_opens_from_the_disk(make: Make, tmp_path: Path) -> None:
    with closing(compose(make(), others=[make(seed=1)])) as scene:
        page = write_folder(scene, tmp_path / "view")
    seen = opened(page.as_uri(), tmp_path)
    assert seen.faults == []
    assert 'data-gene="ERBB2"' in seen.dom and "One interval for all spots of this gene" in seen.dom
    assert share_of_spots(seen.pixels) > 0.002


def test_a_served_page_shows_names_as_text(make: Make, tmp_path: Path) -> None:
    with Viewing(compose(make(bars=False))) as viewing:
        seen = opened(viewing.address, tmp_path)
    assert seen.faults == []
    assert 'data-gene="ERBB2"' in seen.dom
    body = re.sub(r"<script defer[^>]*></script>", "", seen.dom)
    assert "<script" not in body.partition("<body")[2] and html.escape(HOSTILE, quote=False) in body
    assert share_of_spots(seen.pixels) > 0.002


def test_a_page_without_slide_and_a_page_for_a_telephone(make: Make, tmp_path: Path) -> None:
    with closing(compose(replace(make(n=1), image=None))) as scene:
        page = write_folder(scene, tmp_path / "view")
    seen = opened(page.as_uri(), tmp_path, (420, 1400))
    assert seen.faults == [] and "no slide" in seen.dom and 'data-gene="ERBB2"' in seen.dom


CHECK = """
(async () => {
  while (!eosin.page?.shownAt) await new Promise((done) => setTimeout(done, 20));
  const { page, regionShapes } = eosin;
  const outer = [[0, 0], [400, 0], [400, 400], [0, 400]], hole = [[100, 100], [300, 100], [300, 300], [100, 300]];
  const far = [[420, 0], [480, 0], [480, 90]];
  const region = page.regions.add([outer, hole, far], "=1+1,\\"x\\"");
  while (!region.done) await new Promise((done) => setTimeout(done, 20));
  const ids = (await page.source.get("ids/0")).facts.ids;
  const canvas = await page.picture.draw(page.grid.panes[0], 400);
  const back = regionShapes.regionsOf({ type: "Feature", geometry: regionShapes.geometryOf(region.rings, 0.5) }, 0.5);
  page.readout.setSpot(page.field.nearest(page.field.xy[10], page.field.xy[11], 5));
  await new Promise((done) => setTimeout(done, 100));
  const told = {
    inside: ids.filter((_, i) => region.mask[i]),
    rows: region.rows,
    geometry: regionShapes.geometryOf(region.rings, 0.5),
    rings: back[0].rings,
    cells: ["=cmd", "-1.5", "a,b", 'q"q', "+x", -2].map(eosin.csvCell),
    picture: [canvas.width, canvas.height, canvas.toDataURL().length],
    readout: page.readout.text.textContent,
    numbers: [0, 1234, 0.5, -0.25, 1e-5, NaN, null].map(eosin.dom.number),
    lengths: [999, 1000, 0.7, 45].map((um) => eosin.dom.niceLength(um).text),
  };
  document.body.setAttribute("data-told", JSON.stringify(told));
})();
"""


def told_by(page: Path, script: str, tmp_path: Path, query: str = "") -> tuple[Opened, Any]:
    """The page opened with one script more, and what that script left in the page's `data-told`."""
    (page.parent / "check.js").write_text(script)
    page.write_text(page.read_text().replace("</body>", '<script defer src="check.js"></script></body>'))
    seen = opened(page.as_uri() + query, tmp_path)
    found = re.search(r'data-told="([^"]*)"', seen.dom)
    assert found, seen.log[-2000:]
    return seen, json.loads(html.unescape(found[1]))


def test_regions_pictures_and_words(make: Make, tmp_path: Path) -> None:
    prediction = make(genes=("A", "B"))
    with closing(compose(prediction)) as scene:
        page = write_folder(scene, tmp_path / "view")
    seen, told = told_by(page, CHECK, tmp_path)
    assert seen.faults == []
    x, y = prediction.spots.xy_um.T
    inside = (x < 400) & (y < 400) & ~((x > 100) & (x < 300) & (y > 100) & (y < 300))
    inside |= (x > 420) & (x < 480) & (y < (x - 420) * 90 / 60)
    assert sorted(told["inside"]) == sorted(np.array(prediction.spots.ids)[inside])
    low, high = prediction.quantile(0.05), prediction.quantile(0.95)
    for j, row in enumerate(told["rows"]):
        mean = prediction.mean[:, j]
        expected = [mean[inside].mean(), mean[~inside].mean(), mean[inside].mean() - mean[~inside].mean()]
        assert [row["inside"], row["outside"], row["difference"]] == pytest.approx(expected, abs=1e-3)
        assert row["insideInterval"] == pytest.approx([low[inside, j].mean(), high[inside, j].mean()], abs=1e-3)
    assert told["geometry"]["type"] == "MultiPolygon"
    assert [len(polygon) for polygon in told["geometry"]["coordinates"]] == [2, 1]  # the hole is in its outline
    assert told["geometry"]["coordinates"][0][0][1] == [800, 0]  # pixels of 0.5 µm
    assert len(told["rings"]) == 3
    assert told["cells"] == ["'=cmd", "-1.5", '"a,b"', '"q""q"', "'+x", "-2"]
    assert told["picture"][0] == 400 and told["picture"][1] > 100 and told["picture"][2] > 5000
    assert told["readout"].startswith("A at <script>") and "predicted" in told["readout"] and "90 %" in told["readout"]
    assert told["numbers"] == ["0", "1234", "0.500", "−0.250", "1.00e−5", "–", "–"]
    assert told["lengths"] == ["500 µm", "1 mm", "500 nm", "20 µm"]


DRAWS = """
(async () => {
  while (!eosin.page?.shownAt) await new Promise((done) => setTimeout(done, 20));
  const draws = new Float32Array([1, 2, 3, 4, 11, 12, 23, 24]);
  const region = { mask: new Uint8Array([1, 1, 0, 0]) };
  const predicted = { mean: new Float32Array([1, 2, 3, 5]) };
  const row = eosin.regionMeans.rowOf("A", null, { predicted, measured: null, draws, nIndependent: 8 }, region);
  document.body.setAttribute("data-told", JSON.stringify(row));
})();
"""


def test_intervals_of_a_region_are_those_of_its_mean_over_draws(make: Make, tmp_path: Path) -> None:
    with closing(compose(replace(make(), image=None))) as scene:
        page = write_folder(scene, tmp_path / "view")
    _, row = told_by(page, DRAWS, tmp_path)
    assert [row["inside"], row["outside"], row["difference"]] == [1.5, 4, -2.5]
    t = scipy.stats.t.ppf(0.95, 8)
    for name, centre, means in (
        ("inside", 1.5, [1.5, 11.5]),
        ("outside", 4, [3.5, 23.5]),
        ("difference", -2.5, [-2, -12]),
    ):
        half = t * np.sqrt(np.mean((np.array(means) - centre) ** 2))  # means of two draws
        assert row[f"{name}Interval"] == pytest.approx([centre - half, centre + half], rel=2e-3)


CANVASES = """
(async () => {
  while (!eosin.page?.shownAt) await new Promise((done) => setTimeout(done, 20));
  const { page } = eosin;
  const { panes } = page.grid;
  while (!panes.every((pane) => pane.drawn)) await new Promise((done) => setTimeout(done, 20));
  const there = () => panes.map((pane) => [pane.discs.canvas, pane.shapes, pane.marks].map((canvas) => !canvas.hidden));
  const told = { drawnBy: panes[0].discs.constructor.name, layers: panes.map((pane) => pane.layer.key) };
  told.plain = there();
  page.readout.setSpot(0);
  told.pointed = there();
  page.readout.left();
  page.lasso.toggle(true);
  told.lasso = there();
  page.lasso.toggle(false);
  page.setOpacity(0);
  told.clear = there();
  page.setOpacity(0.8);
  told.back = there();
  page.slowAt = performance.now();
  page.moving = false;
  told.atRest = page.mostSpots(1e6);
  page.moving = true;
  told.moving = page.mostSpots(1e6);
  document.body.setAttribute("data-told", JSON.stringify(told));
})();
"""


@pytest.mark.parametrize("draw", ["raster", "webgl"])
def test_only_canvases_that_hold_something_are_there(draw: str, make: Make, tmp_path: Path) -> None:
    with closing(compose(make())) as scene:
        page = write_folder(scene, tmp_path / "view")
    _, told = told_by(page, CANVASES, tmp_path, f"?draw={draw}")
    assert told["drawnBy"].lower().startswith(draw)
    assert told["layers"][:2] == ["tissue", "predicted"]
    shown = [[bool(layer != "tissue" and n == 0) for n in range(3)] for layer in told["layers"]]
    assert told["plain"] == told["back"] == shown
    assert told["pointed"] == told["lasso"] == [[*pane[:2], True] for pane in shown]
    assert told["clear"] == [[False] * 3 for _ in shown]
    assert told["atRest"] == 500_000
    assert told["moving"] == (500_000 if draw == "raster" else 8_000)  # only a slow card moves few spots


OUTLINES = """
(async () => {
  while (!eosin.page?.shownAt) await new Promise((done) => setTimeout(done, 20));
  const { page } = eosin;
  const pane = page.grid.panes.find((one) => one.layer.key === "predicted");
  const there = () => [pane.discs.canvas, pane.shapes].map((canvas) => !canvas.hidden);
  while (!pane.drawn || pane.shapes.hidden) await new Promise((done) => setTimeout(done, 20));
  const told = { outlines: there() };
  page.setShape("points");
  told.points = there();
  page.setShape("outlines");
  told.again = there();
  document.body.setAttribute("data-told", JSON.stringify(told));
})();
"""


def test_cells_are_drawn_as_outlines_or_as_discs(make: Make, tmp_path: Path) -> None:
    with closing(compose(as_cells(make())[0])) as scene:
        page = write_folder(scene, tmp_path / "view")
    seen, told = told_by(page, OUTLINES, tmp_path)
    assert told == {"outlines": [False, True], "points": [True, False], "again": [False, True]}
    assert seen.faults == [] and share_of_spots(seen.pixels) > 0.0002
