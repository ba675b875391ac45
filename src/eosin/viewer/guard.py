"""What every request must meet before it is answered: its host, its method, its token; and the headers of answers."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Any, Send], Awaitable[None]]

_NO_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
"""An empty rule, which stands in the place of the one that OpenSeadragon would write into the page."""
_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {_NO_STYLE}; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


class Guard:
    """Lets through GET and HEAD with the right host and token; everything else is refused before it reaches the app.

    The token comes as the query `token`, or as the cookie that the first answer sets. The name of the host is checked,
    so that a page of another site whose name leads to this machine is refused.

    Parameters
    ----------
    app
        What answers.
    token
        The secret.
    port
        Of the server.
    """

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app, self._token, self._cookie = app, token.encode(), f"eosin_view_{port}"
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            await _refuse(send, 403, "this server answers to 127.0.0.1 only")
        elif scope["method"] not in ("GET", "HEAD"):
            await _refuse(send, 405, "GET and HEAD only")
        elif (by_query := self._in_query(scope)) or self._in_cookie(headers):
            await self._app(scope, receive, self._with_headers(send, set_cookie=by_query))
        else:
            await _refuse(send, 403, "open the address that eosin printed, with its token")

    def _in_query(self, scope: Scope) -> bool:
        try:
            given = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=8)
        except ValueError:  # more fields than the page ever sends
            return False
        return any(self._is_token(value) for value in given.get("token", ())[:1])

    def _in_cookie(self, headers: list[tuple[bytes, bytes]]) -> bool:
        for value in [value for name, value in headers if name == b"cookie"][:4]:
            try:
                cookie = SimpleCookie(value.decode("latin-1")).get(self._cookie)
            except CookieError:
                continue
            if cookie is not None and self._is_token(cookie.value):
                return True
        return False

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token)

    def _with_headers(self, send: Send, *, set_cookie: bool) -> Send:
        async def send_on(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                cookie = f"{self._cookie}={self._token.decode()}; HttpOnly; SameSite=Strict; Path=/"
                added = [(b"set-cookie", cookie.encode())] if set_cookie else []
                message["headers"] = [*message.get("headers", []), *HEADERS, *added]
            await send(message)

        return send_on


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = reason.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode()), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
