"""Predictions of other tools: matched by names or places, on a scale that is said and never guessed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import toy
from eosin.data.other_prediction import is_of_eosin, read_other
from eosin.errors import EosinError
from eosin.types import Image, Section


@pytest.fixture
def section() -> Section:
    return toy.section("A1", 30)


def written(section: Section, path: Path, change: Callable[[ad.AnnData], None] = lambda a: None) -> Path:
    """What another tool would write: ln(1 + count) of six genes, in another order of spots, in pixels."""
    assert section.counts is not None and section.genes is not None
    rows = np.random.default_rng(0).permutation(len(section.spots))
    values = np.log1p(section.counts.toarray()[rows][:, :6]).astype(np.float32) + 0.01
    adata = ad.AnnData(
        values,
        obs=pd.DataFrame(index=[section.spots.ids[r] for r in rows]),
        var=pd.DataFrame(index=list(section.genes[:6])),
        obsm={"spatial": section.spots.xy_um[rows]},
    )
    change(adata)
    adata.write_h5ad(path)
    return path


def test_spots_are_found_by_name_in_any_order(section: Section, tmp_path: Path) -> None:
    file = written(section, tmp_path / "A1.h5ad")
    assert not is_of_eosin(file)
    found = read_other(file)
    assert found.name == "A1"
    made = found.on(section, "log1p")
    place = {id_: row for row, id_ in enumerate(section.spots.ids)}
    rows = [place[id_] for id_ in made.spots.ids]
    np.testing.assert_allclose(made.mean, np.log1p(section.counts.toarray()[rows][:, :6]) + 0.01, atol=1e-5)
    np.testing.assert_allclose(made.spots.xy_um, section.spots.xy_um[rows])


def other_names(adata: ad.AnnData) -> None:
    adata.obs_names = [f"row {i}" for i in range(len(adata))]


@pytest.mark.parametrize("mpp", [1.0, 0.25])
def test_spots_are_found_by_place_in_um_or_px(section: Section, tmp_path: Path, mpp: float) -> None:
    def change(adata: ad.AnnData) -> None:
        other_names(adata)
        adata.obsm["spatial"] = adata.obsm["spatial"] / mpp

    imaged = replace(section, image=Image(tmp_path / "slide.tif", mpp))
    by_name = read_other(written(section, tmp_path / "a.h5ad")).on(section, "log1p")
    by_place = read_other(written(section, tmp_path / "b.h5ad", change)).on(imaged, "log1p")
    assert by_place.spots.ids == by_name.spots.ids
    np.testing.assert_array_equal(by_place.mean, by_name.mean)


def test_spots_elsewhere_are_refused(section: Section, tmp_path: Path) -> None:
    def change(adata: ad.AnnData) -> None:
        other_names(adata)
        adata.obsm["spatial"] = adata.obsm["spatial"] + 47.0

    with pytest.raises(EosinError, match="neither named nor placed as those of section 'A1'"):
        read_other(written(section, tmp_path / "a.h5ad", change)).on(section, "log1p")


def test_missing_spots_and_unmeasured_genes_are_said(
    section: Section, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def change(adata: ad.AnnData) -> None:
        adata.var_names = [*adata.var_names[:5], "NOT MEASURED"]
        adata.obs_names = [*adata.obs_names[:28], "x", "y"]

    with caplog.at_level(logging.INFO, logger="eosin"):
        made = read_other(written(section, tmp_path / "a.h5ad", change)).on(section, "log1p")
    assert made.draws.shape == (1, 28, 5)
    assert "2 spots of 30 left out" in caplog.text and "1 gene of 6 left out" in caplog.text


def test_the_scale_is_said_and_never_guessed(section: Section, tmp_path: Path) -> None:
    logs = read_other(written(section, tmp_path / "logs.h5ad"))
    with pytest.raises(EosinError, match=r"does not say on which scale .* lie between 0.01 and"):
        logs.on(section, None)
    with pytest.raises(EosinError, match="no scale is called 'ln'"):
        logs.on(section, "ln")

    def to_counts(adata: ad.AnnData) -> None:
        adata.X = sparse.csr_matrix(np.round(np.expm1(adata.X)))

    counts = read_other(written(section, tmp_path / "counts.h5ad", to_counts))
    with pytest.raises(EosinError, match=r"whole numbers up to .*, as counts are"):
        counts.on(section, None)
    with pytest.raises(EosinError, match="which logarithms are not; say --scale counts"):
        counts.on(section, "log1p")
    made = counts.on(section, "counts")
    assert made.panel.transform == "log1p"
    np.testing.assert_allclose(made.mean, logs.on(section, "log1p").mean - 0.01, atol=0.02)

    def standardise(adata: ad.AnnData) -> None:
        adata.X = (adata.X - adata.X.mean(0)) / adata.X.std(0)

    with pytest.raises(EosinError, match="values are below 0, the lowest"):
        read_other(written(section, tmp_path / "z.h5ad", standardise)).on(section, "log1p")


def test_gaps_are_told_from_spots_that_were_left_out(
    section: Section, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def empty_row(adata: ad.AnnData) -> None:
        adata.X[3] = np.nan
        adata.X[:, 2] = np.nan

    with caplog.at_level(logging.WARNING, logger="eosin"):
        found = read_other(written(section, tmp_path / "a.h5ad", empty_row))
    assert found.values.shape == (29, 5) and "1 of 30 spots without any value left out" in caplog.text
    assert "1 of 6 genes without any value left out" in caplog.text

    def hole(adata: ad.AnnData) -> None:
        adata.X[3, 1] = np.nan

    with pytest.raises(EosinError, match="1 of 180 values are NaN or infinite, first of gene 'GENE1'"):
        read_other(written(section, tmp_path / "b.h5ad", hole))


def test_what_is_no_prediction_is_refused(section: Section, tmp_path: Path) -> None:
    def bare(adata: ad.AnnData) -> None:
        del adata.obsm["spatial"]

    def foreign_genes(adata: ad.AnnData) -> None:
        adata.var_names = [f"OTHER{j}" for j in range(6)]

    def twice(adata: ad.AnnData) -> None:
        adata.obs_names = ["same"] * len(adata)

    with pytest.raises(EosinError, match="spatial"):
        read_other(written(section, tmp_path / "a.h5ad", bare))
    with pytest.raises(EosinError, match="no gene of it is measured"):
        read_other(written(section, tmp_path / "b.h5ad", foreign_genes)).on(section, "log1p")
    with pytest.raises(EosinError, match="spot 'same' occurs twice"):
        read_other(written(section, tmp_path / "c.h5ad", twice))


def test_alone_places_are_scaled_or_taken_as_um(
    section: Section, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = read_other(written(section, tmp_path / "a.h5ad"))
    scaled = found.alone("log1p", mpp=0.5)
    np.testing.assert_allclose(scaled.spots.xy_um, found.xy * 0.5)
    assert not caplog.text
    with caplog.at_level(logging.WARNING, logger="eosin"):
        found.alone("log1p")
    assert "places are taken as µm" in caplog.text


def exchanged(share: float) -> Callable[[ad.AnnData], None]:
    """Names of some spots are dealt out anew, while places stay."""

    def change(adata: ad.AnnData) -> None:
        names = np.array(adata.obs_names)
        some = np.arange(max(int(share * len(names)), 2))
        names[some] = np.roll(names[some], 1)
        adata.obs_names = names

    return change


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_names_that_contradict_places_are_refused(section: Section, tmp_path: Path, share: float) -> None:
    file = written(section, tmp_path / "a.h5ad", exchanged(share))
    with pytest.raises(EosinError, match="named as those of section 'A1', but lie otherwise to one another"):
        read_other(file).on(section, "log1p")


@pytest.mark.parametrize(("factor", "shift", "said"), [(1.0, 0.0, False), (4.0, 0.0, False), (1.0, 300.0, True)])
def test_places_that_are_all_moved_are_said(
    section: Section, tmp_path: Path, caplog: pytest.LogCaptureFixture, factor: float, shift: float, *, said: bool
) -> None:
    def change(adata: ad.AnnData) -> None:
        adata.obsm["spatial"] = adata.obsm["spatial"] * factor + shift

    imaged = replace(section, image=Image(tmp_path / "slide.tif", 0.25))
    made = read_other(written(section, tmp_path / "a.h5ad", change)).on(imaged, "log1p")
    assert len(made.spots) == len(section.spots)
    assert ("lie elsewhere in µm and in pixels" in caplog.text) is said


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda v: v * 0 + 5e5 + 0.5, "its values reach 5e\\+05, which is too much on the scale 'log1p'"),
        (lambda v: np.where(np.arange(v.size).reshape(v.shape) == 7, -500.0, v), "1 of .* values are below 0, the low"),
        (lambda v: np.where(np.arange(v.size).reshape(v.shape) % 5 == 0, -0.3, v), "the lowest -0.3"),
    ],
)
def test_values_that_no_logarithm_has_are_refused(
    section: Section, tmp_path: Path, values: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    def change(adata: ad.AnnData) -> None:
        adata.X = values(np.asarray(adata.X)).astype(np.float32)

    other = read_other(written(section, tmp_path / "a.h5ad", change))
    for use in (lambda: other.on(section, "log1p"), lambda: other.alone("log1p", mpp=1.0)):
        with pytest.raises(EosinError, match=message):
            use()


@pytest.mark.parametrize(("told", "said"), [("log1p", True), ("counts", False)])
def test_a_scale_that_fits_much_worse_than_another_is_said(
    section: Section, tmp_path: Path, caplog: pytest.LogCaptureFixture, told: str, *, said: bool
) -> None:
    """Expected counts, which are not whole."""

    def change(adata: ad.AnnData) -> None:
        adata.X = np.minimum(np.expm1(np.asarray(adata.X)) + 0.3, 13)

    read_other(written(section, tmp_path / "a.h5ad", change)).on(section, told)
    assert ("on 'counts'" in caplog.text) is said


def test_a_little_below_0_is_taken(section: Section, tmp_path: Path) -> None:
    def change(adata: ad.AnnData) -> None:
        adata.X[3, 2] = -0.05

    assert read_other(written(section, tmp_path / "a.h5ad", change)).on(section, "log1p").mean.min() < 0


def test_places_that_are_not_known_are_refused(section: Section, tmp_path: Path) -> None:
    def change(adata: ad.AnnData) -> None:
        adata.obsm["spatial"][4, 1] = np.nan

    with pytest.raises(EosinError, match="the places of 1 of 30 spots are NaN"):
        read_other(written(section, tmp_path / "a.h5ad", change))


@pytest.mark.parametrize("mpp", [0.0, -1.0, float("nan")])
def test_an_impossible_scale_is_refused(section: Section, tmp_path: Path, mpp: float) -> None:
    with pytest.raises(EosinError, match="µm per pixel is impossible"):
        read_other(written(section, tmp_path / "a.h5ad")).alone("log1p", mpp=mpp)
