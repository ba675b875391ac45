"""What is printed is text: brackets in names, texts and paths are never taken for markup."""

from __future__ import annotations

import pytest

from eosin.cli import show

NASTY = ("[outs/]filtered_feature_bc_matrix.h5", "run [old]/A1.h5ad", "a [/b] c", "[red]x[/red]")


@pytest.mark.parametrize("text", NASTY)
def test_brackets_in_every_place_are_printed_as_they_are(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for printed in (
        lambda: show.facts({text: 1}),
        lambda: show.facts({text: {"a": text}}),
        lambda: show.facts({text: [{"a": 1}]}),
        lambda: show.rows([{"name": text}]),
        lambda: show.rows([{text: "value"}]),
        lambda: show.lines([text]),
        lambda: show._table(text, ["a"], [["b"]]),
        lambda: show._table("title", [text], [["b"]]),
        lambda: show._table("title", ["a"], [[text]]),
    ):
        printed()
        assert text in capsys.readouterr().out
