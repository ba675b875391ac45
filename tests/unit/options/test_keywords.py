"""Records of options as keyword arguments, and as documentation."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from eosin.options import BenchSettings, FeatureOptions, LayoutOptions, ReadOptions, changed, described, takes_options

FOR_ANNDATA = ["library", "positions_um"]


@takes_options(hide=("duplicates",))
def verb(
    data: str, *, mpp: str = "own", seed: int = 0, reading: ReadOptions = ReadOptions()
) -> tuple[str, str, int, ReadOptions]:
    """Do it.

    Parameters
    ----------
    data
        What to do it to.

    Returns
    -------
    tuple
        All that came in.
    """
    return data, mpp, seed, reading


def test_fields_reach_the_record_and_own_parameters_stay_their_own() -> None:
    got = verb("a", mpp="0.5", bin_um=16.0, seed=3)
    assert got == ("a", "0.5", 3, ReadOptions(bin_um=16.0))


def test_a_record_is_taken_too_and_fields_go_over_it() -> None:
    assert verb("a", reading=ReadOptions(reader="visium"), bin_um=8.0)[3] == ReadOptions(reader="visium", bin_um=8.0)


@pytest.mark.parametrize("name", ["bin", "duplicates"])
def test_unknown_and_hidden_names_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match=name):
        verb("a", **{name: 1})


def test_the_signature_and_the_documentation_show_the_fields() -> None:
    shown = inspect.signature(verb).parameters
    assert list(shown) == [
        "data",
        "mpp",
        "seed",
        "reader",
        "bin_um",
        "unit",
        *FOR_ANNDATA,
        "patient",
        "gene_names",
        "gene_table",
        "sections",
    ]
    assert shown["bin_um"].default is None
    doc = inspect.getdoc(verb) or ""
    assert doc.index("bin_um\n    Width of pseudo-spots") < doc.index("Returns\n-------")
    assert "duplicates" not in doc


def test_an_empty_call_changes_nothing() -> None:
    assert changed(ReadOptions()) == {}
    assert changed(ReadOptions(mpp=0.5)) == {"mpp": 0.5}


@pytest.mark.parametrize("record", [ReadOptions, FeatureOptions, LayoutOptions, BenchSettings])
def test_every_field_is_described_once(record: type) -> None:
    lines = described(record)
    assert list(lines) == [field.name for field in fields(record)]
    assert all(line.endswith(".") and len(line) > 15 for line in lines.values())


def test_lists_may_be_text_by_commas() -> None:
    assert FeatureOptions(tile_um="165, 330").tile_um == FeatureOptions(tile_um=[165, 330]).tile_um == (165.0, 330.0)
    assert BenchSettings(biomarkers="GATA3, ERBB2").biomarkers == ("GATA3", "ERBB2")
