"""Sentences that stand on every report of a prediction: how to read it."""

from __future__ import annotations

HOW_TO_READ = (
    "Each disc is a spot of tissue, in its true width. Measured and predicted maps of a gene share one colour range, "
    "from the 1st to the 99th percentile of both, so equal colours mean equal expression.",
    "A model that is unsure predicts close to the average: its map is flatter than the measured one, and that is "
    "right, not a fault.",
    "PCC is Pearson's correlation over the spots of a section. Given depth: the same after a straight line in the "
    "total RNA of a spot is taken out of both; what is left is more than where there is much RNA.",
    "Inside 90 %: share of measured values inside the 90 % interval. Trust: what training found on sections that it "
    "held out; map from a correlation of 0.5 on, level only (the mean of the slide) from 0.2 on, else no.",
    "Values between the ends of a colour range are shown in 255 steps; numbers in tables are exact.",
)

RESEARCH_ONLY = "For research. Nothing here is validated for diagnosis or for decisions about patients."
