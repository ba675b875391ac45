"""The records check themselves when made, and are never changed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import toy
from eosin.errors import EosinError
from eosin.types import Batch, Features, GenePanel, Image, Prediction, Section, Spots, check_mpp, first_repeat

XY = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
SPOTS = Spots(XY, 55.0, ("a", "b", "c"))
COUNTS = np.array([[0, 1], [2, 0], [3, 4]])


def section(**given) -> Section:
    return Section(**{"name": "S", "patient": "P", "spots": SPOTS, "counts": COUNTS, "genes": ("g", "h"), **given})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ids": ("a", "b")}, "3 spot positions but 2 spot ids"),
        ({"ids": ("a", "b", "a")}, "spot id 'a' occurs twice; make the spot ids unique"),
        ({"xy_um": np.array([[0, 0], [np.nan, 0], [1, 1]])}, "position of spot 'b' is not a finite number"),
        ({"xy_um": np.array([[0, 0], [1, 0], [1, np.inf]])}, "position of spot 'c'"),
        ({"diameter_um": 0}, "diameter is 0 µm; it must be positive"),
        ({"diameter_um": np.nan}, "diameter is nan"),
    ],
)
def test_spots_refuse(given: dict, says: str) -> None:
    with pytest.raises(EosinError, match=says):
        Spots(**{"xy_um": XY, "diameter_um": 55.0, "ids": ("a", "b", "c"), **given})


def test_spots_are_a_copy_that_nobody_can_change() -> None:
    xy = XY.copy()
    spots = Spots(xy, 55.0, (1, 2, 3))
    xy[0] = 7
    assert spots.xy_um[0, 0] == 0
    assert spots.ids == ("1", "2", "3")
    with pytest.raises(ValueError, match="read-only"):
        spots.xy_um[0] = 7
    with pytest.raises(FrozenInstanceError):
        spots.diameter_um = 1.0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"counts": None}, "counts and gene names together"),
        ({"genes": None}, "counts and gene names together"),
        ({"counts": COUNTS[:2]}, r"counts are \(2, 2\), expected \(3 spots, 2 genes\)"),
        ({"genes": ("g", "g")}, "gene 'g' occurs twice"),
        ({"counts": COUNTS - 1}, "negative numbers; give raw counts"),
        ({"counts": COUNTS / 2}, "fractions; give raw counts"),
        ({"counts": np.where(COUNTS == 4, np.nan, COUNTS)}, "NaN or infinity; give raw counts"),
        ({"counts": np.where(COUNTS == 4, np.inf, COUNTS)}, "NaN or infinity"),
        ({"features": Features(np.zeros((2, 4)), "e", "k")}, "3 spots but 2 rows of features"),
        ({"domains": ("x",)}, "1 domain labels, 3 spots"),
        ({"spots": Spots(np.empty((0, 2)), 55.0, ())}, "'S' has no spots; leave it out"),
    ],
)
def test_sections_refuse(given: dict, says: str) -> None:
    with pytest.raises(EosinError, match=says):
        section(**given)


@pytest.mark.parametrize("values", [np.zeros(3), np.full((3, 2), np.nan), np.full((3, 2), np.inf)])
def test_features_refuse(values: np.ndarray) -> None:
    with pytest.raises(EosinError):
        Features(values, "e", "k")


@pytest.mark.parametrize(
    "turned", [np.zeros((3, 2)), np.zeros((3, 6, 2)), np.zeros((2, 7, 2)), np.full((3, 7, 2), np.nan)]
)
def test_turned_features_refuse(turned: np.ndarray) -> None:
    with pytest.raises(EosinError):
        Features(np.zeros((3, 2)), "e", "k", turned)


def test_turned_features_stay_with_their_spots() -> None:
    turned = np.arange(3 * 7 * 2, dtype=np.float32).reshape(3, 7, 2)
    one = section(features=Features(np.zeros((3, 2)), "e", "k", turned), counts=None, genes=None)
    assert np.array_equal(one.take(np.array([2, 0])).need_features().turned, turned[[2, 0]])
    both = Batch.of([one, replace(one, name="other").take(np.array([1]))])
    assert np.array_equal(both.turned, turned[[0, 1, 2, 1]])
    assert np.array_equal(both.regions([np.array([3]), np.array([2, 0])]).turned, turned[[1, 2, 0]])
    bare = one.with_features(Features(np.zeros((3, 2)), "e", "k"))
    assert Batch.of([one, replace(bare, name="bare")]).turned is None


def test_expression_is_by_name_in_the_order_asked_for() -> None:
    assert section().expression(("h", "g")).tolist() == COUNTS[:, ::-1].tolist()
    with pytest.raises(EosinError, match="'S' lacks 2 of the panel's 3 genes, first 'x'"):
        section().expression(("g", "x", "y"))
    with pytest.raises(EosinError, match="'S' has no counts"):
        section(counts=None, genes=None).expression(("g",))


def test_a_section_at_some_spots() -> None:
    whole = section(features=Features(np.arange(6).reshape(3, 2), "e", "k"), domains=("x", "y", "z"))
    some = whole.take(np.array([2, 0]))
    assert some.spots.ids == ("c", "a")
    assert some.spots.xy_um.tolist() == XY[[2, 0]].tolist()
    assert some.features is not None and some.features.values.tolist() == [[4, 5], [0, 1]]
    assert some.domains == ("z", "x")
    assert some.expression(("g", "h")).tolist() == COUNTS[[2, 0]].tolist()
    assert len(whole) == 3  # untouched


@pytest.mark.parametrize(
    "given",
    [
        {"name": "T"},
        {"spots": replace(SPOTS, xy_um=XY + 1e-9)},
        {"spots": replace(SPOTS, ids=("a", "b", "d"))},
        {"counts": COUNTS + (COUNTS == 4)},
        {"counts": COUNTS[:, ::-1]},
        {"genes": ("g", "i")},
        {"features": Features(np.zeros((3, 2)), "e", "k")},
    ],
)
def test_fingerprint_sees_what_matters(given: dict) -> None:
    assert section(**given).fingerprint() != section().fingerprint()


def test_fingerprint_sees_the_values_of_features_and_not_those_of_turned_tiles() -> None:
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    first = section(features=Features(values, "e", "k"))
    assert first.with_features(Features(values + 1, "e", "k")).fingerprint() != first.fingerprint()
    turned = Features(values, "e", "k", turned=np.ones((3, 7, 2)))
    assert first.with_features(turned).fingerprint() == first.fingerprint()


def test_a_fingerprint_is_computed_once_per_record(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr("eosin.types.section.fingerprint", lambda name, *_: hashed.append(name) or "hash")
    one = section()
    assert (one.fingerprint(), one.fingerprint()) == ("hash", "hash") and len(hashed) == 1
    assert replace(one, name="T").fingerprint() == "hash" and hashed == ["S", "T"]  # another record


@pytest.mark.parametrize(
    ("key", "other", "fit"),
    [
        ("uni-1", "uni-1", True),
        ("uni-1", "uni-2", False),
        ("file;encoder=uni;width=12;tile=224px;scale=20x", "file;encoder=uni;width=12", True),
        ("file;encoder=uni;width=12", "file;encoder=uni;width=12;tile=224px;scale=20x", True),
        ("file;encoder=uni;width=12;tile=224px", "file;encoder=uni;width=12;tile=256px;scale=20x", False),
        ("file;encoder=uni;width=12;scale=10x", "file;encoder=uni;width=12;scale=20x", False),
        ("file;encoder=uni;width=13", "file;encoder=uni;width=12", False),
        ("file;encoder=uni;width=12", "uni;encoder=uni;width=12", False),
    ],
)
def test_features_fit_a_key(key: str, other: str, fit: object) -> None:
    assert Features(np.zeros((1, 2)), "uni", key).fits(other) is fit


def test_fingerprint_does_not_see_what_does_not_matter() -> None:
    same = section(counts=sparse.csr_matrix(COUNTS.astype(np.int8)), notes=("read otherwise",))
    assert same.fingerprint() == section().fingerprint()


@pytest.mark.parametrize(("names", "says"), [((), "panel is empty"), (("a", "b", "a"), "'a' occurs twice")])
def test_panels_refuse(names: tuple, says: str) -> None:
    with pytest.raises(EosinError, match=says):
        GenePanel(names)


@pytest.mark.parametrize("mpp", [0, -1, 0.01, 50, np.nan, np.inf])
def test_no_microscope_has_this_scale(mpp: float) -> None:
    with pytest.raises(EosinError, match=r"a\.svs: .*--mpp"):
        check_mpp(mpp, "a.svs")
    with pytest.raises(EosinError):
        Image(Path("a.svs"), mpp)


PANEL = GenePanel(("g", "h"))


def test_prediction_derives_mean_spread_and_quantiles() -> None:
    draws = np.random.default_rng(0).normal(size=(5, 3, 2))
    made = Prediction("S", SPOTS, PANEL, draws, "m", 0)
    draws = draws.astype(np.float32)
    assert np.allclose(made.mean, draws.mean(0), atol=1e-6)
    assert np.allclose(made.sd, draws.std(0, ddof=1), atol=1e-6)
    assert np.allclose(made.quantile(0.25), np.quantile(draws, 0.25, axis=0), atol=1e-6)


def test_one_draw_has_no_spread() -> None:
    made = Prediction("S", SPOTS, PANEL, np.zeros((1, 3, 2)), "m", 0)
    for ask in (lambda: made.sd, lambda: made.quantile(0.5)):
        with pytest.raises(EosinError, match="one draw"):
            ask()


@pytest.mark.parametrize("shape", [(3, 2), (0, 3, 2), (1, 2, 2), (1, 3, 3)])
def test_prediction_refuses_another_shape(shape: tuple) -> None:
    with pytest.raises(EosinError, match="draws have shape"):
        Prediction("S", SPOTS, PANEL, np.zeros(shape), "m", 0)


def test_prediction_refuses_what_is_no_number() -> None:
    with pytest.raises(EosinError, match="predicted NaN or infinity on 'S'"):
        Prediction("S", SPOTS, PANEL, np.full((1, 3, 2), np.nan), "m", 0)


def test_batch_keeps_sections_apart_and_regions_in_order() -> None:
    batch = Batch.of([toy.section("A1", 5), toy.section("B1", 3)])
    assert batch.starts.tolist() == [0, 5, 8]
    assert batch.part_of_spot().tolist() == [0] * 5 + [1] * 3
    part = replace(batch, training_rows=np.arange(8)).regions([np.array([7, 6]), np.array([1])])
    assert part.starts.tolist() == [0, 2, 3]
    assert part.training_rows is not None and part.training_rows.tolist() == [7, 6, 1]
    assert np.array_equal(part.features, batch.features[[7, 6, 1]])


def test_batch_refuses_features_of_two_encoders() -> None:
    one, other = toy.section("A1", 5), toy.section("B1", 5)
    other = other.with_features(Features(np.zeros((5, toy.N_FEATURES)), "toy", "toy-2"))
    with pytest.raises(EosinError, match="toy-1, toy-2; encode all sections alike"):
        Batch.of([one, other])
    with pytest.raises(EosinError, match="'A1' has no features; encode it first"):
        Batch.of([replace(one, features=None)])


def test_first_repeat() -> None:
    assert first_repeat(["a", "b", "b", "a"]) == "b"
