"""One of N parts of a list of work, as an array of jobs on a cluster shares it out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from eosin.errors import EosinError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of `of` parts."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Of the text i/N.

        Raises
        ------
        EosinError
            Not of that form, or i is not among 1 to N.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
        number, of = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= number <= of:
            raise EosinError(f"--shard is '{text}'", fix="give i/N, as 1/4 for the first of four parts")
        return cls(number, of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def part(self, items: Sequence[T]) -> list[T]:
        """Every N-th of the items, from the i-th on."""
        return list(items[self.number - 1 :: self.of])

    def turned(self, steps: int) -> Shard:
        """The part so many places further on: lists that are shorter than N then fall to all parts by turns."""
        return replace(self, number=(self.number - 1 + steps) % self.of + 1)
