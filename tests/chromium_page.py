"""A page in headless Chromium, steered over a pipe: widths, what runs over them, and what the console says.

The network is cut: no name is resolved. Without Chromium `need_chromium` skips the test with a line.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-extensions --disable-dev-shm-usage --hide-scrollbars "
    "--force-color-profile=srgb --mute-audio --remote-debugging-pipe --host-resolver-rules=MAP\x00*\x00~NOTFOUND"
)
_START = """import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 20) for end in sys.argv[1:3]]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])"""
"""Chromium reads from descriptor 3 and writes to 4."""
OVERFLOWS = """(() => {
  const wide = document.documentElement.clientWidth, out = [];
  for (const e of document.querySelectorAll("body *")) {
    if (e.closest(".scroll, .charts .card, svg, .field") && !e.matches(".scroll, .charts .card")) continue;
    const box = e.getBoundingClientRect();
    if (box.width && getComputedStyle(e).position !== "absolute" && (box.right > wide + 1 || box.left < -1))
      out.push(e.tagName + "." + e.className + " " + Math.round(box.left) + " to " + Math.round(box.right));
  }
  return {page: document.documentElement.scrollWidth, wide, out: out.slice(0, 8)};
})()"""
"""What is wider than the page: the page as a whole, and elements that are not inside one that scrolls."""
SMALLEST_TEXT = """(() => {
  let least = [99, ""];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || e.closest("script, style, .unseen, details:not([open])")) continue;
    if (!e.getClientRects().length) continue;
    const px = parseFloat(getComputedStyle(e).fontSize);
    if (px < least[0]) least = [px, e.tagName + "." + e.className + " " + walker.currentNode.textContent.slice(0, 40)];
  }
  return least;
})()"""
"""The smallest text that is seen, px, and where."""


def chromium() -> str | None:
    """Where Chromium is; None where it is not."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def need_chromium() -> None:
    """Skip a test where there is no Chromium."""
    if chromium() is None:
        pytest.skip("no Chromium here; `make test` installs it as root on Debian")


class Tab:
    """A tab of a browser that was started for it.

    Attributes
    ----------
    errors
        Errors that the console told: exceptions, refused policies, what could not be loaded.
    requests
        Addresses that were asked for, but for the page itself and `data:`.
    """

    def __init__(self, read: int, write: int):
        self._read, self._write, self._n, self._rest = read, write, 0, b""
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = None
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def _call(self, method: str, given: dict[str, Any] | None = None, *, limit: float = 60) -> dict[str, Any]:
        self._n += 1
        message: dict[str, Any] = {"id": self._n, "method": method, "params": given or {}}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0") if len(str(message)) < 60_000 else self._long(
            message
        )
        end = time.monotonic() + limit
        while True:
            answer = self._message(end)
            if answer.get("id") == self._n:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def _long(self, message: dict[str, Any]) -> None:
        left = json.dumps(message).encode() + b"\0"
        while left:
            left = left[os.write(self._write, left) :]

    def _message(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._read], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            piece = os.read(self._read, 1 << 20)
            if not piece:
                raise RuntimeError("Chromium ended")
            self._rest += piece
        first, _, self._rest = self._rest.partition(b"\0")
        return json.loads(first)

    def _note(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.errors.append(str(details.get("exception", {}).get("description", details.get("text"))))
        elif event.get("method") == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.errors.append(str(told["entry"]["text"]))
        elif event.get("method") == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert", "warning"):
            self.errors.append(json.dumps(told["args"])[:300])
        elif event.get("method") == "Network.requestWillBeSent":
            address = told["request"]["url"]
            if not address.startswith(("data:", "file:", "about:", "blob:")):
                self.requests.append(address)

    def open(
        self, page: Path, width: int, height: int = 900, *, dark: bool = False, scripts: bool = True, media: str = ""
    ) -> None:
        """Show a page at a width, or as it is printed (`media="print"`); errors and requests begin anew."""
        self.errors, self.requests = [], []
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._call("Emulation.setEmulatedMedia", {"media": media, "features": scheme})
        self._call("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self._call("Page.navigate", {"url": page.resolve().as_uri()})
        for _ in range(200):
            if self.run("document.readyState + location.protocol") == "completefile:":
                break
            time.sleep(0.05)
        time.sleep(0.3)  # observers of sizes, and what they draw

    def run(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        given = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self._call("Runtime.evaluate", given)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def picture(self, *, whole: bool = False) -> bytes:
        """A screenshot as PNG; of the first screen, or of the whole page."""
        given: dict[str, Any] = {"format": "png"}
        if whole:
            size = self._call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 12_000), "scale": 1}
            given |= {"captureBeyondViewport": True, "clip": clip}
        return base64.b64decode(self._call("Page.captureScreenshot", given)["data"])


@contextmanager
def tab() -> Iterator[Tab]:
    """A tab in a browser of its own, which is ended with it."""
    found = chromium()
    assert found is not None
    to_child, ours_out = os.pipe()
    ours_in, from_child = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        flags = [flag.replace("\x00", " ") for flag in _FLAGS.split(" ")]
        process = subprocess.Popen(
            [sys.executable, "-c", _START, str(to_child), str(from_child), found, *flags, f"--user-data-dir={home}"],
            pass_fds=(to_child, from_child),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home},
        )
        os.close(to_child)
        os.close(from_child)
        try:
            yield Tab(ours_in, ours_out)
        finally:
            process.kill()
            process.wait(20)
            os.close(ours_in)
            os.close(ours_out)
