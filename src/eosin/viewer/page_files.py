"""The files of the page, by name: nothing else of the disk can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

SCRIPTS = (
    "openseadragon.min.js",
    "dom.js",
    "colours.js",
    "source.js",
    "spots.js",
    "layers.js",
    "raster_discs.js",
    "webgl_discs.js",
    "cell_shapes.js",
    "tissue.js",
    "pane.js",
    "pane_grid.js",
    "gene_list.js",
    "controls.js",
    "region_shapes.js",
    "region_means.js",
    "regions.js",
    "lasso.js",
    "readout.js",
    "tables.js",
    "picture.js",
    "keys.js",
    "page.js",
)
"""In the order in which they are loaded."""
TYPES: Mapping[str, str] = {"js": "text/javascript", "css": "text/css", "html": "text/html", "txt": "text/plain"}
_BESIDE = ("index.html", "page.css", "start.js", "openseadragon.LICENSE.txt")
_ALONE = (
    "(function () {{ let define, module, exports;\n{}\nglobalThis.OpenSeadragon = OpenSeadragon; }}).call(globalThis);"
)
"""OpenSeadragon's script within a module, where it finds no loader and has no `this` of its own."""


def page_file(name: str) -> str | None:
    """The text of a file of the page; None for any other name."""
    if name not in SCRIPTS and name not in _BESIDE:
        return None
    return files("eosin.viewer").joinpath("static", name).read_text(encoding="utf-8")


def page_html(data_scripts: tuple[str, ...] = ()) -> str:
    """The page itself; `data_scripts` are loaded before it starts."""
    page = page_file("index.html") or ""
    loaded = [*(f"static/{name}" for name in SCRIPTS), *data_scripts, "static/start.js"]
    tags = "\n".join(f'<script defer src="{name}"></script>' for name in loaded)
    return page.replace("<!-- scripts -->", tags)


def page_module() -> str:
    """The page as one module, as anywidget takes it."""
    texts = [page_file(name) or "" for name in SCRIPTS]
    own = [(files("eosin.viewer").joinpath("static", "notebook.js")).read_text(encoding="utf-8")]
    render = "export default { render: ({ model, el }) => globalThis.eosin.renderIn(model, el) };\n"
    return "\n".join([_ALONE.format(texts[0]), *texts[1:], *own, render])


def page_rules() -> str:
    """The page's rules of style."""
    return page_file("page.css") or ""
