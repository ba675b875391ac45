"""What several verbs can be told: records of options, and functions that take their fields as keyword arguments.

A room of its own below the other records, since the command line shows them before anything heavy is imported.
"""

from eosin.options.keywords import changed, described, takes_options
from eosin.options.records import (
    DEFAULT_ENCODER,
    BenchSettings,
    CohortOptions,
    DrawOptions,
    FeatureOptions,
    LayoutOptions,
    PanelOptions,
    ReadOptions,
    ScoreOptions,
    StartOptions,
    names_of,
    widths_of,
)

__all__ = [
    "DEFAULT_ENCODER",
    "BenchSettings",
    "CohortOptions",
    "DrawOptions",
    "FeatureOptions",
    "LayoutOptions",
    "PanelOptions",
    "ReadOptions",
    "ScoreOptions",
    "StartOptions",
    "changed",
    "described",
    "names_of",
    "takes_options",
    "widths_of",
]
