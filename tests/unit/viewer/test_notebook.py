from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from eosin.errors import EosinError
from eosin.viewer import compose, in_notebook, widget_of
from eosin.viewer.gene_vectors import unpack
from eosin.viewer.notebook import _answer
from unit.viewer.conftest import Make


class Wire:
    """Takes what a widget sends."""

    def __init__(self) -> None:
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []

    def send(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        self.sent.append((content, buffers or []))


def test_a_kernel_answers_as_a_server_does(make: Make) -> None:
    scene, wire = compose(make()), Wire()
    _answer(wire, scene, {"id": "a", "data": "gene/0/1"})
    _answer(wire, scene, {"id": "b", "tile": [2, 0, 0]})
    assert [content for content, _ in wire.sent] == [{"id": "a"}, {"id": "b"}]
    assert unpack(wire.sent[0][1][0])[0] == unpack(scene.answer("gene/0/1") or b"")[0]
    assert wire.sent[1][1][0].startswith(b"\xff\xd8")
    scene.close()


@pytest.mark.parametrize(
    "request_",
    [{"data": "no"}, {"data": None}, {"tile": [99, 0, 0]}, {"tile": ["x", 0, 0]}, {"tile": [0]}, {"tile": 3}, {}],
)
def test_what_there_is_not_is_said(make: Make, request_: dict[str, Any]) -> None:
    scene, wire = compose(make()), Wire()
    _answer(wire, scene, {"id": "a", **request_})
    ((content, buffers),) = wire.sent
    assert content["id"] == "a" and content["fault"] and not buffers
    _answer(wire, scene, "rubbish")
    assert len(wire.sent) == 1
    scene.close()


def test_a_slide_that_goes_is_said(make: Make) -> None:
    prediction, wire = make(), Wire()
    scene = compose(prediction)
    assert prediction.image is not None
    prediction.image.path.unlink()
    _answer(wire, scene, {"id": "a", "tile": [2, 0, 0]})
    assert wire.sent[0][0]["fault"] == "the slide is no longer there"
    scene.close()


def test_the_widget_is_one_module(make: Make) -> None:
    pytest.importorskip("anywidget")
    scene = compose(make())
    widget = widget_of(scene, 500)
    assert widget.height == 500 and "export default" in widget._esm and ".eosin-view" in widget._css
    assert widget._esm.count("\nexport ") == 1 and "\nimport " not in widget._esm
    widget.close()


def test_without_anywidget(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    scene = compose(make())
    with pytest.raises(EosinError, match=r'pip install "eosin\[view\]"'):
        widget_of(scene)
    scene.close()


def test_a_notebook_is_a_shell_with_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    for shell, expected in ((None, False), (SimpleNamespace(), False), (SimpleNamespace(kernel=object()), True)):
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert in_notebook() is expected
    monkeypatch.delitem(sys.modules, "IPython")
    assert in_notebook() is False
