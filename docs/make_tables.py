"""Rewrite the tables of the documentation from the code: every block `<!-- table:NAME -->` ... `<!-- end -->`.

python docs/make_tables.py            rewrites README.md, CONTRIBUTING.md and docs/**/*.md, and the catalogue of names
python docs/make_tables.py --check    only says which are stale, with exit code 1
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined

from eosin.api.listing import all_lists, all_settings
from eosin.api.parts.catalogue import FILE, contents
from eosin.config import Settings
from eosin.data import READERS
from eosin.encoders import ENCODERS, get_encoder, zoo_card
from eosin.encoders.parts.published import NAMES as ZOO
from eosin.encoders.stain import StainSettings
from eosin.encoders.timm_model import TimmSettings
from eosin.encoders.zoo import ZooSettings
from eosin.engine import TrainSettings
from eosin.errors import EosinError
from eosin.genes import TRANSFORMS, gene_rules
from eosin.metrics import all_metrics
from eosin.models import MODELS
from eosin.simulation.cohort import TissueSettings

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- table:([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

BETTER = {"up": "higher", "down": "lower", "expected": "near its expected value"}


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; bars inside cells are escaped."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def settings_table(record: type[Settings], presets: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Every field of a settings record: default, preset's value where it differs, what may be given, meaning."""
    presets = presets or {}
    rows = []
    for name, field in record.model_fields.items():
        default = "needed" if field.default is PydanticUndefined else code(field.default)
        of_presets = [code(values[name]) if name in values else "" for values in presets.values()]
        rows.append([f"`{name}`", default, *of_presets, allowed(field), field.description or ""])
    header = ["setting", "default", *(f"preset `{name}`" for name in presets), "allowed", "what it is"]
    return markdown(header, rows)


def code(value: Any) -> str:
    """A value as it is written in a settings file."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        shown = [str(item) if isinstance(item, int) else f"{item:.3g}" for item in value]
        short = [*shown[:3], "...", shown[-1]] if len(shown) > 5 else shown
        return f"`[{', '.join(short)}]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def allowed(field: Any) -> str:
    """Choices or bounds of a field, in words."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{sign} {getattr(m, key):g}" for m in field.metadata for key, sign in signs.items() if hasattr(m, key)]
    return ", ".join(bounds)


def models() -> str:
    rows = [[f"`{name}`", MODELS[name].title, MODELS[name].paper, "there"] for name in sorted(MODELS, key=_first)]
    return markdown(["model", "what it is", "paper", "status"], rows)


def _first(name: str) -> tuple[bool, str]:
    return name != "stflow", name


def readers() -> str:
    rows = [[f"`{name}`", READERS[name].platform, READERS[name].looks_for] for name in READERS]
    return markdown(["reader", "platform", "looks for"], rows)


def encoders() -> str:
    rows = []
    for name in (one for one in ENCODERS if one not in ZOO):
        try:
            card = get_encoder(name).card
        except EosinError:
            rows.append([f"`{name}:ARCH@WEIGHTS`", "of the architecture", "of the weights", "of the weights"])
            continue
        rows.append([f"`{name}`", str(card.width), card.licence, "yes" if card.commercial else "no"])
    widths = [zoo_card(name).width for name in ZOO]
    some = ", ".join(f"`{name}`" for name in ("uni2-h", "virchow2", "h-optimus-1", "phikon-v2"))
    rows.append([f"{some} and {len(ZOO) - 4} more", f"{min(widths)} to {max(widths)}", "each its own", "some"])
    return markdown(["encoder", "features", "licence", "commercial use"], rows)


def zoo() -> str:
    rows = []
    for name in ZOO:
        card = zoo_card(name)
        terms = f"{card.licence}; {'commercial' if card.commercial else 'not commercial'}"
        way = "a pickle to convert" if card.is_pickle else "hub, pinned" if card.revision else "hub"
        rows.append(
            [
                f"`{name}`",
                card.title,
                str(card.width),
                f"{card.parameters / 1e6:.0f}",
                f"{card.px} px, {card.um_per_px:g} µm/px",
                card.pooling,
                terms,
                "yes" if card.gated else "no",
                f"{way}: {card.hub or card.page.partition('://')[2]}",
            ]
        )
    header = ["name", "what it is", "features", "10⁶ parameters", "window", "pooling", "licence", "gated", "weights"]
    return markdown(header, rows)


def metrics() -> str:
    """Every metric, in the groups of a page."""
    rows = [[f"`{m.key}`", m.group, m.label, m.definition, BETTER[m.better], m.source] for m in all_metrics()]
    return markdown(["key", "table on a page", "column", "definition", "better", "source"], rows)


def presets(model: str, table: str) -> dict[str, Mapping[str, Any]]:
    """The presets of a model, each with one of its two tables."""
    return {name: tables.get(table, {}) for name, tables in MODELS[model].presets.items()}


def _settings_of(name: str) -> Callable[[], str]:
    return lambda: settings_table(MODELS[name].settings, presets(name, "model"))


TABLES: dict[str, Callable[[], str]] = {
    **{f"settings-{name}": _settings_of(name) for name in MODELS if MODELS[name].settings.model_fields},
    "models": models,
    "readers": readers,
    "encoders": encoders,
    "zoo": zoo,
    "metrics": metrics,
    "gene-rules": lambda: markdown(["rule", "what it chooses"], [[f"`{k}`", v] for k, v in gene_rules().items()]),
    "transforms": lambda: markdown(["transform", "value"], [[f"`{n}`", TRANSFORMS[n].unit] for n in TRANSFORMS]),
    "settings-train": lambda: settings_table(TrainSettings, {"stflow:paper": presets("stflow", "train")["paper"]}),
    "settings-stain": lambda: settings_table(StainSettings),
    "settings-timm": lambda: settings_table(TimmSettings),
    "settings-zoo": lambda: settings_table(ZooSettings),
    "settings-tissue": lambda: settings_table(TissueSettings),
}


def pages(root: Path = ROOT) -> list[Path]:
    """Every page that may hold a table."""
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]


def renewed(text: str) -> str:
    """A page with every block made anew.

    Raises
    ------
    KeyError
        A block asks for a table that is not in `TABLES`.
    """
    return BLOCK.sub(lambda block: block[1] + TABLES[block[2]]() + block[4], text)


def main(arguments: Sequence[str]) -> int:
    stale = [page for page in pages() if renewed(page.read_text(encoding="utf-8")) != page.read_text(encoding="utf-8")]
    catalogue = contents(all_lists(), all_settings())
    if not FILE.is_file() or FILE.read_text(encoding="utf-8") != catalogue:
        stale.append(FILE)
    for page in stale:
        if "--check" not in arguments:
            text = catalogue if page == FILE else renewed(page.read_text(encoding="utf-8"))
            page.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{'stale' if '--check' in arguments else 'rewritten'}: {page.relative_to(ROOT)}\n")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
