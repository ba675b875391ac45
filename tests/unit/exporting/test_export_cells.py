"""Predictions of cells for other programs: outlines for QuPath and SpatialData, areas in tables."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from eosin.data import read, write_spatialdata
from eosin.errors import EosinError
from eosin.exporting import export
from eosin.types import Footprints, Prediction, Section, Spots
from unit.data.test_footprint_table import CORNERS, N, prediction

MPP = 0.5


@pytest.fixture
def one() -> Prediction:
    return prediction(MPP)


def features(file: Path) -> list[dict]:
    return json.loads(file.read_text())["features"]


def test_geojson_draws_every_cell_by_its_outline(one: Prediction, tmp_path: Path) -> None:
    drawn = features(export(one, tmp_path / "p.geojson"))
    outlines = one.spots.footprints.outlines
    assert [feature["properties"]["name"] for feature in drawn] == list(one.spots.ids)
    for i, feature in enumerate(drawn):
        (ring,) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        if i == 3:  # no outline: a circle of its area
            away = np.hypot(*(np.array(ring) - one.spots.xy_um[3] / MPP).T)
            assert np.allclose(away * MPP, np.sqrt(one.spots.footprints.area_um2[3] / np.pi), atol=0.01)
        else:
            assert np.allclose(np.array(ring[:-1]) * MPP, outlines.of(i), atol=0.01) and len(ring) == CORNERS + 1


def test_other_outlines_can_be_had(one: Prediction, tmp_path: Path) -> None:
    circles = features(export(one, tmp_path / "p.geojson", outline="circle"))
    for i in (0, 4):  # of its own area, and of the typical width where that is not known
        away = np.hypot(*(np.array(circles[i]["geometry"]["coordinates"][0]) - one.spots.xy_um[i] / MPP).T) * MPP
        assert np.allclose(away, one.spots.widths_um()[i] / 2, atol=0.01)
    points = features(export(one, tmp_path / "p.geojson", outline="point"))
    assert {feature["geometry"]["type"] for feature in points} == {"Point"}


def test_cells_without_outlines_are_circles(one: Prediction, tmp_path: Path) -> None:
    footprints = Footprints(one.spots.footprints.area_um2)
    bare = replace(one, spots=Spots(one.spots.xy_um, 9.0, one.spots.ids, footprints))
    assert len(features(export(bare, tmp_path / "p.geojson"))[0]["geometry"]["coordinates"][0]) == 25
    spots = replace(one, spots=Spots(one.spots.xy_um, 9.0, one.spots.ids))
    for without in (bare, spots):
        with pytest.raises(EosinError, match="the prediction has no outlines of cells; choose another --outline"):
            export(without, tmp_path / "q.geojson", outline="cell")
    assert not (tmp_path / "q.geojson").exists()


def test_tables_tell_areas(one: Prediction, tmp_path: Path) -> None:
    table = pd.read_parquet(export(one, tmp_path / "p.parquet"))
    assert list(table.columns[:4]) == ["spot", "x_um", "y_um", "area_um2"] and table["A"].dtype == np.float32
    assert np.array_equal(table["area_um2"], one.spots.footprints.area_um2, equal_nan=True)
    with open(export(one, tmp_path / "p.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[4]["area_um2"] == "" and float(rows[0]["area_um2"]) == pytest.approx(
        one.spots.footprints.area_um2[0], abs=1e-3
    )


def test_a_block_of_cells_has_its_own_outlines(
    one: Prediction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {name: export(one, tmp_path / name).read_bytes() for name in ("p.geojson", "p.csv")}
    monkeypatch.setattr("eosin.exporting.rows._BLOCK", 7)
    for name, text in whole.items():
        assert export(one, tmp_path / name).read_bytes() == text


@pytest.mark.parametrize("outlines", [True, False])
def test_spatialdata_has_cells_as_shapes(tmp_path: Path, *, outlines: bool) -> None:
    spatialdata = pytest.importorskip("spatialdata")
    one = prediction(MPP, outlines=outlines)
    store = spatialdata.read_zarr(export(one, tmp_path / "p.zarr"))
    shapes, (table,) = store.shapes["spots"], store.tables.values()
    assert list(shapes.index) == list(one.spots.ids) and len(shapes) == N
    assert list(table.obs["cell_id"]) == list(one.spots.ids) and "cell_outlines" not in table.uns
    area = one.spots.footprints.area_um2
    if outlines:
        drawn = shapes.geometry.area.to_numpy() * MPP**2
        inside = area * CORNERS / (2 * np.pi) * np.sin(2 * np.pi / CORNERS)
        kept = ~np.isin(np.arange(N), [3, 4])
        assert np.allclose(drawn[kept], inside[kept], rtol=1e-3) and drawn[3] == pytest.approx(area[3], rel=0.02)
    else:
        assert np.allclose(shapes["radius"] * MPP, one.spots.widths_um() / 2)


@pytest.mark.parametrize("outlines", [True, False])
def test_sections_of_cells_come_back_from_spatialdata(tmp_path: Path, *, outlines: bool) -> None:
    pytest.importorskip("spatialdata")
    made = prediction(None, outlines=outlines)
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(2, (N, 3)))
    section = Section("R1", "P", made.spots, counts=counts, genes=("A", "B", "C"))
    write_spatialdata(section, tmp_path / "R1.zarr")
    (found,) = read(tmp_path / "R1.zarr")
    assert found.spots.ids == section.spots.ids and found.spots.unit == "cells"
    expected, again = section.spots.footprints, found.spots.footprints
    assert np.array_equal(again.area_um2, expected.area_um2, equal_nan=True)
    assert (again.outlines is None) == (not outlines)
    for i in range(N) if outlines else ():
        if i != 3:  # that one is drawn as a circle
            assert np.allclose(again.outlines.of(i), expected.outlines.of(i), atol=1e-3)
