from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eosin.data.readers.native import Native
from eosin.errors import EosinError
from eosin.simulation.cohort import ROLES, Cohort, TissueSettings, simulate, write_cohort
from eosin.simulation.draw_tissue import draw_tissue
from eosin.simulation.tissue_layout import MORPHOLOGY

SMALL: dict[str, Any] = {
    "n_sections": 2,
    "n_patients": 2,
    "size_um": 600.0,
    "mpp": 2.0,
    "pitch_um": 60.0,
    "n_genes": 10,
}
CHANGED: dict[str, Any] = {
    "n_sections": 3,
    "n_patients": 1,
    "size_um": 640.0,
    "mpp": 1.5,
    "pitch_um": 80.0,
    "diameter_um": 50.0,
    "jitter_um": 0.0,
    "hexagonal": True,
    "n_genes": 12,
    "mean_count": 9.0,
    "library_sd": 0.9,
    "dispersion": 0.5,
    "zero_inflation": 0.5,
    "morphology": 0.0,
    "neighbour": 0.0,
    "hidden": 0.0,
    "clone": 0.0,
    "patient_sd": 1.0,
    "stain_sd": 0.3,
    "seed": 7,
}


@pytest.fixture(scope="module")
def small() -> Cohort:
    return simulate(**SMALL)


@pytest.fixture(scope="module")
def large() -> Cohort:
    return simulate(n_sections=2, n_patients=2, mpp=2.0, size_um=1600.0)


def outcome(cohort: Cohort) -> list[Any]:
    sections = [[s.name, s.patient, s.genes, s.spots.diameter_um, s.fingerprint()] for s in cohort.sections]
    return [sections, [image.tobytes() for image in cohort.images], [t.expected.tobytes() for t in cohort.truth]]


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Column by column."""
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.maximum(np.sqrt((a**2).sum(0) * (b**2).sum(0)), 1e-12)


def from_picture(cohort: Cohort, y: list[np.ndarray]) -> np.ndarray:
    """Correlation [g], on the second section, of y with its least-squares prediction from the true morphology."""
    x = [np.column_stack([np.ones(len(t.seen)), t.seen]) for t in cohort.truth]
    weights = np.linalg.lstsq(x[0], y[0], rcond=None)[0]
    return correlation(x[1] @ weights, y[1])


def test_equal_settings_give_equal_tissue(small: Cohort) -> None:
    assert outcome(simulate(TissueSettings(**SMALL))) == outcome(small)


def test_every_field_has_a_changed_value() -> None:
    assert set(CHANGED) == set(TissueSettings.model_fields)


@pytest.mark.parametrize("name", CHANGED)
def test_every_setting_changes_something(name: str, small: Cohort) -> None:
    assert CHANGED[name] != getattr(small.settings, name)
    assert outcome(simulate(**SMALL | {name: CHANGED[name]})) != outcome(small)


def test_one_more_section_leaves_the_others_as_drawn(small: Cohort) -> None:
    more = simulate(**SMALL | {"n_sections": 3})
    assert [image.tobytes() for image in more.images[:2]] == [image.tobytes() for image in small.images]


@pytest.mark.parametrize("bad", [{"n_sections": 0}, {"n_genes": 3}, {"tiles": 1}, {"size_um": float("nan")}])
def test_impossible_settings_are_one_line(bad: dict[str, Any]) -> None:
    with pytest.raises(EosinError, match="synthetic tissue"):
        simulate(**bad)


def test_sections_go_round_the_patients(large: Cohort) -> None:
    names = simulate(**SMALL | {"n_sections": 3}).sections
    assert [(s.name, s.patient) for s in names] == [("A1", "A"), ("B1", "B"), ("A2", "A")]
    assert set(large.roles) == set(ROLES)


def test_counts_are_whole_and_follow_their_expectation(large: Cohort) -> None:
    for section, truth in zip(large.sections, large.truth):
        counts = section.expression(section.genes or ())
        assert (counts >= 0).all() and (counts == np.round(counts)).all()
        pooled = counts.sum() / truth.expected.sum()
        assert 0.9 < pooled < 1.1  # an expectation that forgets zero inflation or library would be off by more
        living = np.array(large.roles) != "silent"
        assert np.median(correlation(truth.expected, counts)[living]) > 0.35


def test_parts_add_up_to_the_expectation(large: Cohort) -> None:
    for truth in large.truth:
        rest = np.log(truth.expected / truth.library[:, None]) - truth.morphology - truth.neighbour - truth.hidden
        np.testing.assert_allclose(rest - rest[0], 0, atol=1e-8)  # what is left is one level per gene


def test_the_picture_tells_the_morphology_part_and_not_the_hidden_one(large: Cohort) -> None:
    roles = np.array(large.roles)
    shown = from_picture(large, [t.morphology for t in large.truth])
    hidden = from_picture(large, [t.hidden for t in large.truth])
    assert np.median(shown[np.isin(roles, MORPHOLOGY)]) > 0.95
    assert np.abs(hidden[np.isin(roles, ("hidden", "clone"))]).mean() < 0.3


def test_morphology_genes_are_predictable_from_counts_and_hidden_ones_less(large: Cohort) -> None:
    found = from_picture(large, [np.log1p(s.expression(s.genes or ())) for s in large.sections])
    roles = np.array(large.roles)
    assert found[np.isin(roles, MORPHOLOGY)].mean() > 0.5
    assert found[roles == "hidden"].mean() < found[np.isin(roles, MORPHOLOGY)].mean() - 0.2


def test_clones_look_alike_and_come_in_two_states(large: Cohort) -> None:
    clone, seen = (np.concatenate([getattr(t, part) for t in large.truth]) for part in ("clone", "seen"))
    full = clone[seen[:, 0] > 0.4]
    assert (np.abs(full) > 0.5).mean() > 0.7  # few in between
    assert 0.15 < (full > 0).mean() < 0.85


def test_neighbour_part_is_not_the_spot_s_own_state(large: Cohort) -> None:
    gene = large.roles.index("neighbour")
    for truth in large.truth:
        x = np.column_stack([np.ones(len(truth.seen)), truth.seen, truth.clone])
        left = truth.neighbour[:, gene] - x @ np.linalg.lstsq(x, truth.neighbour[:, gene], rcond=None)[0]
        assert left.std() > 0.2 * truth.neighbour[:, gene].std()


def test_the_image_looks_like_haematoxylin_and_eosin(large: Cohort) -> None:
    for image, section in zip(large.images, large.sections):
        assert image.dtype == np.uint8 and image.shape[2] == 3
        corner = image[:20, :20].astype(float)
        assert corner.mean() > 235  # bare glass
        xy = (section.spots.xy_um / large.settings.mpp).astype(int)
        pixels = image[xy[:, 1], xy[:, 0]].astype(float)
        assert pixels.mean() < corner.mean() - 30
        red, green, blue = np.median(pixels, 0)
        assert red > blue > green  # pink to purple: never green, never grey
        saturation = (pixels.max(1) - pixels.min(1)) / pixels.max(1)
        assert 0.15 < np.median(saturation) < 0.7


def test_spots_lie_on_tissue_and_nuclei_darken_it(large: Cohort) -> None:
    dense, dark = [], []
    for image, section, truth in zip(large.images, large.sections, large.truth):
        half = 20
        for (x, y), nuclei in zip((section.spots.xy_um / 2).astype(int), truth.seen[:, MORPHOLOGY.index("nuclei")]):
            tile = image[max(y - half, 0) : y + half, max(x - half, 0) : x + half]
            dense.append(nuclei)
            dark.append((tile[..., 0] < 140).mean())  # haematoxylin takes red light
    assert np.corrcoef(dense, dark)[0, 1] > 0.7


def test_grade_closes_the_lumina() -> None:
    low, high = (draw_tissue(np.random.default_rng(3), 1000.0, 2.0, grade) for grade in (0.0, 1.0))
    assert low.lumen.mean() > 1.5 * high.lumen.mean()


def test_exact_lattice_without_jitter() -> None:
    for section in simulate(**SMALL | {"jitter_um": 0.0}).sections:
        np.testing.assert_allclose((section.spots.xy_um - 30) % 60, 0, atol=1e-9)


def test_written_cohort_reads_back(small: Cohort, tmp_path: Any) -> None:
    folder = write_cohort(small, tmp_path / "cohort")
    for section, truth in zip(small.sections, small.truth):
        again = Native().read_section(folder, section.name)
        assert again.fingerprint() == section.fingerprint()
        assert again.domains == section.domains
        assert again.image is not None and again.image.path.is_file() and again.image.mpp == small.settings.mpp
        with np.load(folder / "truth" / f"{section.name}.npz") as stored:
            np.testing.assert_array_equal(stored["expected"], truth.expected)
