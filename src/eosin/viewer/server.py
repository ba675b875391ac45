"""The server of one page, on this machine only."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import threading
import webbrowser
from typing import Any

from eosin.errors import EosinError
from eosin.viewer.guard import Guard
from eosin.viewer.impatience import impatient
from eosin.viewer.page_files import TYPES, page_file, page_html
from eosin.viewer.scene import Scene
from eosin.viewer.slide_pyramid import NoSuchTile, NotYet, SlideGone

_HOST = "127.0.0.1"
_AT_ONCE, _WAITING = 4, 200
"""Tiles that are made at a time, and those that may wait for it; more are told to come back. So for genes."""
_MOST_CONNECTIONS = 256
_LONGEST_NAME = 40


class Viewing:
    """A page that is being served; it ends with `close`, or with its `with` block.

    Attributes
    ----------
    address
        What to open, with its token.
    scene
        What the page shows.
    """

    def __init__(self, scene: Scene, port: int = 0) -> None:
        config_of, server_of, app_of = _libraries()
        self.scene, token = scene, secrets.token_urlsafe(32)
        self._socket = _bound(port)
        number = self._socket.getsockname()[1]
        self.address = f"http://{_HOST}:{number}/?token={token}"
        config = config_of(
            Guard(app_of(scene), token, number),
            http=impatient(),
            proxy_headers=False,
            log_level="error",
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=1,
        )
        self._server = server_of(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        if scene.pyramid is not None:
            scene.pyramid.prepare()

    def __repr__(self) -> str:
        return f"Viewing({self.scene.prediction.section!r}, {self.address})"

    def __enter__(self) -> Viewing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open_browser(self) -> bool:
        """Open the page in a browser; False where there is none, or no screen to show it on."""
        screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
        if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in screens):
            return False  # else a browser of text would take the terminal
        with contextlib.suppress(webbrowser.Error, OSError):
            return webbrowser.open(self.address)
        return False

    def wait(self) -> None:
        """Wait until the server ends, or Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            while self._thread.is_alive():
                self._thread.join(0.5)

    def close(self) -> None:
        """End the server and close the slide."""
        self._server.should_exit = True
        self._thread.join(5)
        self._socket.close()
        self.scene.close()


def make_app(scene: Scene) -> Any:
    """The application that answers for a scene, without its guard."""
    import anyio
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    def in_turn() -> Any:
        """Functions run in other threads, a few at a time; None where too many wait already."""
        turn, waiting = anyio.Semaphore(_AT_ONCE), [0]

        async def made(function: Any, *args: Any) -> Any:
            if waiting[0] >= _WAITING:
                return None
            waiting[0] += 1
            try:
                async with turn:
                    return await run_in_threadpool(function, *args)
            finally:
                waiting[0] -= 1

        return made

    data_made, tile_made = in_turn(), in_turn()  # genes do not wait for a slow slide

    def page(_: Request) -> Response:
        return Response(page_html(), media_type="text/html", headers={"cache-control": "no-store"})

    def static(request: Request) -> Response:
        name = request.path_params["name"]
        text = page_file(name)
        if text is None:
            return Response("no such file", 404)
        headers = {"cache-control": "private, max-age=3600"}
        return Response(text, media_type=TYPES[name.rpartition(".")[2]], headers=headers)

    async def data(request: Request) -> Response:
        name = request.path_params["name"]
        if len(name) > _LONGEST_NAME:
            return Response("no such data", 404)
        try:
            message = await data_made(lambda: scene.answer(name) or b"")
        except EosinError as error:
            return Response(error.problem, 500)
        if message is None:
            return _busy(Response)
        if not message:
            return Response("no such data", 404)
        return Response(message, media_type="application/octet-stream", headers={"cache-control": "no-store"})

    async def tile(request: Request) -> Response:
        numbers = [request.path_params[name] for name in ("level", "column", "row")]
        if scene.pyramid is None or not all(text.isdecimal() and len(text) < 8 for text in numbers):
            return Response("no such tile", 404)
        try:
            body = await tile_made(scene.pyramid.tile, *map(int, numbers))
        except NoSuchTile:
            return Response("no such tile", 404)
        except SlideGone:
            return Response("the slide is no longer there", 410)
        except NotYet:
            return Response("it has no reduced levels, and its overview is still being made", 503)
        except (EosinError, OSError, ValueError):
            return Response("the slide cannot be read here", 500)
        if body is None:
            return _busy(Response)
        return Response(body, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    routes = [
        Route("/", page),
        Route("/static/{name}", static),
        Route("/data/{name:path}", data),
        Route("/tile/{level}/{column}/{row}", tile),
    ]
    return Starlette(routes=routes)


def _busy(response: Any) -> Any:
    return response("too many requests at once", 503, headers={"retry-after": "1"})


def _libraries() -> tuple[Any, Any, Any]:
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        fix = 'install them: pip install "eosin[view]"; or write a folder that needs no server: --export DIR'
        raise EosinError(f"the viewer needs the package {error.name}", fix=fix) from error
    return uvicorn.Config, uvicorn.Server, make_app


def _bound(port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise EosinError(f"{port} is no port", fix="give one from 1024 to 65535, or leave --port out")
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((_HOST, port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        fix = "choose another one, or leave --port out for any that is free"
        raise EosinError(f"port {port} cannot be used ({error.strerror})", fix=fix) from error
    return bound
