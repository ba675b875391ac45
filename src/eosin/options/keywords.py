"""Functions that take records of options, called with the records' fields as keyword arguments."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any, TypeVar

R = TypeVar("R")


def takes_options(*, hide: tuple[str, ...] = ()) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Let a function with records of options among its parameters take their fields as keyword arguments.

    `train(data, *, seed=0, reading: ReadOptions = ReadOptions())` can then be called as `train(data, mpp=0.5)`, or
    with a record as `train(data, reading=ReadOptions(mpp=0.5))`. Its signature and its documentation show the fields,
    so that each of them is described in one place, the record.

    Parameters
    ----------
    hide
        Fields that this function has no use for: given, they are a `TypeError`, as any unknown name is.
    """

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        signature = inspect.signature(function)
        records = {name: p.default for name, p in signature.parameters.items() if is_dataclass(p.default)}
        own = signature.parameters.keys() - records.keys()
        home = {
            field.name: name
            for name, record in records.items()
            for field in fields(record)
            if field.name not in hide and field.name not in own
        }

        @functools.wraps(function)
        def call(*args: Any, **given: Any) -> R:
            wanted: dict[str, dict[str, Any]] = {}
            for field in home.keys() & given.keys():
                wanted.setdefault(home[field], {})[field] = given.pop(field)
            for name, values in wanted.items():
                given[name] = replace(given.get(name, records[name]), **values)
            return function(*args, **given)

        call.__signature__ = _flattened(signature, records, home)  # type: ignore[attr-defined]
        call.__doc__ = _documented(function.__doc__, records, home)
        return call

    return decorate


def changed(record: Any) -> dict[str, Any]:
    """The fields of a record of options that differ from their defaults, by name."""
    return {
        field.name: getattr(record, field.name)
        for field in fields(record)
        if field.default is MISSING or getattr(record, field.name) != field.default
    }


def described(record: Any) -> dict[str, str]:
    """What each field of a record is, a sentence each, from the section `Attributes` of its docstring."""
    text = inspect.getdoc(record if isinstance(record, type) else type(record)) or ""
    section = text.partition("Attributes\n----------\n")[2]
    found = re.findall(r"^(\w+)\n((?:[ ]{4}.*\n?)+)", section, flags=re.MULTILINE)
    return {name: _sentence(" ".join(lines.split())) for name, lines in found}


def _sentence(words: str) -> str:
    """With a capital, where it begins with a plain letter (µ is none), and a full stop."""
    start = words[0].upper() if words[0].isascii() else words[0]
    return f"{start}{words[1:]}."


def _flattened(signature: inspect.Signature, records: Mapping[str, Any], home: Mapping[str, str]) -> inspect.Signature:
    """The signature with each record's fields in place of the record."""
    kept = [p for name, p in signature.parameters.items() if name not in records]
    added = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=getattr(record, f.name), annotation=f.type)
        for record in records.values()
        for f in fields(record)
        if f.name in home
    ]
    return signature.replace(parameters=[*kept, *added])


def _documented(doc: str | None, records: Mapping[str, Any], home: Mapping[str, str]) -> str | None:
    """The docstring with each record's fields at the end of its section `Parameters`."""
    if doc is None:
        return None
    text = inspect.cleandoc(doc)
    lines = "".join(
        f"{name}\n    {words}\n"
        for record in records.values()
        for name, words in described(record).items()
        if name in home
    )
    heading = "Parameters\n----------\n"
    if heading not in text:
        return f"{text}\n\n{heading}{lines}" if lines else text
    start = text.index(heading) + len(heading)
    after = re.compile(r"\n\n(?=\w+\n-+\n)").search(text, start)
    end = len(text) if after is None else after.start()
    return text[:end].rstrip() + "\n" + lines + text[end:]
