"""Areas and outlines of cells: what is refused, what is measured, and that they follow their cells."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from eosin.errors import EosinError
from eosin.types import Footprints, Outlines, Spots, footprints


def outlines(n: int = 12, seed: int = 0) -> tuple[Outlines, list[np.ndarray]]:
    """Convex and star-shaped outlines far from the origin, of 3 to 9 corners; every fourth unit has none."""
    rng, drawn = np.random.default_rng(seed), []
    for i in range(n):
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 10)))
        ring = np.stack([np.cos(angle), np.sin(angle)], 1) * rng.uniform(2, 9, (len(angle), 1))
        drawn.append((ring + np.array([20_000, 9_000]) if i % 4 else np.zeros((0, 2))).astype(np.float32))
    return Outlines(np.concatenate(drawn), np.concatenate([[0], np.cumsum([len(ring) for ring in drawn])])), drawn


@pytest.mark.parametrize("at_once", [1, 20, 1 << 20])
def test_areas_and_centres_are_those_of_shapely(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprints, "_AT_ONCE", at_once)
    made, drawn = outlines()
    areas, centres = made.moments()
    for ring, area, centre in zip(drawn, areas, centres):
        if not len(ring):
            assert np.isnan(area) and np.isnan(centre).all()
            continue
        x, y = ring.astype(float).T
        signed = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2
        assert area == pytest.approx(abs(signed), rel=1e-3)
        polygon = shapely.Polygon(ring)
        if polygon.is_valid:
            assert area == pytest.approx(polygon.area, rel=1e-6)
            assert np.allclose(centre, shapely.get_coordinates(polygon.centroid)[0], atol=1e-3)


def test_a_line_has_no_area_and_no_centre() -> None:
    areas, centres = Outlines(np.array([[0.0, 0], [1, 1], [2, 2]]), np.array([0, 3])).moments()
    assert areas.tolist() == [0.0] and np.isnan(centres).all()


@pytest.mark.parametrize("rows", [np.array([5, 0, 3]), slice(2, 9), np.arange(0)])
def test_they_follow_their_cells(rows: np.ndarray | slice) -> None:
    made, drawn = outlines()
    area = np.arange(1.0, 13.0)
    spots = Spots(np.random.default_rng(0).uniform(0, 9, (12, 2)), 5.0, tuple("abcdefghijkl"), Footprints(area, made))
    taken = spots.take(rows)
    wanted = np.arange(12)[rows]
    assert taken.footprints is not None and taken.footprints.outlines is not None
    assert np.array_equal(taken.footprints.area_um2, area[wanted]) and taken.ids == tuple(spots.ids[i] for i in wanted)
    for place, i in enumerate(wanted):
        assert np.array_equal(taken.footprints.outlines.of(place), drawn[i])


def test_what_cannot_be_is_refused() -> None:
    triangle = np.array([[0.0, 0], [1, 0], [0, 1]])
    for corners, starts, said in (
        (triangle, [0, 2, 3], "fewer than three corners"),
        (triangle, [0, 2], "not cut into units"),
        (triangle, [1, 3], "not cut into units"),
        (triangle, [0, 4, 3], "not cut into units"),
        (triangle * np.nan, [0, 3], "not a finite number"),
    ):
        with pytest.raises(EosinError, match=said):
            Outlines(corners, np.array(starts))
    for area in (0.0, -1.0, np.inf):
        with pytest.raises(EosinError, match="area that is not positive"):
            Footprints(np.array([1.0, area]))
    with pytest.raises(EosinError, match="2 areas, but outlines of 1 cells"):
        Footprints(np.array([1.0, 2.0]), Outlines(triangle, np.array([0, 3])))
    with pytest.raises(EosinError, match="3 spot positions but footprints of 2"):
        Spots(np.zeros((3, 2)), 1.0, ("a", "b", "c"), Footprints(np.array([1.0, 2.0])))


def test_widths_are_of_circles_of_the_same_area() -> None:
    cells = Footprints(np.array([np.pi, np.nan, 4 * np.pi, 9 * np.pi]))
    assert cells.width_um == pytest.approx(4.0)  # the median of the known ones
    spots = Spots(np.zeros((4, 2)), 7.0, tuple("abcd"), cells)
    assert np.allclose(spots.widths_um(), [2, 7, 4, 6]) and spots.summary() == "4 cells of about 7 µm"
    assert Footprints(np.full(2, np.nan)).width_um is None
    assert Spots(np.zeros((2, 2)), 7.0, ("a", "b")).widths_um().tolist() == [7.0, 7.0]
