"""Settings of the documentation site: `make docs` writes it to docs/_build/html.

The site needs no network, neither while it is built nor while it is read.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT / "src"))

import eosin  # noqa: E402

project = "eosin"
author = "The eosin developers"
copyright = author
release = version = eosin.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "cyclopts.sphinx_ext"]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
root_doc = "index"
language = "en"
smartquotes = False  # -- in the help of commands is no dash

# ---- pages in Markdown
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

# ---- tutorials: run when the site is built, and again only when their cells change
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS / "_build" / "tutorials")
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_ipywidgets_js = {}  # by default scripts of other hosts

# Features are encoded once for all tutorials. Bars of progress move, and a page does not: without ipywidgets, none.
BUILD = DOCS / "_build"
os.environ["EOSIN_CACHE"] = str(BUILD / "features")
os.environ["IPYTHONDIR"] = str(BUILD / "ipython")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
profile = BUILD / "ipython" / "profile_default"
(profile / "startup").mkdir(parents=True, exist_ok=True)
(profile / "startup" / "00-no-bars.py").write_text(
    "import sys, warnings\n\n"
    "sys.modules['ipywidgets'] = None\n"
    "warnings.filterwarnings('ignore', message='IProgress not found')\n",
    encoding="utf-8",
)
(profile / "ipython_kernel_config.py").write_text("get_config().IPKernelApp.log_level = 40\n", encoding="utf-8")

# ---- reference, from docstrings in numpydoc's style
default_role = "literal"  # `name` in a docstring is code
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
add_module_names = False

# ---- look
html_theme = "sphinx_book_theme"
html_title = "eosin"
html_static_path = ["_static"]
html_css_files = ["eosin.css"]
html_extra_path = ["llms.txt"]
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "eosin"  # no page has formulas; the default renderer loads scripts of another host
html_theme_options = {
    "show_navbar_depth": 1,
    "max_navbar_depth": 3,
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navigation_with_keys": False,
    "logo": {"text": "eosin"},
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
}

AT_THE_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages that lie above docs/, and the page of the site that shows each."""


def point_into_site(_app: object, page: str, source: list[str]) -> None:
    """Links to files above docs/, which are right in the repository, lead to the site's own pages, or become words."""
    here = (DOCS / page).parent
    up = "../" * page.count("/")

    def shown(link: re.Match[str]) -> str:
        words, path, anchor = link.groups(default="")
        target = (here / path).resolve()
        if target.is_relative_to(DOCS):
            return link[0]
        known = AT_THE_ROOT.get(str(target.relative_to(ROOT))) if target.is_relative_to(ROOT) else None
        return words if known is None else f"[{words}]({up}{known}{anchor})"

    source[0] = re.sub(r"\[([^\]\n]+)\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)", shown, source[0])


def fields_are_parameters(
    _app: object, kind: str, _name: str, _what: object, _options: object, lines: list[str]
) -> None:
    """Fields of a record are what it is made of; napoleon reads several names in one line for parameters only."""
    if kind in ("class", "exception") and "Parameters" not in lines:
        at = next((i for i in range(len(lines) - 1) if lines[i : i + 2] == ["Attributes", "----------"]), None)
        if at is not None:
            lines[at] = "Parameters"


def setup(app):
    """Register what is ours: links, fields of records, and formulas as plain code."""
    app.connect("autodoc-process-docstring", fields_are_parameters, priority=400)  # before napoleon
    app.connect("source-read", point_into_site)
    app.add_html_math_renderer("eosin", inline_renderers=(_plain, None), block_renderers=(_plain, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _plain(translator, node):
    from docutils import nodes

    translator.body.append(f"<code>{translator.encode(node.astext())}</code>")
    raise nodes.SkipNode
