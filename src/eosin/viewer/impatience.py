"""Connections that are held open without a request, or without reading an answer, are closed."""

from __future__ import annotations

from typing import Any

REQUEST_S, ANSWER_S = 20.0, 120.0
"""How long a request may take to arrive, and an answer to be read."""
_LOOK_S = 2.0


def impatient() -> type:
    """A protocol of uvicorn that closes connections which wait too long: it has no such limit of its own."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Impatient(H11Protocol):
        """HTTP/1.1 for clients that get on with it."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._known, self._since = self.cycle, self.loop.time()
            self.loop.call_later(_LOOK_S, self._look)

        def _look(self) -> None:
            if self.transport.is_closing():
                return
            if self.cycle is not self._known:  # another request than at the last look
                self._known, self._since = self.cycle, self.loop.time()
            answering = self.cycle is not None and not self.cycle.response_complete
            if self.loop.time() - self._since > (ANSWER_S if answering else REQUEST_S):
                self.transport.abort()
                return
            self.loop.call_later(_LOOK_S, self._look)

    return Impatient
