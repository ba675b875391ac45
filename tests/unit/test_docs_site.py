"""The site names every page, documents every public verb, loads nothing from elsewhere; recipe and citation fit."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import eosin

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BUILT = DOCS / "_build" / "html"
PAGES = {
    str(page.relative_to(DOCS).with_suffix(""))
    for page in DOCS.rglob("*.md")
    if "_build" not in page.relative_to(DOCS).parts
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def named_in_toctrees(page: str) -> list[str]:
    """Pages that the toctrees of a page name."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    entries = [line.strip() for block in blocks for line in block.splitlines()]
    here = Path(page).parent
    return [str(here / entry) for entry in entries if entry and not entry.startswith(":")]


def test_the_toctree_names_every_page():
    found, waiting = {"index"}, ["index"]
    while waiting:
        inner = named_in_toctrees(waiting.pop())
        waiting += [page for page in inner if page not in found]
        found.update(inner)
    assert found == PAGES, f"name these in a toctree of docs/index.md: {sorted(PAGES - found)}"


def test_home_lists_every_page():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    linked = {link.removesuffix(".md") for link in re.findall(r"\]\(([\w/-]+\.md)\)", text)}
    own = {page for page in PAGES if "/" not in page} - {"index", "contributing", "changelog"}
    assert not own - linked


def test_llms_txt_names_pages_that_there_are():
    links = set(re.findall(r"\]\(([^)]+)\.html\)", (DOCS / "llms.txt").read_text(encoding="utf-8")))
    assert links and not links - PAGES
    assert {page for page in PAGES if page.startswith("tutorials/")} - links == {"tutorials/index"}


def test_reference_documents_every_public_name():
    text = (DOCS / "api" / "verbs.md").read_text(encoding="utf-8") + (DOCS / "api" / "records.md").read_text("utf-8")
    documented = set(re.findall(r"^\.\. auto\w+:: eosin\.(\w+)$", text, re.MULTILINE))
    assert documented == set(eosin.__all__) - {"__version__"}


def test_reference_names_objects_that_there_are():
    import importlib

    gone = []
    for page in ("verbs", "records", "extending"):
        text = (DOCS / "api" / f"{page}.md").read_text(encoding="utf-8")
        for name in re.findall(r"^\.\. auto\w+:: ([\w.]+)$", text, re.MULTILINE):
            module, _, what = name.rpartition(".")
            gone += [] if hasattr(importlib.import_module(module), what) else [name]
    assert not gone


@pytest.mark.skipif(not (BUILT / "index.html").is_file(), reason="the site is not built (make docs)")
def test_built_site_loads_nothing_from_elsewhere():
    faults = []
    for page in BUILT.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loads = re.findall(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?((?:https?:)?//[^"'>]*)""", text)
        loads += re.findall(r"""<link\b[^>]*\bhref=["']?((?:https?:)?//[^"'>]*)""", text)
        faults += [(page.name, address) for address in loads]
    for sheet in BUILT.rglob("*.css"):
        addresses = re.findall(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')]*)""", sheet.read_text("utf-8"))
        faults += [(sheet.name, address) for address in addresses]
    assert not faults


def test_recipe_asks_for_what_the_project_asks_for():
    of_conda = {"torch": "pytorch", "openslide-bin": "openslide", "matplotlib": "matplotlib-base"}
    asked = dict(re.match(r"([\w-]+)(.*)", line).groups() for line in PROJECT["dependencies"])
    recipe = (ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8")
    run = recipe.partition("\n  run:\n")[2].partition("\ntests:")[0]
    given = dict(re.findall(r"^    - ([\w-]+) (\S+)", run, re.MULTILINE))
    assert given.pop("python") == PROJECT["requires-python"]
    assert given == {of_conda.get(name, name): version for name, version in asked.items()}
    assert f'\n  version: "{PROJECT["version"]}"\n' in recipe
    for name, place in PROJECT["scripts"].items():
        assert f"\n      - {name} = {place}\n" in recipe
    for licence in PROJECT["license-files"]:
        assert f"\n    - {licence}\n" in recipe and (ROOT / licence).is_file()
    assert not re.search(r"\w+://", recipe)


def test_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in text
    assert f"\nlicense: {PROJECT['license']}\n" in text


def test_docs_extra_has_what_the_settings_of_the_site_name():
    settings = (DOCS / "conf.py").read_text(encoding="utf-8")
    extra = " ".join(PROJECT["optional-dependencies"]["docs"])
    for package in ("myst_nb", "sphinx_copybutton", "sphinx_book_theme"):
        assert package in settings and package.replace("_", "-") in extra
