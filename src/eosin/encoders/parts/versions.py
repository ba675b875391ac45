"""Features of earlier versions of an encoder: the spec that was stored with them, made to say the version."""

from __future__ import annotations

from eosin.encoders.base import ENCODERS
from eosin.encoders.parts.spec_text import name_of, split_spec

_EARLIER = {"stain": "stain;version=1;"}
"""Beginning of the keys of the version in which an encoder had no setting `version`."""


def with_version(spec: str, key: str) -> str:
    """The spec of features or of a model, with the version that their key tells: `stain?version=1`.

    A spec without a version means the newest one; feature files and checkpoints of earlier versions of eosin hold such
    specs for older numbers.

    Parameters
    ----------
    spec, key
        Of the encoder, as they were stored.
    """
    parts, keys = split_spec(spec, ENCODERS.__contains__), _keys_of(key)
    if len(parts) != len(keys):
        return spec
    return "+".join(_of_part(part, own) for part, own in zip(parts, keys))


def is_earlier(key: str) -> bool:
    """Whether a part of a key is of an earlier version of its encoder."""
    return any(own.startswith(beginning) for own in _keys_of(key) for beginning in _EARLIER.values())


def without_version(spec: str) -> str:
    """A spec without settings `version`, as earlier versions of eosin wrote it."""
    parts = [part.partition("?") for part in split_spec(spec, ENCODERS.__contains__)]
    kept = [(head, [pair for pair in query.split("&") if pair and not _is_version(pair)]) for head, _, query in parts]
    return "+".join(head + ("?" + "&".join(pairs) if pairs else "") for head, pairs in kept)


def _keys_of(key: str) -> list[str]:
    """The keys of the parts; a `+` separates where the name of an encoder follows, not in `pooling=class+mean`."""
    first, *pieces = key.split("+")
    keys = [first]
    for piece in pieces:
        if name_of(piece.partition(";")[0]) in ENCODERS:
            keys.append(piece)
        else:
            keys[-1] += "+" + piece
    return keys


def _of_part(part: str, key: str) -> str:
    beginning = _EARLIER.get(name_of(part))
    head, _, query = part.partition("?")
    pairs = [pair for pair in query.split("&") if pair]
    if beginning is None or not key.startswith(beginning) or any(map(_is_version, pairs)):
        return part
    return f"{head}?{'&'.join([*pairs, 'version=1'])}"


def _is_version(pair: str) -> bool:
    return pair.partition("=")[0] == "version"
