"""HTML that cannot be broken by what it shows: every string is escaped unless it was built here."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from typing import Any

from eosin.reporting.style import CSS

# A report is opened years later, on machines without a network and next to patients' data: the browser itself
# is told to load nothing and run nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class Markup(str):
    """Finished HTML, as opposed to text that is still to be escaped."""


def tag(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """`<name attribute="...">children</name>`; text is escaped, `Markup` is not, `class_` gives `class`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in ("img", "meta", "br"):
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[Any]) -> Markup:
    """Children one after another; None is left out."""
    return Markup("".join(c if isinstance(c, Markup) else html.escape(str(c)) for c in children if c is not None))


def picture(png: bytes, describe: str) -> Markup:
    """A PNG inside the page; `describe` is read out where it cannot be seen."""
    source = "data:image/png;base64," + base64.b64encode(png).decode()
    width = int.from_bytes(png[16:20], "big") * 2 // 3  # drawn at 144 dots per inch, for sharp screens; a page has 96
    return tag("img", src=source, alt=describe, width=width)


def table(header: Sequence[Any], rows: Iterable[Sequence[Any]], *, class_: str | None = None) -> Markup:
    """A table whose first column names the rows. A cell may be text or finished `td`."""
    head = tag("thead", tag("tr", *(tag("th", h, scope="col") for h in header)))
    body = tag("tbody", *(tag("tr", tag("th", first, scope="row"), *map(_cell, rest)) for first, *rest in rows))
    return tag("div", tag("table", head, body, class_=class_), class_="scroll")


def _cell(content: Any) -> Markup:
    return content if isinstance(content, Markup) and content.startswith("<td") else tag("td", content)


def section(title: str, *children: Any) -> Markup:
    return tag("section", tag("h2", title), *children)


def fold(title: str, *children: Any) -> Markup:
    """What only some readers want: closed until asked for."""
    return tag("details", tag("summary", title), *children)


def page(title: str, lead: Any, *body: Any) -> str:
    """A whole self-contained document."""
    return "<!doctype html>\n" + tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("title", title),
            tag("style", Markup(CSS)),
        ),
        tag("body", tag("main", tag("header", tag("h1", title), lead), *body)),
        lang="en",
    )


def number(value: Any, digits: int = 3) -> str:
    """A number for a table; a dash for what could not be computed."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return "–"
    if isinstance(value, int):
        return str(value)
    return f"{value:.{digits}f}".replace("-", "−") if abs(value) < 1e4 else f"{value:.3g}"
