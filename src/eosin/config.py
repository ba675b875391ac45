"""Settings records, registries of named things, and help with a name that is unknown."""

from __future__ import annotations

import difflib
import logging
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from numbers import Integral
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from eosin.errors import EosinError

log = logging.getLogger("eosin")

_MEND = "update or uninstall that package"

T = TypeVar("T")
S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """A frozen record of settings that refuses unknown names. Every field says its unit and its reason."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @classmethod
    def of(cls: type[S], *tables: Mapping[str, Any], source: str = "settings") -> S:
        """Make the record from tables, later ones winning; names may have dashes.

        Raises
        ------
        EosinError
            An unknown name (with the nearest known ones) or an impossible value, in one line.
        """
        merged: dict[str, Any] = {}
        for table in tables:
            merged.update({key.replace("-", "_"): value for key, value in table.items()})
        unknown = [key for key in merged if key not in cls.model_fields]
        if unknown:
            raise unknown_setting(unknown[0], list(cls.model_fields), source)
        for name, value in merged.items():
            if isinstance(value, bool) and _is_number(cls.model_fields[name].annotation):
                raise EosinError(f"{source}: '{name}' is {str(value).lower()}, and is a number", fix="give its value")
        try:
            return cls.model_validate(merged)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise EosinError(f"{source}: '{name}' is {first['input']!r}: {first['msg'].lower()}") from error


def unknown_setting(name: str, known: Sequence[str], source: str) -> EosinError:
    """The error of a setting that a table does not have, with the nearest known ones."""
    return EosinError(f"unknown setting '{name}' in {source}", fix=near_or_known(name, sorted(known), "settings"))


def unknown_table(name: str) -> EosinError:
    """The error of a table of settings that is neither the model's nor that of training."""
    return EosinError(f"unknown settings table '{name}'", fix="known tables: model, train")


def _is_number(kind: Any) -> bool:
    """Whether a field takes numbers and no booleans, which pydantic would read as 1 and 0."""
    kinds = set(get_args(kind)) or {kind}
    return not kinds.isdisjoint({int, float}) and bool not in kinds


def read_toml(path: str | Path) -> dict[str, dict[str, Any]]:
    """Read a settings file: one table per record, as `[model]` and `[train]`."""
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EosinError("no such settings file", file=path) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EosinError(f"not readable as TOML ({error})", file=path) from error
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise EosinError(
                f"setting '{name}' stands outside a table", file=path, fix="put it under [model] or [train]"
            )
    return tables


class Registry(Generic[T]):
    """Names for objects: a dict that refuses a second name and answers a miss with near names.

    Others add to it by the entry-point group `eosin.{kind}s`; those are looked up only when asked for. One that cannot
    be loaded is named in a warning, and again in the error where its name is asked for; the others are there.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._known: dict[str, T] = {}
        self._plugged = False
        self._broken: dict[str, str] = {}
        """What is wrong with the plug-ins that cannot be loaded, by the name that they would have."""

    def add(self, name: str, thing: T) -> T:
        """Register `thing` under a name, which must be new, and return it."""
        if name in self._known:
            raise ValueError(f"{self.kind} '{name}' is registered twice")
        self._known[name] = thing
        return thing

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of `add`."""
        return lambda thing: self.add(name, thing)

    def __getitem__(self, name: str) -> T:
        self._plug()
        if name in self._broken and name not in self._known:
            raise EosinError(self._broken[name], fix=_MEND)
        if name not in self._known:
            fix = near_or_known(name, sorted(self._known), f"{self.kind}s")
            raise EosinError(f"no {self.kind} is called '{name}'", fix=fix)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        self._plug()
        return iter(sorted(self._known))

    def items(self) -> list[tuple[str, T]]:
        """Names and objects in the order in which they were registered, those of other packages last."""
        self._plug()
        return list(self._known.items())

    def __contains__(self, name: object) -> bool:
        self._plug()
        return name in self._known

    def _plug(self) -> None:
        if not self._plugged:
            self._plugged = True
            for entry in entry_points(group=f"eosin.{self.kind}s"):
                self._load(entry)

    def _load(self, entry: EntryPoint) -> None:
        try:
            self.add(entry.name, entry.load())
        except Exception as error:  # whatever another package raises, the others go on
            package = entry.dist.name if entry.dist is not None else entry.value.partition(":")[0].partition(".")[0]
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            problem = f"{self.kind} '{entry.name}' of package '{package}' cannot be loaded ({reason})"
            self._broken[entry.name] = problem
            log.warning("%s; %s", problem, _MEND)


def near_names(name: str, known: Iterable[str], *, at_most: int = 3, cutoff: float = 0.5) -> list[str]:
    """The known names most like an unknown one, nearest first: those that differ in case only, else by `difflib`."""
    known = list(known)
    same_letters = [other for other in known if other.lower() == name.lower()]
    return same_letters[:at_most] or difflib.get_close_matches(name, known, n=at_most, cutoff=cutoff)


def did_you_mean(near: Sequence[str], otherwise: str) -> str:
    """`did you mean 'a' or 'b'?`, or another advice where no name is near."""
    return "did you mean " + " or ".join(f"'{name}'" for name in near) + "?" if near else otherwise


def near_or_known(name: str, known: Sequence[str], kind: str, *, list_at_most: int | None = None) -> str:
    """Advice on an unknown name: the near ones, else all that are known or the first of them; `kind` in the plural."""
    listed = list(known[:list_at_most])
    if len(listed) < len(known):
        listed.append("...")
    return did_you_mean(near_names(name, known), f"known {kind}: {', '.join(listed)}")


def need_seed(seed: int) -> None:
    """Refuse a seed that generators of random numbers do not take.

    Raises
    ------
    EosinError
        It is negative, or no whole number.
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= int(seed) < 2**63:
        raise EosinError(f"a seed of {seed} is impossible", fix="give a whole number from 0 on")


def need_known(name: str, known: Iterable[str], kind: str, *, file: str | Path | None = None) -> None:
    """Refuse a name that is not among the known ones; `kind` says in the singular what is named.

    Raises
    ------
    EosinError
        With near names, or the known ones where none is near.
    """
    known = list(known)
    if name not in known:
        fix = near_or_known(name, known, f"{kind}s", list_at_most=20)
        raise EosinError(f"no {kind} is called '{name}'", file=file, fix=fix)
