"""Pages from templates: every text is escaped unless it is `Markup`, and each page is one file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from eosin.storage.files import atomic_file

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = [
    "Markup",
    "Picture",
    "as_json",
    "join",
    "json_for_script",
    "now",
    "number",
    "table",
    "tag",
    "write_page",
]


@dataclass(frozen=True)
class Picture:
    """A JPEG inside a page.

    Attributes
    ----------
    jpeg
        The file's bytes.
    description
        What is read out where the picture cannot be seen.
    width_px
        Its width on a page.
    """

    jpeg: bytes
    description: str
    width_px: int

    @property
    def source(self) -> str:
        """The picture itself as a `data:` address."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode()


def write_page(path: str | Path, template: str, *, title: str, lead: Sequence[str], **content: Any) -> Path:
    """Write one self-contained HTML file, whole or not at all.

    Parameters
    ----------
    path
        The file.
    template
        Name of a template in `templates/` that extends `page.html`.
    title
        Its heading.
    lead
        What stands below the heading, in pieces.
    content
        What the template shows; text is escaped.
    """
    script = _file("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = (
        _environment()
        .get_template(template)
        .render(title=title, lead=lead, css=_file("page.css"), script=script, script_sha256=digest, **content)
    )
    with atomic_file(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return Path(path)


def table(header: Sequence[Any], rows: Iterable[Sequence[Any]], *, class_: str | None = None) -> Markup:
    """A table whose first column names the rows. A cell may be text or a finished `td`."""
    parts: Any = _environment().get_template("parts.html").module
    return parts.table(header, rows, class_)


def tag(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """One element, for what stands inside a cell or line; text is escaped, `class_` gives `class`."""
    given = join(
        Markup(' {}="{}"').format(key.rstrip("_"), value) for key, value in attributes.items() if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, given, join(children))


def join(children: Iterable[Any]) -> Markup:
    """Children one after another; text is escaped, None is left out."""
    return Markup("").join(
        child if hasattr(child, "__html__") else str(child) for child in children if child is not None
    )


def number(value: Any, digits: int = 3) -> str:
    """A number for a table; a dash for what could not be computed."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return "–"
    if isinstance(value, int):
        return str(value)
    return f"{value:.{digits}f}".replace("-", "−") if abs(value) < 1e4 else f"{value:.3g}"


def as_json(value: Any) -> str:
    """A record as text to show; what JSON does not know is shown as `str` gives it."""
    return json.dumps(value, indent=1, default=str, ensure_ascii=False)


def json_for_script(value: Any) -> Markup:
    """JSON for a `<script type="application/json">`: no name in it can end the element or begin another."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def now() -> str:
    """The time in UTC, to the minute, as pages show it."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


@cache
def _environment() -> Environment:
    """Where templates come from and how they treat text; jinja2 is imported with the first page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("eosin.reporting"),
        autoescape=True,
        undefined=StrictUndefined,  # a misspelt name is an error, not a gap in the page
        finalize=lambda value: "" if value is None else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = _cell
    return environment


def _cell(content: Any) -> Markup:
    return content if isinstance(content, Markup) and content.startswith("<td") else tag("td", content)


def _file(name: str) -> Markup:
    return Markup(resources.files("eosin.reporting").joinpath("templates", name).read_text(encoding="utf-8"))
