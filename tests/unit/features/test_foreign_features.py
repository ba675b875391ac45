"""Feature files of TRIDENT, CLAM and the HEST benchmark: matched to spots, and as a section by themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import toy
from eosin import predict, train
from eosin.errors import EosinError
from eosin.features.attach import attach
from eosin.features.feature_file import read_features
from eosin.features.feature_section import key_of, section_of_features
from eosin.features.feature_writing import add_turned, write_features
from eosin.types import Image, Section

MPP, WIDTH_PX = 0.5, 224


@pytest.fixture
def section(tmp_path: Path) -> Section:
    one = toy.section("A1", 40)
    return replace(one, image=Image(tmp_path / "A1.svs", MPP), features=None)


def values(section: Section) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(len(section), 12)).astype(np.float32)


def origins(section: Section) -> np.ndarray:
    return np.round(section.spots.xy_um / MPP - WIDTH_PX / 2).astype(np.int64)


def write(file: Path, order: np.ndarray, section: Section, attrs: dict, **tables) -> Path:
    """Rows in another order than the section's, as every tool has its own."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(file, "w") as out:
        for name, table in tables.items():
            out[name] = table[order] if len(table) == len(section) else table
        out["coords"] = origins(section)[order]
        out["coords"].attrs.update(attrs)
    return file


TRIDENT = {"patch_size": 224, "patch_size_level0": 224, "level0_magnification": 20, "target_magnification": 20,
           "overlap": 0, "name": "A1", "level0_width": 9000, "level0_height": 9000}  # fmt: skip
CLAM = {"patch_size": 112, "patch_level": 1, "downsample": np.array([2.0, 2.0]), "name": "A1"}
CLAM_LEVEL0 = {"patch_size": 224, "patch_level": 0}


def shuffled(section: Section) -> np.ndarray:
    return np.random.default_rng(5).permutation(len(section))


@pytest.mark.parametrize(
    ("attrs", "tile_and_scale"),
    [(TRIDENT, ";tile=224px;scale=20x"), (CLAM, ";tile=112px"), (CLAM_LEVEL0, ";tile=224px")],
    ids=["trident", "clam", "clam at level 0"],
)
def test_tiles_meet_spots_by_place(attrs: dict, tile_and_scale: str, section: Section, tmp_path: Path) -> None:
    write(tmp_path / "f" / "A1.h5", shuffled(section), section, attrs, features=values(section))
    found = attach(section, tmp_path / "f", "uni")
    assert found and found.features and np.array_equal(found.features.values, values(section))
    assert found.features.key == f"file;encoder=uni;width=12{tile_and_scale}"


def test_a_leading_axis_is_no_axis(section: Section, tmp_path: Path) -> None:
    order = shuffled(section)
    write(tmp_path / "f" / "A1.h5", order, section, TRIDENT, features=values(section)[order][None])
    found = attach(section, tmp_path / "f", "uni")
    assert found and found.features and np.array_equal(found.features.values, values(section))


def test_barcodes_of_the_benchmark_beat_places(section: Section, tmp_path: Path) -> None:
    names = np.array([[name.encode()] for name in section.spots.ids])
    write(tmp_path / "f" / "A1.h5", shuffled(section), section, {}, embeddings=values(section), barcodes=names)
    found = attach(replace(section, image=None), tmp_path / "f", "uni")
    assert found and found.features and np.array_equal(found.features.values, values(section))


def test_tiles_of_an_unsaid_width_are_not_placed(section: Section, tmp_path: Path) -> None:
    folder = tmp_path / "FEATURES" / "h5_files"  # patches are searched for two folders up, not among other tests' files
    file = write(folder / "A1.h5", shuffled(section), section, {"patch_size": 224}, features=values(section))
    with pytest.raises(EosinError, match="neither spot names nor a tile width"):
        attach(section, folder, "uni")
    with pytest.raises(EosinError, match=r"does not say how wide its tiles are.*patch_size_level0"):
        section_of_features(file, "uni", mpp=MPP)


@pytest.mark.parametrize("patches", ["RESULTS/patches", "FEATURES/patches", "patches"])
@pytest.mark.parametrize("attrs", [CLAM, CLAM_LEVEL0], ids=["level 1", "level 0"])
def test_clams_tiles_are_as_wide_as_its_patches(section: Section, tmp_path: Path, attrs: dict, patches: str) -> None:
    """CLAM's features have no attributes: they stand in its file of patches, which lies in another folder."""
    order = shuffled(section)
    file = write(tmp_path / "FEATURES" / "h5_files" / "A1.h5", order, section, {}, features=values(section))
    write(tmp_path / patches / "A1.h5", order, section, attrs)
    assert section_of_features(file, "uni", mpp=MPP).spots.diameter_um == 112.0
    found = attach(section, file.parent, "uni")
    assert found and found.features and np.array_equal(found.features.values, values(section))


def test_patches_of_other_places_are_not_believed(section: Section, tmp_path: Path) -> None:
    file = write(tmp_path / "F" / "h5_files" / "A1.h5", shuffled(section), section, {}, features=values(section))
    write(tmp_path / "patches" / "A1.h5", np.arange(len(section)), section, CLAM)
    with pytest.raises(EosinError, match=r"does not say how wide its tiles are; put CLAM's patches/ beside"):
        section_of_features(file, "uni", mpp=MPP)
    (tmp_path / "patches" / "A1.h5").write_bytes(b"no HDF5")
    with pytest.raises(EosinError, match="does not say how wide its tiles are"):
        section_of_features(file, "uni", mpp=MPP)


@pytest.mark.parametrize("attrs", [TRIDENT, CLAM], ids=["trident", "clam"])
def test_a_file_alone_is_a_section_of_its_tiles(attrs: dict, section: Section, tmp_path: Path) -> None:
    order = shuffled(section)
    file = write(tmp_path / "A1.h5", order, section, attrs, features=values(section))
    one = section_of_features(file, "uni", mpp=MPP)
    assert np.abs(one.spots.xy_um - section.spots.xy_um[order]).max() <= MPP  # corners are whole pixels
    assert (one.name, one.counts, one.image, one.spots.diameter_um) == ("A1", None, None, 112.0)
    assert np.array_equal(one.need_features().values, values(section)[order])
    with pytest.raises(EosinError, match=r"A1\.h5: does not say the slide's µm per pixel; give --mpp"):
        section_of_features(file, "uni")  # 20x is no scale


def test_predicting_from_a_file_alone(section: Section, tmp_path: Path) -> None:
    """A model trained on another tool's features predicts a slide of which there is nothing else."""
    cohort = []
    for one in toy.cohort(40):
        known = replace(one, image=Image(tmp_path / f"{one.name}.svs", MPP), features=None)
        write(tmp_path / "f" / f"{one.name}.h5", shuffled(one), one, TRIDENT, features=one.need_features().values)
        cohort.append(known)
    trained = train([attach(one, tmp_path / "f", "stain") or one for one in cohort[:3]], model="ridge", genes="var:5")
    alone = predict(trained, tmp_path / "f" / f"{cohort[3].name}.h5", mpp=MPP)
    stranger = replace(cohort[3], patient=cohort[3].name)  # the file does not say whose it is
    whole = predict(trained, attach(stranger, tmp_path / "f", "stain") or stranger)
    assert np.allclose(alone.mean, whole.mean[shuffled(cohort[3])], atol=1e-3) and alone.section == cohort[3].name
    other = predict_error(trained, write(tmp_path / "B9.h5", shuffled(section), section, TRIDENT,
                                         features=values(section)[:, :7]))  # fmt: skip
    assert "width=7" in other


def test_features_of_an_encoder_whose_weights_are_not_here(tmp_path: Path) -> None:
    cohort = [replace(one, image=Image(tmp_path / f"{one.name}.svs", MPP), features=None) for one in toy.cohort(40)]
    for one in cohort:
        write(tmp_path / "f" / f"{one.name}.h5", shuffled(one), one, TRIDENT, features=values(one))
    trained = train(cohort[:3], model="ridge", genes="var:5", features=tmp_path / "f", encoder="uni2-h")
    assert predict(trained, cohort[3], features=tmp_path / "f").mean.shape == (40, 5)
    assert predict(trained, tmp_path / "f" / "B2.h5", mpp=MPP).mean.shape == (40, 5)


@pytest.mark.parametrize(
    ("attrs", "scale"),
    [
        ({"patch_size": 224, "patch_size_level0": 448, "level0_magnification": 40}, 20),
        ({"patch_size": 224, "patch_size_level0": 448, "mpp": 0.51}, 10),
        ({"patch_size": 224, "patch_size_level0": 224, "mpp": 0.2628}, 40),
        ({"patch_size": 256, "patch_level": 1, "downsample": 4.0, "mpp": 0.25}, 10),
        ({"target_magnification": 5, "level0_magnification": 40}, 5),
        ({"patch_size": 224, "level0_magnification": 40}, None),  # the tiles may be of any level
        ({}, None),
    ],
)
def test_the_scale_is_the_nearest_usual_one(attrs: dict, scale: int | None) -> None:
    told = key_of(attrs, "uni", 12).split(";")
    assert [fact for fact in told if fact.startswith("scale")] == ([] if scale is None else [f"scale={scale}x"])


def test_features_at_10x_are_refused_by_a_model_of_20x(section: Section, tmp_path: Path) -> None:
    at_10x = {**TRIDENT, "target_magnification": 10, "patch_size": 112}
    cohort = []
    for one in toy.cohort(40):
        known = replace(one, image=Image(tmp_path / f"{one.name}.svs", MPP), features=None)
        for folder, attrs in (("f", TRIDENT), ("other", at_10x)):
            write(tmp_path / folder / f"{one.name}.h5", shuffled(one), one, attrs, features=one.need_features().values)
        cohort.append(known)
    read = [attach(one, tmp_path / "f", "uni") or one for one in cohort]
    trained = train(read[:3], model="ridge", genes="var:5")
    other = attach(cohort[3], tmp_path / "other", "uni") or cohort[3]
    with pytest.raises(EosinError, match=r"scale=10x.*scale=20x"):
        predict(trained, other)
    with pytest.raises(EosinError, match="2 encoders or settings"):
        train([*read[:3], other], model="ridge", genes="var:5")
    earlier = replace(trained, encoder_key="file;encoder=uni;width=12")  # a checkpoint without tile and scale
    assert np.array_equal(predict(earlier, read[3]).mean, predict(trained, read[3]).mean)


def predict_error(trained, file: Path) -> str:
    with pytest.raises(EosinError) as caught:
        predict(trained, file, mpp=MPP)
    return str(caught.value)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "A1.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(EosinError, match="is a pickle, which runs code"):
        section_of_features(tmp_path / "A1.pt", "uni", mpp=0.5)


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({"features": np.full((40, 3), np.nan)}, "NaN"),
        ({"features": np.array([[b"a"]] * 40)}, "no numbers"),
        ({"features": np.zeros((39, 3))}, "disagree"),
        ({"features": np.zeros(40)}, "disagree"),
        ({"other": np.zeros((40, 3))}, "holds no 'features'"),
    ],
)
def test_wrong_tables_are_one_line(tables: dict, says: str, section: Section, tmp_path: Path) -> None:
    file = write(tmp_path / "A1.h5", np.arange(40), section, TRIDENT, **tables)
    with pytest.raises(EosinError, match=says):
        section_of_features(file, "uni", mpp=0.5)


def test_wrong_coords_and_links_out_are_one_line(section: Section, tmp_path: Path) -> None:
    file = write(tmp_path / "A1.h5", np.arange(40), section, TRIDENT, features=values(section))
    with h5py.File(file, "a") as stored:
        del stored["coords"]
        stored["coords"] = np.zeros(80)
    with pytest.raises(EosinError, match="coords have shape"):
        section_of_features(file, "uni", mpp=0.5)
    with h5py.File(file, "a") as stored:
        del stored["coords"]
        stored["coords"] = h5py.ExternalLink(str(tmp_path / "elsewhere.h5"), "/x")
    with pytest.raises(EosinError, match="leads into another file"):
        section_of_features(file, "uni", mpp=0.5)


def test_cut_files_are_one_line(section: Section, tmp_path: Path) -> None:
    file = write(tmp_path / "A1.h5", np.arange(40), section, TRIDENT, features=values(section))
    whole = file.read_bytes()
    for share in (0.0, 0.1, 0.5, 0.9):
        file.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(EosinError, match=r"not readable as HDF5|is empty"):
            section_of_features(file, "uni", mpp=0.5)


def test_only_files_of_other_tools_are_walked_first(
    section: Section, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk takes as long as reading ten files, and ours are read by the thousand."""
    walked: list[str] = []
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: walked.append(Path(path).name))
    attrs = {"encoder": "stain", "encoder_key": "stain;1", "mpp": MPP, "tile_um": 112.0, **TRIDENT}
    write_features(tmp_path / "own.h5", section.spots.ids, section.spots.xy_um, values(section), attrs)
    turned = np.repeat(values(section)[:, None], 7, axis=1)
    add_turned(tmp_path / "own.h5", turned, readable=np.ones(len(section), bool))
    read_features(tmp_path / "own.h5", turned=True)
    assert walked == []
    read_features(write(tmp_path / "trident.h5", np.arange(40), section, TRIDENT, features=values(section)))
    assert walked == ["trident.h5"]


def test_spots_of_the_same_names_at_other_places_are_refused(section: Section, tmp_path: Path) -> None:
    attrs = {"encoder": "stain", "encoder_key": "stain;1", "mpp": MPP, "tile_um": 112.0, "patch_size": 224,
             "patch_size_level0": 224, "level0_width": 9000, "level0_height": 9000}  # fmt: skip
    spots = section.spots
    near = spots.xy_um + 0.1 * spots.diameter_um
    write_features(tmp_path / "near" / "A1.h5", spots.ids, near, values(section), attrs)
    assert attach(section, tmp_path / "near", "stain")
    moved = spots.xy_um.copy()
    moved[3] += spots.diameter_um
    write_features(tmp_path / "far" / "A1.h5", spots.ids, moved, values(section), attrs)
    with pytest.raises(EosinError, match=f"1 of the 40 spots.*another place, first '{spots.ids[3]}'"):
        attach(section, tmp_path / "far", "stain")
