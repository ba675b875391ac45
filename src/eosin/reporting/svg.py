"""Small charts as SVG inside a page: text stays text, colours follow light and dark, nothing is loaded.

A chart is drawn in its own pixels and is not scaled, so that its letters have the size of the page's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from eosin.reporting.html import Markup, join, tag

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A range of numbers with its ticks; `log` where equal factors are equal lengths."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    @classmethod
    def around(cls, values: Sequence[float], *, n: int = 5, zero: bool = False) -> Axis:
        """A range with round ends that holds all finite values, and 0 where asked for."""
        known = [value for value in values if math.isfinite(value)] + ([0.0] if zero else [])
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        if high - low < 1e-9:
            low, high = low - 0.5 * max(abs(low), 0.1), high + 0.5 * max(abs(high), 0.1)
        step = _round_step((high - low) / n)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        ticks = tuple(round(i * step, 12) for i in range(first, last + 1))
        return cls(ticks[0], ticks[-1], ticks)

    @classmethod
    def of_numbers(cls, values: Sequence[float]) -> Axis:
        """A tick at every number that a study tries; logarithmic where they span a factor of 8 or more."""
        ticks = tuple(sorted({float(value) for value in values}))
        low, high = ticks[0], ticks[-1]
        log = low > 0 and high / low >= 8
        if high == low:
            low, high = low - 1, high + 1
        return cls(low, high, ticks, log)

    def place(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one."""
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * 0.999)


@dataclass
class Chart:
    """A frame with two axes into which lines and points are drawn.

    Attributes
    ----------
    x, y
        The axes.
    x_label, y_label
        What they are, with units.
    title
        The line above.
    width, height
        Of the whole, px.
    """

    x: Axis
    y: Axis
    x_label: str
    y_label: str
    title: str
    width: int = 340
    height: int = 290
    _drawn: list[Markup] = field(default_factory=list)

    LEFT, RIGHT, TOP, BOTTOM = 58, 14, 30, 48

    def px(self, point: Point) -> Point:
        """Pixels of a point."""
        x = self.LEFT + self.x.place(point[0]) * (self.width - self.LEFT - self.RIGHT)
        y = self.height - self.BOTTOM - self.y.place(point[1]) * (self.height - self.TOP - self.BOTTOM)
        return round(x, 1), round(y, 1)

    def line(self, points: Sequence[Point], class_: str, *, dots: bool = False) -> None:
        """A line through the points that are known, in their order."""
        known = [self.px(p) for p in points if all(map(math.isfinite, p))]
        if len(known) > 1:
            path = " ".join(f"{x},{y}" for x, y in known)
            self._drawn.append(tag("polyline", points=path, class_=f"line {class_}"))
        if dots:
            self._drawn += [tag("circle", cx=x, cy=y, r=3.2, class_=f"dot {class_}") for x, y in known]

    def render(self, description: str) -> Markup:
        """The chart as an element; `description` is read out where it cannot be seen."""
        bottom, left = self.height - self.BOTTOM, self.LEFT
        right, top = self.width - self.RIGHT, self.TOP
        parts = []
        shown, last = [], -math.inf
        for tick in self.x.ticks:
            x = self.px((tick, self.y.low))[0]
            if x - last >= 7 * len(_text(tick)) + 8:
                shown.append((x, tick))
                last = x
        for x, tick in shown:
            parts.append(tag("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
            parts.append(_label(x, bottom + 18, _text(tick), "middle"))
        for tick in self.y.ticks:
            y = self.px((self.x.low, tick))[1]
            parts.append(tag("line", x1=left, x2=right, y1=y, y2=y, class_="rule"))
            parts.append(_label(left - 7, y + 4, _text(tick), "end"))
        parts.append(tag("line", x1=left, x2=right, y1=bottom, y2=bottom, class_="axis"))
        parts.append(_label((left + right) / 2, self.height - 10, self.x_label, "middle"))
        parts.append(_label(4, top - 12, self.title, "start", "head"))
        middle = (top + bottom) / 2
        turned = f"rotate(-90 14 {middle})"
        parts.append(
            tag("text", self.y_label, x=14, y=middle, transform=turned, **{"text-anchor": "middle", "class_": "label"})
        )
        size = {"width": self.width, "height": self.height, "viewBox": f"0 0 {self.width} {self.height}"}
        about = {"role": "img", "aria-label": description, "class_": "chart"}
        return tag("svg", join([*parts, *self._drawn]), **size, **about)


def _label(x: float, y: float, text: str, anchor: str, class_: str = "label") -> Markup:
    return tag("text", text, x=round(x, 1), y=round(y, 1), class_=class_, **{"text-anchor": anchor})


def _text(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")


def interval_mark(axis: Axis, value: float, low: float, high: float, width: int = 260) -> Markup:
    """A difference with its interval on a row's piece of an axis; a line stands at 0, what leaves it out is full."""
    inner = width - 16

    def px(number: float) -> float:
        return round(8 + axis.place(min(max(number, axis.low), axis.high)) * inner, 1)

    zero = px(0.0)
    class_ = "good" if low > 0 else "bad" if high < 0 else "unsure"
    parts = [tag("line", x1=zero, x2=zero, y1=0, y2=26, class_="axis")]
    if math.isfinite(low) and math.isfinite(high):
        parts.append(tag("line", x1=px(low), x2=px(high), y1=13, y2=13, class_=f"bar {class_}"))
    parts.append(tag("circle", cx=px(value), cy=13, r=4.5, class_=f"dot {class_}"))
    size = {"width": width, "height": 26, "viewBox": f"0 0 {width} 26"}
    return tag("svg", join(parts), **size, class_="mark", **{"aria-hidden": "true"})


def interval_axis(axis: Axis, width: int = 260) -> Markup:
    """The numbers of the axis that marks stand on: 0, the ends, and those that find room between."""
    inner = width - 16
    taken: list[tuple[float, float]] = []
    parts: list[Markup] = []
    for tick in sorted(axis.ticks, key=lambda t: (t != 0, t not in (axis.low, axis.high), abs(t))):
        x = 8 + axis.place(tick) * inner
        text = _text(tick) if tick <= 0 else f"+{_text(tick)}"
        half = 3.9 * len(text)
        x = min(max(x, half + 1), width - half - 1)
        if all(x - half > end + 8 or x + half < start - 8 for start, end in taken):
            taken.append((x - half, x + half))
            parts.append(_label(x, 13, text, "middle"))
    size = {"width": width, "height": 18, "viewBox": f"0 0 {width} 18"}
    return tag("svg", join(parts), **size, class_="mark", **{"aria-hidden": "true"})
