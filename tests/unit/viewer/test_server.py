from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.types import Image
from eosin.viewer import Viewing, compose, impatience
from eosin.viewer.gene_vectors import restored, unpack
from eosin.viewer.page_files import SCRIPTS
from unit.viewer.conftest import HOSTILE, Asking, Make

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


def test_the_page_and_its_files_are_there(ask: Asking) -> None:
    status, headers, page = ask("/")
    assert status == 200 and headers["content-type"].startswith("text/html")
    assert headers["cache-control"] == "no-store"
    for name in (*SCRIPTS, "page.css", "start.js"):
        status, headers, body = ask(f"/static/{name}")
        assert status == 200 and body and ("javascript" in headers["content-type"] or "css" in headers["content-type"])
        assert name == "page.css" or f"static/{name}".encode() in page
    assert ask("/static/openseadragon.LICENSE.txt")[0] == 200


def test_the_address_has_a_long_token_and_is_of_this_machine(ask: Asking) -> None:
    assert ask.viewing.address.startswith("http://127.0.0.1:") and len(ask.token) >= 40
    assert ask.viewing._socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("path", ["/", "/static/page.css", "/data/scene", "/tile/0/0/0", "/nothing", "/data/gene/0/0"])
@pytest.mark.parametrize("token", [None, "x", "", "é", "A" * 43])
def test_without_the_token_nothing_is_answered(ask: Asking, path: str, token: str | None) -> None:
    given = {"token": token} if token is None or token != "" else {"token": None}
    status, headers, body = (
        ask(path if token != "" else f"{path}?token=", **given)
        if token != "é"
        else ask(f"{path}?token=%C3%A9", token=None)
    )
    assert status == 403 and b"token" in body and "set-cookie" not in headers


def test_the_token_may_come_as_the_cookie_that_the_page_sets(ask: Asking) -> None:
    cookie = ask("/")[1]["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and str(ask.port) in cookie
    sent = {"Cookie": f"other=1; {cookie.partition(';')[0]}"}
    assert ask("/data/scene", token=None, headers=sent)[0] == 200
    assert ask("/data/scene", token=None, headers={"Cookie": cookie.partition("=")[0] + "=wrong"})[0] == 403
    assert ask("/data/scene", token=None, headers={"Cookie": '"; ;=;' * 50})[0] == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", "", "[::1]"])
def test_another_host_is_refused_even_with_the_token(ask: Asking, host: str) -> None:
    assert ask("/", headers={"Host": host})[0] in (400, 403)


def test_localhost_is_this_machine(ask: Asking) -> None:
    assert ask("/", headers={"Host": f"localhost:{ask.port}"})[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_only_reading_is_answered(ask: Asking, method: str) -> None:
    assert ask("/data/scene", method=method)[0] == 405


def test_every_answer_has_the_headers(ask: Asking) -> None:
    for path, token in (("/", ""), ("/data/scene", ""), ("/nothing", ""), ("/", None)):
        headers = ask(path, token=token)[1]
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy and "server" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/%2e%2e/pyproject.toml",
        "/static/%2fetc%2fpasswd",
        "/static//etc/passwd",
        "/static/index.html%00.js",
        "/data/../../etc/passwd",
        "/data/gene/0/../../scene",
        "/..%5c..%5cetc/passwd",
        "/tile/../../../etc/passwd",
        "//etc/passwd",
        "/static/",
        "/static/colours.js/../../x",
    ],
)
def test_no_path_leads_out(ask: Asking, path: str) -> None:
    status, _, body = ask(path)
    assert status == 404 and b"root:" not in body and b"import" not in body


@pytest.mark.parametrize(
    "name",
    [
        *("gene/0/3", "gene/3/0", "gene/0", "gene/0/-1", "gene/0/1.5", "gene/0/1/2", "gene//1", "gene/0/" + "9" * 9),
        *("gene/0/" + "9" * 5000, "ids/99", "ids/-1", "outlines/0", "distance/0", "scene/1", "", "Scene", "gene/0/٣"),
        *("__class__", "close", "gene/0/1e3", "gene/0/0x1", "gene/%30/1%00"),
    ],
)
def test_unknown_data_is_not_found(ask: Asking, name: str) -> None:
    from urllib.parse import quote

    assert ask(f"/data/{quote(name, safe='/%')}")[0] == 404


@pytest.mark.parametrize(
    "tile",
    ["0/-1/0", "-1/0/0", "99/0/0", "0/0/1", "2/3/0", "0/0/" + "9" * 7, "0/0/" + "9" * 4400, "a/0/0", "1/0/0.5", "0/0"],
)
def test_unknown_tiles_are_not_found(ask: Asking, tile: str) -> None:
    assert ask(f"/tile/{tile}")[0] == 404


def test_what_a_page_is_told(ask: Asking) -> None:
    scene, _ = unpack(ask("/data/scene")[2])
    assert scene["genes"] == ["ERBB2", "GATA3", HOSTILE] and scene["section"] == HOSTILE
    assert scene["trust"] == ["map", "level only", "no"] and scene["sources"] == ["Predicted", "ridge (seed 1)"]
    assert scene["slide"]["mpp"] == 0.5 and scene["interval"] == [0.05, 0.95] and scene["truth"] is None
    shown = ask.viewing.scene.prediction
    assert str(shown.image and shown.image.path.parent) not in json.dumps(scene)  # no path of the disk
    order = ask.viewing.scene.blocks.order
    _, spots = unpack(ask("/data/spots")[2])
    np.testing.assert_allclose(spots["xy_um"].reshape(-1, 2), shown.spots.xy_um[order], rtol=1e-6)
    facts, gene = unpack(ask("/data/gene/0/1")[2])
    np.testing.assert_allclose(restored(gene["mean"], **facts["ranges"]["mean"]), shown.mean[order, 1], atol=1e-4)
    assert unpack(ask("/data/ids/0")[2])[0]["ids"] == [shown.spots.ids[row] for row in order]
    facts, distance = unpack(ask("/data/distance")[2])
    assert shown.likeness is not None
    expected = shown.likeness.distance[order]
    np.testing.assert_allclose(restored(distance["mean"], **facts["ranges"]["mean"]), expected, atol=1e-4)


def test_the_server_outlives_its_slide(ask: Asking) -> None:
    assert ask("/tile/2/0/0")[0] == 200
    image = ask.viewing.scene.prediction.image
    assert image is not None
    image.path.unlink()
    status, _, body = ask("/tile/2/0/0")
    assert status == 410 and b"no longer there" in body and b"/" not in body
    assert ask("/data/gene/0/0")[0] == 200


def test_a_page_without_a_slide(make: Make) -> None:
    with Viewing(compose(replace(make(), image=None))) as viewing:
        ask = Asking(viewing)
        scene, _ = unpack(ask("/data/scene")[2])
        assert scene["slide"] is None and "no slide" in scene["notes"][0]
        assert ask("/tile/0/0/0")[0] == 404


def test_many_at_once_and_slow_ones(ask: Asking) -> None:
    slow = [socket.create_connection(("127.0.0.1", ask.port)) for _ in range(30)]
    for connection in slow:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127")  # and never more
    with ThreadPoolExecutor(24) as pool:
        paths = ["/tile/2/0/0", "/data/gene/0/0", "/data/gene/1/1", "/tile/1/0/0"] * 40
        statuses = {status for status, _, _ in pool.map(ask, paths)}
    assert statuses <= {200, 503} and 200 in statuses
    for connection in slow:
        connection.close()
    assert ask("/data/scene")[0] == 200


def test_what_is_no_http_does_not_end_the_server(ask: Asking) -> None:
    for rubbish in (
        b"\x00" * 4096,
        b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PRI * HTTP/2",
    ):
        with socket.create_connection(("127.0.0.1", ask.port), timeout=10) as connection:
            connection.sendall(rubbish)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65536)
        assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert ask("/data/scene")[0] == 200


def test_a_query_of_many_fields_is_refused(ask: Asking) -> None:
    assert ask("/?" + "&".join(f"a{i}=1" for i in range(50)))[0] == 403


def test_connections_without_a_request_are_closed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(impatience, "REQUEST_S", 0.2)
    monkeypatch.setattr(impatience, "_LOOK_S", 0.05)
    with Viewing(compose(make())) as viewing:
        ask = Asking(viewing)
        with socket.create_connection(("127.0.0.1", ask.port), timeout=20) as connection:
            connection.sendall(b"GET / HT")
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1000) == b""
        assert ask("/data/scene")[0] == 200


def test_it_ends_and_frees_its_port(make: Make) -> None:
    with Viewing(compose(make())) as viewing:
        ask = Asking(viewing)
        port = ask.port
    deadline = time.monotonic() + 10
    with pytest.raises(OSError):
        while time.monotonic() < deadline:
            ask("/")
    with Viewing(compose(make()), port) as again:
        assert Asking(again).port == port


def test_a_port_that_is_taken_or_none(ask: Asking, make: Make) -> None:
    scene = compose(make())
    with pytest.raises(EosinError, match=f"port {ask.port} cannot be used .*leave --port out"):
        Viewing(scene, ask.port)
    for port in (-1, 70000):
        with pytest.raises(EosinError, match="is no port"):
            Viewing(scene, port)
    scene.close()


def test_without_the_packages_of_the_server(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    scene = compose(make())
    with pytest.raises(EosinError, match=r'needs the package uvicorn; .*pip install "eosin\[view\]"'):
        Viewing(scene)
    scene.close()


def test_no_browser_is_no_fault(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)))
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    with Viewing(compose(make())) as viewing:
        assert not viewing.open_browser() and opened == []  # no screen: a browser of text would take the terminal
        monkeypatch.setenv("DISPLAY", ":0")
        assert not viewing.open_browser() and opened == [viewing.address]


def test_a_panel_of_20000_genes(make: Make, image: Image) -> None:
    names = tuple(f"G{i}" for i in range(20_000))
    with Viewing(compose(make(genes=names, n=5))) as viewing:
        ask = Asking(viewing)
        assert len(unpack(ask("/data/scene")[2])[0]["genes"]) == 20_000
        assert ask("/data/gene/0/19999")[0] == 200 and ask("/data/gene/0/20000")[0] == 404


def test_scripts_come_with_the_package_and_hold_no_address() -> None:
    folder = Path(__import__("eosin.viewer", fromlist=["x"]).__file__).parent / "static"
    own = [file for file in folder.iterdir() if not file.name.startswith("openseadragon")]
    assert {file.name for file in own} == {*SCRIPTS[1:], "index.html", "page.css", "start.js", "notebook.js"}
    for file in own:
        text = file.read_text(encoding="utf-8")
        assert "http://" not in text and "https://" not in text and "innerHTML" not in text, file
    assert "Redistribution and use" in (folder / "openseadragon.LICENSE.txt").read_text()
