"""How fast the page of `eosin view` is in a browser without a window: first picture, gene change, moving.

    python benchmarks/viewer_speed.py --spots 100000 1000000
    python benchmarks/viewer_speed.py --spots 100000 --draw webgl
    python benchmarks/viewer_speed.py --spots 100000 --draw webgl --angle

It is moved twice: for 4 s from the moment that the slide is there, while all else still loads, and when it has loaded.
A drawn prediction of 50 genes on a drawn slide is served as `eosin view` serves it, and Chromium is driven through its
debugging protocol. Without a window it draws with the processor: WebGL then is SwiftShader, and the page chooses its
own drawing of discs. With `--angle` the browser puts the whole page together by SwiftShader as well, which is the
slowest that there is: it needs 70 ms for a frame without any spot. Besides the wall clock, the processor time of a
frame is told for the page's process and for the one that puts pictures together: on a busy machine only that says what
a frame needs. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image as Picture

from eosin.types import ErrorBars, GenePanel, Image, Prediction, Spots
from eosin.types.gene_trust import GeneTrust
from eosin.types.likeness import Likeness
from eosin.viewer import Viewing, compose

SIDE_PX, MPP, N_GENES = 6000, 0.5, 50
SIZE = (1400, 900)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *(
        "--disable-component-update",
        "--disable-sync",
        "--remote-debugging-port=0",
        f"--window-size={SIZE[0]},{SIZE[1]}",
    ),
)
GENES = """(async () => {
  const page = eosin.page, times = [];
  for (const k of %s) {
    const begun = performance.now(), before = page.shownAt;
    page.setGene(k);
    while (page.shownAt === before) await new Promise((done) => setTimeout(done, 1));
    times.push(performance.now() - begun);
    await new Promise((done) => setTimeout(done, 200));
  }
  return times;
})()"""
MOVING = """(async () => {
  const page = eosin.page, view = page.grid.active.tissue.viewport;
  page.grid.touched = true;
  const begun = performance.now();
  let n = 0;
  while (performance.now() < begun + 4000) {
    view.panBy(new OpenSeadragon.Point(n++ % 60 < 30 ? 0.004 : -0.004, 0), true);
    await new Promise((done) => requestAnimationFrame(done));
  }
  return [n, performance.now() - begun];
})()"""


LOADING = """(() => {
  globalThis.frames = [];
  let begun = null;
  const step = () => {
    const grid = globalThis.eosin?.page?.grid;
    if (grid?.active?.tissue?.ready) {
      const now = performance.now();
      begun ??= now;
      frames.push(now);
      if (now > begun + 4000) return globalThis.hasMoved = true;
      grid.touched = true;
      const x = frames.length % 60 < 30 ? 0.004 : -0.004;
      grid.active.tissue.viewport.panBy(new OpenSeadragon.Point(x, 0), true);
    }
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})()"""
LONGEST = "frames.reduce((most, at, k) => Math.max(most, k ? at - frames[k - 1] : 0), 0)"


def prediction(n: int, folder: Path) -> Prediction:
    """Waves of expression on a square lattice, on a slide of purple noise."""
    rng = np.random.default_rng(0)
    path = folder / "slide.jpg"
    if not path.exists():
        coarse = rng.integers(120, 240, (SIDE_PX // 40, SIDE_PX // 40, 3)).astype(np.uint8)
        Picture.fromarray(coarse).resize((SIDE_PX, SIDE_PX)).save(path, quality=80)
    side = int(np.ceil(np.sqrt(n)))
    pitch = SIDE_PX * MPP / (side + 1)
    xy = (np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)[:n] + 1) * pitch
    u, v = xy.T / (SIDE_PX * MPP)
    waves = [2 + np.sin(6 * u * (1 + j % 7) + j) * np.cos(5 * v * (1 + j % 5)) for j in range(N_GENES)]
    mean = (np.stack(waves, 1) + rng.normal(0, 0.2, (n, N_GENES))).clip(0).astype(np.float32)
    bars = ErrorBars(np.full(N_GENES, 0.5), np.linspace(0.01, 0.99, 99), np.linspace(-2, 2, 99), 0.0)
    trust = GeneTrust(rng.uniform(0, 0.9, N_GENES), np.full(N_GENES, np.nan), "new patient")
    spots = Spots(xy, pitch * 0.9, tuple(map(str, range(n))))
    names = tuple(f"GENE{j}" for j in range(N_GENES))
    likeness = Likeness(rng.uniform(0.5, 2, n), 1.5, 1.2)
    return Prediction(
        "drawn",
        spots,
        GenePanel(names),
        mean[None],
        "ridge",
        0,
        Image(path, MPP),
        {},
        False,
        mean,
        bars,
        trust,
        likeness,
    )


class Browser:
    """Chromium with one page, driven by its debugging protocol."""

    def __init__(self, program: str, folder: Path, *flags: str) -> None:
        self.profile = str(folder / "profile")
        with open(folder / "chromium.log", "w") as log:
            self.run = subprocess.Popen([program, *FLAGS, *flags, f"--user-data-dir={self.profile}"], stderr=log)
        while not (found := re.search(r"ws://127\.0\.0\.1:(\d+)/", (folder / "chromium.log").read_text())):
            time.sleep(0.1)
        request = urllib.request.Request(f"http://127.0.0.1:{found[1]}/json/new?about:blank", method="PUT")
        address = urlsplit(json.load(urllib.request.urlopen(request))["webSocketDebuggerUrl"])
        self.socket = socket.create_connection((address.hostname, address.port), timeout=120)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (f"GET {address.path} HTTP/1.1", f"Host: {address.netloc}", "Upgrade: websocket", "Connection: Upgrade")
        lines += (f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", "")
        self.socket.sendall("\r\n".join(lines).encode())
        self.stream = self.socket.makefile("rb")
        while self.stream.readline().strip():
            pass
        self.n = 0
        self.ask("Page.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one call of the protocol."""
        self.n += 1
        body = json.dumps({"id": self.n, "method": method, "params": params}).encode()
        size = bytes([254]) + len(body).to_bytes(2, "big") if len(body) > 125 else bytes([128 | len(body)])
        self.socket.sendall(b"\x81" + size + b"\0\0\0\0" + body)  # masked by zeros
        while True:
            answer = json.loads(self._message())
            if answer.get("id") == self.n:
                return answer["result"]

    def _message(self) -> bytes:
        whole = b""
        while True:
            first, size = self.stream.read(2)
            if size >= 126:
                size = int.from_bytes(self.stream.read(2 if size == 126 else 8), "big")
            whole += self.stream.read(size)
            if first & 128:
                return whole

    def value(self, code: str) -> Any:
        """What an expression of the page gives."""
        found = self.ask("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description", "fault in the page"))
        return found["result"].get("value")

    def cpu_ms(self) -> dict[str, float]:
        """Processor time of each kind of process so far, ms."""
        spent: dict[str, float] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                fields = (entry / "stat").read_text().rpartition(") ")[2].split()
            except OSError:
                continue
            if self.profile in words:
                kind = (re.search(r"--type=([\w-]+)", words) or ["", "browser"])[1]
                spent[kind] = spent.get(kind, 0) + 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return spent

    def close(self) -> None:
        """End it."""
        self.run.terminate()
        self.run.wait(20)


def measured(address: str, browser: Browser, draw: str) -> dict[str, str]:
    """One row of the table."""
    browser.ask("Page.addScriptToEvaluateOnNewDocument", source=LOADING)
    browser.ask("Page.navigate", url=address + (f"&draw={draw}" if draw else ""))
    shown = None
    while shown is None:
        time.sleep(0.05)
        shown = browser.value("globalThis.eosin?.page?.shownAt ?? null")
    while not browser.value("globalThis.hasMoved ?? false"):
        time.sleep(0.2)
    n_early, longest = browser.value("frames.length - 1"), browser.value(LONGEST)
    early_ms = browser.value("frames.at(-1) - frames[0]")
    time.sleep(1)
    fresh = browser.value(GENES % list(range(10, 20)))
    again = browser.value(GENES % list(range(16, 20)))
    before = browser.cpu_ms()
    n_frames, took_ms = browser.value(MOVING)
    cpu = {kind: (ms - before.get(kind, 0)) / n_frames for kind, ms in browser.cpu_ms().items()}
    return {
        "drawn by": browser.value("eosin.page.grid.panes[1].discs.constructor.name"),
        "panes": str(browser.value("eosin.page.grid.panes.length")),
        "first map, s": f"{shown / 1000:.2f}",
        "gene change, ms: median (largest)": f"{statistics.median(fresh):.0f} ({max(fresh):.0f})",
        "gene seen before, ms": f"{statistics.median(again):.0f}",
        "moving while it loads, frames/s (longest frame, ms)": f"{1000 * n_early / early_ms:.0f} ({longest:.0f})",
        "moving, frames/s": f"{1000 * n_frames / took_ms:.0f}",
        "processor ms a frame: page, compositor": f"{cpu.get('renderer', 0):.0f}, {cpu.get('gpu-process', 0):.0f}",
        "load of the machine": f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spots", type=int, nargs="+", default=[100_000])
    parser.add_argument("--draw", default="", choices=["", "raster", "webgl"])
    parser.add_argument("--angle", action="store_true", help="the browser, too, draws by SwiftShader")
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    asked = parser.parse_args()
    rows = []
    for n in asked.spots:
        with tempfile.TemporaryDirectory() as place:
            with Viewing(compose(prediction(n, Path(place)))) as viewing:
                gpu = ["--enable-unsafe-swiftshader"] if asked.draw == "webgl" or asked.angle else ["--disable-gpu"]
                gpu += ["--use-angle=swiftshader"] if asked.angle else []
                browser = Browser(asked.chromium, Path(place), *gpu)
                try:
                    rows.append({"spots": f"{n:,}", **measured(viewing.address, browser, asked.draw)})
                finally:
                    browser.close()
    print("|", " | ".join(rows[0]), "|")
    print("|", " | ".join("---" for _ in rows[0]), "|")
    for row in rows:
        print("|", " | ".join(row.values()), "|")


if __name__ == "__main__":
    main()
