"""Draw the badges of the README from pyproject.toml, as pictures that need no server.

python docs/make_badges.py            rewrites docs/badges/*.svg
python docs/make_badges.py --check    only says which are stale, with exit code 1
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "badges"
_WIDTH_OF_LETTER, _MARGIN, _HEIGHT = 6.6, 7.0, 20  # of 11 px sans serif, a little more than most letters take


def badges() -> dict[str, str]:
    """Each picture as SVG, by its name."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    said = {
        "version": project["version"],
        "python": project["requires-python"].replace(">=", "") + " or newer",
        "licence": project["license"],
    }
    return {name: badge(name, value) for name, value in said.items()}


def badge(name: str, value: str) -> str:
    """A grey field with a name and a blue one with a value; the contrast of both texts is above 4.5."""
    left, right = (round(len(text) * _WIDTH_OF_LETTER + 2 * _MARGIN) for text in (name, value))
    title = escape(f"{name}: {value}", {'"': "&quot;"})
    size = f'width="{left + right}" height="{_HEIGHT}"'
    style = 'y="14" font-family="Verdana, DejaVu Sans, sans-serif" font-size="11" fill="#ffffff" text-anchor="middle"'
    corners = f"M3 0h{left - 3}v{_HEIGHT}H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z"  # rounded on the left only
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}">\n'
        f"<title>{title}</title>\n"
        f'<rect {size} rx="3" fill="#1f5a96"/>\n'
        f'<path d="{corners}" fill="#4a4a4a"/>\n'
        f'<text x="{left / 2}" textLength="{left - 2 * _MARGIN}" {style}>{escape(name)}</text>\n'
        f'<text x="{left + right / 2}" textLength="{right - 2 * _MARGIN}" {style}>{escape(value)}</text>\n'
        "</svg>\n"
    )


def main(arguments: Sequence[str]) -> int:
    stale = [
        name for name, svg in badges().items() if not (f := FOLDER / f"{name}.svg").is_file() or f.read_text() != svg
    ]
    for name in stale:
        sys.stdout.write(f"{'stale' if '--check' in arguments else 'rewritten'}: docs/badges/{name}.svg\n")
        if "--check" not in arguments:
            FOLDER.mkdir(exist_ok=True)
            (FOLDER / f"{name}.svg").write_text(badges()[name])
    return int(bool(stale) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
