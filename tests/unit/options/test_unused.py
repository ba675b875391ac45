"""An option that would be passed over in silence is found; one that was not given is not."""

from __future__ import annotations

from dataclasses import dataclass

from eosin.options.unused import unused_options


@dataclass(frozen=True)
class Options:
    name: str | None = None
    parts: tuple[str, ...] = ()
    scale: float | None = None


def test_options_that_are_set_and_not_taken_are_named_in_order() -> None:
    assert unused_options(Options(), set()) == []
    assert unused_options(Options("a", ("b",)), {"name", "parts"}) == []
    assert unused_options(Options("a", ("b",), 0.0), {"parts"}) == ["name", "scale"]
