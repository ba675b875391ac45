"""Names of classes of outlines that hold no tissue to look at."""

from __future__ import annotations

import re

_KINDS = re.compile(
    r"ignored?|exclu(de|ded|sion)|art[ei]fact(s|ual)?|necro(sis|tic|ses)|background|fold(s|ed|ing)?|pens?|ink|bubbles?"
    r"|blur(red|ry)?|outoffocus|debris|dust|glass|whitespace|holes?|lum(en|ina)|(no|non|not)tissue"
)
_FIRST = re.compile(r"ignored?|exclu(de|ded|sion)|art[ei]fact(s|ual)?|necro(sis|tic|ses)|blur(red|ry)?|outoffocus")
"""Words that say it of whatever follows: `Necrotic tumor`, `Artifact: knife`; `Background liver` is liver."""
_LAST = re.compile(r"art[ei]facts?|necros[ie]s|debris|bubbles?|blur|lum(en|ina)")
"""Words that say it of whatever is before: `Tumor necrosis`, `Gland lumen`."""
_BESIDE = re.compile(
    r"tissue|areas?|regions?|zones?|roi|mark(s|ers?|ings?|ed)?|air|slide|cover|coverslip|empty|edges?|large|small|other|spots?|particles?|creases?"
    r"|white|blue|green|red|black|the|of|in|on|and|or|\d+"
)
"""Words that change nothing: `Pen mark`, `Tissue fold`, `Glass slide`."""
_NOT = re.compile(r"no|non|not|without|free|with|peri|near|around|adjacent|versus|vs")
"""Words that turn the meaning: `Non-necrotic tumor`, `Artifact-free`, `Tumor with necrosis`."""
_TOGETHER = {
    "out of focus": "outoffocus",
    "white space": "whitespace",
    "no tissue": "notissue",
    "non tissue": "nontissue",
    "not tissue": "nottissue",
}


def is_no_tissue(label: str) -> bool:
    """Whether a class says that its outlines hold no tissue to look at, by QuPath's `*` or by its name.

    A word alone does not: the name must say nothing else, or say it of something (`Necrotic tumor`).
    """
    name = label.strip().lower()
    if name.endswith("*"):
        return not name.startswith("region")
    name = " ".join(re.findall(r"[^\W_]+", name))
    for apart, together in _TOGETHER.items():
        name = re.sub(rf"\b{apart}\b", together, name)
    words = name.split()
    kinds = [word for word in words if _KINDS.fullmatch(word)]
    if not kinds or any(map(_NOT.fullmatch, words)):
        return False
    if all(word in kinds or _BESIDE.fullmatch(word) for word in words):
        return True
    if {"and", "or"} & set(words):  # of a mixture some is tissue
        return False
    return _FIRST.fullmatch(words[0]) is not None or _LAST.fullmatch(words[-1]) is not None
