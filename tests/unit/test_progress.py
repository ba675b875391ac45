"""Progress: labels, units and notes are text, as they are given."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from eosin.progress import Bars


@pytest.mark.parametrize("text", ["[old]/A1", "[/b]", "[outs/]x"])
def test_brackets_in_labels_units_and_notes_are_no_markup(text: str) -> None:
    bars = Bars()
    screen = StringIO()
    bars._bars.live.console = Console(file=screen, force_terminal=True, width=200)
    with bars.task(text, 3, text) as tick:
        tick(1, note=text)
        bars._bars.refresh()
        shown = Console(file=StringIO(), width=200)
        shown.print(bars._bars.get_renderable())
        assert shown.file.getvalue().count(text) == 3  # type: ignore[attr-defined]
