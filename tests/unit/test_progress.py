"""Progress: labels, units and notes are text as they are given; bars in notebooks; notes beside bars."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from io import StringIO
from types import ModuleType, SimpleNamespace

import pytest
from rich.console import Console

from eosin import progress
from eosin.progress import Bars, Lines, Notes, Silent


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


def test_a_line_counts_one_in_the_singular(capsys: pytest.CaptureFixture[str]) -> None:
    for n in (1, 2):
        with Lines().task("predict A1", 16, "draws") as tick:
            tick(n)
    assert [line.partition(" in ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "predict A1: 1 draw",
        "predict A1: 2 draws",
    ]


def test_notes_and_bars_share_one_console() -> None:
    bars, screen = Bars(), StringIO()
    bars._bars.live.console = Console(file=screen, force_terminal=True, width=60)
    log = logging.getLogger("eosin.test_progress")
    log.addHandler(Notes(bars))
    log.propagate = False
    with bars.task("encode", 2, "tiles") as tick:
        tick()
        log.warning("[old] a note with a path that is longer than the terminal is wide: %s", "x" * 60)
        bars._bars.refresh()
    lines = [line for line in screen.getvalue().splitlines() if "a note" in line]
    assert len(lines) == 1 and "[old] a note" in lines[0]
    assert "encode" not in lines[0].partition("[old]")[2]  # the bar is drawn on a line of its own


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """As if the code ran in a Jupyter kernel with ipywidgets."""
    shell = type("ZMQInteractiveShell", (), {})()
    module = ModuleType("IPython")
    module.get_ipython = lambda: shell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda name: SimpleNamespace())
    monkeypatch.setattr(progress, "_of_notebook", [])
    yield module


def test_a_notebook_has_bars_without_being_asked(notebook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(progress._default(), Bars)
    assert progress._default() is progress._default()
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda name: None)  # without ipywidgets rich warns
    assert isinstance(progress._default(), Silent)


def test_a_shell_has_no_bars_without_being_asked(notebook: ModuleType) -> None:
    notebook.get_ipython = lambda: None  # type: ignore[attr-defined]
    assert isinstance(progress._default(), Silent)
