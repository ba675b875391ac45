"""A scene as a widget in a notebook: the same page, and the kernel answers instead of a server."""

from __future__ import annotations

import logging
import sys
from typing import Any

from eosin.errors import EosinError
from eosin.viewer.page_files import page_module, page_rules
from eosin.viewer.scene import Scene
from eosin.viewer.slide_pyramid import NoSuchTile, NotYet, SlideGone

log = logging.getLogger("eosin")
_HEIGHT_PX = 760


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def widget_of(scene: Scene, height_px: int = _HEIGHT_PX) -> Any:
    """The scene as a widget; `close()` of the widget closes the slide.

    Raises
    ------
    EosinError
        anywidget is not there.
    """
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        fix = 'install it: pip install "eosin[view]"'
        raise EosinError(f"a widget needs the package {error.name}", fix=fix) from error

    class SceneWidget(anywidget.AnyWidget):
        """A prediction on its slide."""

        _esm = page_module()
        _css = page_rules()
        height = traitlets.Int(height_px).tag(sync=True)

        def close(self) -> None:
            """Take it from the notebook, and close the slide."""
            super().close()
            scene.close()

    widget = SceneWidget()
    widget.on_msg(lambda _, request, __: _answer(widget, scene, request))
    return widget


def _answer(widget: Any, scene: Scene, request: Any) -> None:
    """Send what a view of the widget asks for, or why there is none."""
    if not isinstance(request, dict) or "id" not in request:
        return
    try:
        message, fault = _message(scene, request), None
    except SlideGone:
        message, fault = None, "the slide is no longer there"
    except NotYet:
        message, fault = None, "it has no reduced levels, and its overview is still being made"
    except (NoSuchTile, EosinError, OSError, ValueError, TypeError) as error:
        message, fault = None, str(error) or "there is no such tile"
    if message is None:
        widget.send({"id": request["id"], "fault": fault or "there is no such data"})
    else:
        widget.send({"id": request["id"]}, [message])


def _message(scene: Scene, request: dict[str, Any]) -> bytes | None:
    if "tile" in request and scene.pyramid is not None:
        level, column, row = map(int, request["tile"])
        return scene.pyramid.tile(level, column, row)
    return scene.answer(str(request.get("data", "")))
