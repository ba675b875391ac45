"""Settings on the command line, as --model.NAME VALUE and --train.NAME VALUE: taken from it before it is parsed."""

from __future__ import annotations

from collections import deque
from typing import Any

from eosin.errors import EosinError

Overrides = dict[str, dict[str, Any]]

_CALIBRATE = "--calibrate"

_given: Overrides = {}
"""What `take` found, for `over`."""
_line: list[str] = []
"""The whole command line, for `line`."""


def take(tokens: list[str]) -> list[str]:
    """Take --model.NAME VALUE and --train.NAME VALUE out of the line and keep them for `over`.

    Of `eosin train`, --calibrate VALUE is short for --train.calibrate VALUE.

    A setting at the end of the line or before another flag is a switch: true. Only a number may begin with a dash.
    """
    _given.clear()
    kept: list[str] = []
    rest = deque(tokens)
    while rest:
        token = in_full(tokens[0], rest.popleft())
        table, dot, name = token.removeprefix("--").partition(".")
        if not (token.startswith("--") and dot and table in {"model", "train"}):
            kept.append(token)
            continue
        name, equals, value = name.partition("=")
        if not equals:
            value = rest.popleft() if rest and not _is_flag(rest[0]) else "true"
        _given.setdefault(table, {})[name.replace("-", "_")] = literal(value)
    return kept


def keep_line(tokens: list[str]) -> None:
    """Keep the whole command line, for those who run it once more."""
    _line[:] = tokens


def line() -> list[str]:
    """The words of the command line that was last kept."""
    return list(_line)


def in_full(command: str, token: str) -> str:
    """A flag with the table of its setting, where the command takes it without."""
    is_short = command == "train" and token.partition("=")[0] == _CALIBRATE
    return "--train." + token.removeprefix("--") if is_short else token


def _is_flag(token: str) -> bool:
    return token.startswith("-") and not isinstance(literal(token), int | float)


def refuse_for(command: str | None) -> None:
    """Refuse settings where the command has no use for them, rather than go on without."""
    takes = {"train": {"model", "train"}, "predict": {"model"}}.get(command or "", set())
    wrong = sorted(set(_given) - takes)
    if wrong:
        name = next(iter(_given[wrong[0]])).replace("_", "-")
        fix = "give a file of settings: --settings FILE" if command == "bench" else "eosin train takes it"
        raise EosinError(f"'eosin {command}' takes no --{wrong[0]}.{name}", fix=fix)


def literal(text: str) -> Any:
    """A flag's text as TOML would read it: numbers, true, false, arrays; `none`; else the text itself."""
    import tomllib

    if text.lower() == "none":
        return None
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def over(tables: Overrides) -> Overrides:
    """Settings of a file with the flags' on top."""
    merged = {table: {k.replace("-", "_"): v for k, v in values.items()} for table, values in tables.items()}
    for table, values in _given.items():
        merged.setdefault(table, {}).update(values)
    return merged
