"""A small model hub on the loopback: lists, redirects, ranges, gates, and connections that break."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Repo:
    """What a repository holds and whom it lets in."""

    files: dict[str, bytes]
    gated: bool = False
    private: bool = False


@dataclass
class Hub:
    """What the server gives, and what it was asked.

    Attributes
    ----------
    repos
        By `datasets/ORG/NAME` or `ORG/NAME`.
    pages
        Plain files outside any repository, by path.
    token
        The one that opens gates.
    cut
        For a file's path, after how many bytes its next download breaks; once.
    claims
        Sizes that a list says instead of the true ones.
    asked
        Method, path and range of every request.
    address, storage
        Where the hub is, and where it sends those who want a file's content: another server, which gets no token.
    """

    repos: dict[str, Repo] = field(default_factory=dict)
    pages: dict[str, bytes] = field(default_factory=dict)
    token: str = "good"
    cut: dict[str, int] = field(default_factory=dict)
    claims: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    address: str = ""
    storage: str = ""
    tokens_leaked: int = 0

    def downloads(self, path: str) -> list[str]:
        """The ranges with which a file's content was asked for."""
        return [spoken for method, asked, spoken in self.asked if method == "GET" and asked == f"/cdn/{path}"]


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serve it on 127.0.0.1, at a port of the system's choice, until the block ends."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
    hub.address, hub.storage = (f"http://127.0.0.1:{one.server_address[1]}" for one in servers)
    threads = [Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True) for one in servers]
    for one in threads:
        one.start()
    try:
        yield hub
    finally:
        for server, one in zip(servers, threads):
            server.shutdown()
            server.server_close()
            one.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        for pattern, method in (
            (r"/api/(?:models/|(datasets/))(.+?)/tree/([^/]+)/?", self._tree),
            (r"/api/(?:models/|(datasets/))(.+?)/auth-check", self._auth),
            (r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self._resolve),
            (r"/cdn/(.+)", self._content),
            (r"/pages/(.+)", self._page),
        ):
            if (found := re.fullmatch(pattern, path)) is not None:
                method(*found.groups())
                return
        self._refuse(404, "RepoNotFound")

    def _open(self, kind: str | None, name: str, *, content: bool = True) -> Repo | None:
        """The repository, if there is one and this token may have it; else the refusal is sent."""
        repo = self.hub.repos.get(f"{kind or ''}{name}")
        right = self.headers.get("Authorization") == f"Bearer {self.hub.token}"
        if repo is None or (repo.private and not right):
            self._refuse(401, "RepoNotFound")
        elif repo.gated and content and not right:
            self._refuse(403 if self.headers.get("Authorization") else 401, "GatedRepo")
        else:
            return repo
        return None

    def _tree(self, kind: str | None, name: str, revision: str) -> None:
        repo = self._open(kind, name, content=False)
        if repo is None:
            return
        if revision not in ("main", COMMIT):
            self._refuse(404, "RevisionNotFound")
            return
        listed = [
            {"type": "file", "path": p, "oid": _etag(c), "size": self.hub.claims.get(p, len(c))}
            for p, c in repo.files.items()
        ]
        folders = sorted({p.rpartition("/")[0] for p in repo.files} - {""})
        listed += [{"type": "directory", "path": folder, "oid": "0" * 40, "size": 0} for folder in folders]
        self._send(200, json.dumps(listed).encode(), {"Content-Type": "application/json"})

    def _auth(self, kind: str | None, name: str) -> None:
        if self._open(kind, name) is not None:
            self._send(200, b"{}", {"Content-Type": "application/json"})

    def _resolve(self, kind: str | None, name: str, revision: str, path: str) -> None:
        repo = self._open(kind, name)
        if repo is None:
            return
        if revision not in ("main", COMMIT) or path not in repo.files:
            self._refuse(404, "EntryNotFound" if revision in ("main", COMMIT) else "RevisionNotFound")
            return
        content = repo.files[path]
        where = f"{self.hub.storage}/cdn/{kind or ''}{name}/{path}"
        facts = {"X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{_etag(content)}"'}
        self._send(302, b"", {**facts, "Location": where})

    def _content(self, path: str) -> None:
        self.hub.tokens_leaked += "Authorization" in self.headers
        for name, repo in self.hub.repos.items():
            if path.startswith(f"{name}/") and path.removeprefix(f"{name}/") in repo.files:
                self._body(path, repo.files[path.removeprefix(f"{name}/")])
                return
        self._refuse(404, "EntryNotFound")

    def _page(self, path: str) -> None:
        if path in self.hub.pages:
            self._body(path, self.hub.pages[path])
        else:
            self._refuse(404, "EntryNotFound")

    def _body(self, path: str, content: bytes) -> None:
        start = 0
        if (spoken := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))) is not None:
            start = int(spoken[1])
        facts = {"ETag": f'"{_etag(content)}"', "Accept-Ranges": "bytes"}
        if start:
            facts["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(206 if start else 200, content[start:], facts, cut=self.hub.cut.pop(path, None))

    def _refuse(self, code: int, error: str) -> None:
        self._send(
            code, b"{}", {"X-Error-Code": error, "X-Error-Message": "refused", "Content-Type": "application/json"}
        )

    def _send(self, code: int, body: bytes, facts: dict[str, str], *, cut: int | None = None) -> None:
        self.send_response(code)
        for key, value in {**facts, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True


def _etag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
