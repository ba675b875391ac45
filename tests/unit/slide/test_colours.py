"""Colours of a slide are those of a flat decoding of the same picture by another library, at ten places."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from eosin.errors import EosinError
from eosin.slide import open_slide
from unit.slide import pictures

MPP = 0.5
PLACES = np.random.default_rng(0).integers(20, (280, 220), (10, 2))
"""Whole pixels (x, y)."""


@pytest.fixture
def pixels() -> np.ndarray:
    return pictures.painted(300, 240, MPP)


def planes(pixels: np.ndarray) -> np.ndarray:
    """Channels first [c h w]."""
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0))


def write(path: Path, pixels: np.ndarray, *, ome: bool, n_levels: int = 2, **options) -> Path:
    """A tiled TIFF [h w c] or [c h w]; reduced levels are every second pixel."""
    metadata = {"PhysicalSizeX": MPP, "PhysicalSizeY": MPP, **options.pop("metadata", {})}
    options = {"tile": (64, 64), "photometric": "rgb", "resolution": (2e4, 2e4), "resolutionunit": 3, **options}
    channels_first = options.get("planarconfig") == "separate" or options["photometric"] == "minisblack"
    with tifffile.TiffWriter(path, ome=ome) as file:
        for level in range(n_levels):
            inner = {"subfiletype": 1} if level else {}
            if ome and level == 0:
                inner = {"subifds": n_levels - 1, "metadata": metadata}
            file.write(pixels, **options, **inner)
            every_second = (slice(None), *[slice(None, None, 2)] * 2) if channels_first else (slice(None, None, 2),) * 2
            pixels = np.ascontiguousarray(pixels[every_second])
    return path


def differ(path: Path, flat: np.ndarray) -> int:
    """Greatest difference of a window of 8 px around each place from the flat picture [h w 3]."""
    with open_slide(path, mpp=MPP) as slide:
        assert slide.size_px == flat.shape[1::-1]
        worst = 0
        for x, y in PLACES:
            got = slide.read((x * MPP, y * MPP), 8 * MPP, 8).astype(int)
            worst = max(worst, int(np.abs(got - flat[y - 4 : y + 4, x - 4 : x + 4]).max()))
        return worst


def flat(path: Path) -> np.ndarray:
    """The first image of a TIFF, channels last, decoded whole by tifffile."""
    picture = tifffile.imread(path)
    return np.moveaxis(picture, 0, -1) if picture.shape[0] in (3, 4) else picture


@pytest.mark.parametrize("n_levels", [1, 2, 3])
def test_three_grey_planes_are_red_green_and_blue(tmp_path: Path, pixels: np.ndarray, n_levels: int) -> None:
    options = {"photometric": "minisblack", "metadata": {"axes": "CYX"}, "n_levels": n_levels}
    path = write(tmp_path / "s.ome.tif", planes(pixels), ome=True, **options)
    assert differ(path, flat(path)) == 0


@pytest.mark.parametrize("ome", [False, True])
@pytest.mark.parametrize("n_levels", [1, 2])
@pytest.mark.parametrize("compression", ["deflate", "jpeg2000"])
def test_planar_colours(tmp_path: Path, pixels: np.ndarray, compression: str, n_levels: int, *, ome: bool) -> None:
    options = {"planarconfig": "separate", "compression": compression, "n_levels": n_levels}
    path = write(tmp_path / "s.tif", planes(pixels), ome=ome, **options)
    assert differ(path, flat(path)) == 0


@pytest.mark.parametrize("ome", [False, True])
@pytest.mark.parametrize("n_levels", [1, 2])
@pytest.mark.parametrize("compression", ["jpeg2000", "webp", "lzma", "zstd", "jpeg", 33005])
def test_codecs(tmp_path: Path, pixels: np.ndarray, compression: str, n_levels: int, *, ome: bool) -> None:
    args = {"compressionargs": {"lossless": True}} if compression == "webp" else {}
    path = write(tmp_path / "s.tif", pixels, ome=ome, n_levels=n_levels, compression=compression, **args)
    assert differ(path, flat(path)) <= (6 if compression == "jpeg" else 0)  # two decoders of JPEG round differently


@pytest.mark.parametrize("n_levels", [1, 2])
@pytest.mark.parametrize("compression", ["deflate", "jpeg2000", "webp"])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
@pytest.mark.parametrize("ome", [False, True])
def test_opacity(tmp_path: Path, pixels, kind: str, compression: str, n_levels: int, *, ome: bool) -> None:
    """What is transparent is seen on white, whether or not colours are stored multiplied by their opacity."""
    alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    alpha[:, :150] = 100
    on_white = np.round(pixels * (alpha / 255.0) + 255.0 - alpha)
    colours = np.round(pixels * (alpha / 255.0)).astype(np.uint8) if kind == "assocalpha" else pixels
    args = {"compressionargs": {"lossless": True}} if compression == "webp" else {}
    options = {"compression": compression, "extrasamples": [kind], "n_levels": n_levels, **args}
    path = write(tmp_path / "s.tif", np.dstack([colours, alpha]), ome=ome, **options)
    assert differ(path, on_white) <= 3


def test_strips_of_premultiplied_colours(tmp_path: Path, pixels: np.ndarray) -> None:
    alpha = np.full((*pixels.shape[:2], 1), 100, np.uint8)
    colours = np.round(pixels * (alpha / 255.0)).astype(np.uint8)
    picture = np.dstack([colours, alpha])
    tifffile.imwrite(tmp_path / "s.tif", picture, photometric="rgb", extrasamples=["assocalpha"])
    assert differ(tmp_path / "s.tif", np.round(pixels * (alpha / 255.0) + 155)) <= 2


@pytest.mark.parametrize("names", [("Blue", "Green", "Red"), ("g", "r", "b")])
def test_planes_go_by_their_names(tmp_path: Path, pixels: np.ndarray, names: tuple[str, ...]) -> None:
    order = ["rgb".index(name[0].lower()) for name in names]
    options = {"photometric": "minisblack", "metadata": {"axes": "CYX", "Channel": {"Name": list(names)}}}
    for n_levels in (1, 2):
        path = write(tmp_path / "s.ome.tif", planes(pixels)[order], ome=True, n_levels=n_levels, **options)
        assert differ(path, pixels) == 0


def test_planes_of_other_names_are_told(tmp_path: Path, pixels: np.ndarray, caplog) -> None:
    """Three channels of fluorescence are no red, green and blue."""
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "FITC", "Cy5"]}}
    path = write(tmp_path / "f.ome.tif", planes(pixels), ome=True, photometric="minisblack", metadata=metadata)
    differ(path, pixels)
    assert "planes called DAPI, FITC, Cy5 are taken for red, green and blue" in caplog.text


def test_windows_over_many_tiles_and_levels(tmp_path: Path) -> None:
    """As of the picture's formula: the edges of tiles, the reduced levels and the rim of the image."""
    pixels = pictures.painted(700, 500, MPP)
    path = tmp_path / "s.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for level in range(2):
            sub = {"subfiletype": 1} if level else {"subifds": 1, "metadata": {"PhysicalSizeX": MPP}}
            file.write(planes(pixels), tile=(96, 128), photometric="rgb", planarconfig="separate", **sub)
            pixels = pictures.halved(pixels)
    with open_slide(path, mpp=MPP) as slide:
        assert slide.library == "tifffile"
        for centre, width, px in (((175.0, 125.0), 240.0, 120), ((100.0, 77.0), 33.0, 66), ((200.0, 100.0), 190.0, 95)):
            assert np.abs(slide.read(centre, width, px) - pictures.window(centre, width, px)).mean() < 1.5
        assert (slide.read((0.0, 0.0), 40.0, 80)[:39, :39] == 255).all()
        many = np.array([[x, y] for x in range(20, 330, 40) for y in range(20, 230, 40)], float)
        assert np.array_equal(slide.read_many(many, 20.0, 40)[7], slide.read(many[7], 20.0, 40))


def test_colour_profiles_are_not_applied(tmp_path: Path, pixels: np.ndarray) -> None:
    """As OpenSlide, which hands out the numbers of the file."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for name in ("s.png", "s.jpg", "s.webp"):
        Image.fromarray(pixels).save(tmp_path / name, icc_profile=profile)
        with Image.open(tmp_path / name) as picture:
            assert differ(tmp_path / name, np.asarray(picture.convert("RGB"))) == 0
    tags = [(34675, "B", len(profile), profile, True)]
    for n_levels in (1, 2):
        path = write(tmp_path / "s.tif", pixels, ome=False, n_levels=n_levels, extratags=tags)
        assert differ(path, flat(path)) == 0


@pytest.mark.parametrize("name", ["s.jp2", "s.webp", "s.bmp", "s.gif"])
def test_pictures_by_pillow(tmp_path: Path, pixels: np.ndarray, name: str) -> None:
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    with Image.open(tmp_path / name) as picture:
        assert differ(tmp_path / name, np.asarray(picture.convert("RGB"))) == 0


def test_a_fallback_is_said_once(tmp_path: Path, pixels: np.ndarray, caplog) -> None:
    path = write(tmp_path / "s.tif", pixels, ome=False, n_levels=1, compression="jpeg2000")
    with caplog.at_level(logging.INFO, "eosin"):
        for _ in range(2):
            with open_slide(path) as slide:
                assert slide.library == "tifffile"
    told = [line for line in caplog.messages if "read by tifffile" in line]
    assert len(told) == 1 and "Unsupported TIFF compression: 34712" in told[0]


def test_a_codec_that_nobody_reads_is_no_damage(tmp_path: Path, pixels: np.ndarray) -> None:
    path = write(tmp_path / "s.tif", pixels, ome=False, n_levels=1, compression="jpegxr")
    with pytest.raises(EosinError, match=r"compressed by JPEGXR, which is not read; convert it, as by: bfconvert"):
        open_slide(path)
    path = write(tmp_path / "y.tif", pixels, ome=False, compression=33003)
    with pytest.raises(EosinError, match=r"compressed by APERIO_JP2000_YCBC, which is not read"):
        open_slide(path)


def test_a_tile_that_holds_a_larger_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    import imagecodecs

    bomb = imagecodecs.jpeg2k_encode(np.zeros((2048, 2048, 3), np.uint8))
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, iter([bomb] * 4), shape=(512, 512, 3), dtype=np.uint8, tile=(256, 256), photometric="rgb",
                     compression="jpeg2000")  # fmt: skip
    with open_slide(path, mpp=MPP) as slide:
        with pytest.raises(EosinError, match="a tile of 256 x 256 px holds 2048 x 2048 px"):
            slide.read((50.0, 50.0), 20.0, 40)


@pytest.mark.parametrize(
    ("head", "told"),
    [(b"\x70\0\0\0", "LIF file"), (b"\0" * 128 + b"DICM", "DICOM file"), (b"\0\0\0\x18ftypheic", "HEIC picture")],
)
def test_formats_that_are_not_read_are_named_with_a_command(tmp_path: Path, head: bytes, told: str) -> None:
    (tmp_path / "s.img").write_bytes(head + b"\0" * 1000)
    with pytest.raises(EosinError, match=rf"s\.img: an? .*{told}.*which is not read; convert it, as by: \w+"):
        open_slide(tmp_path / "s.img", mpp=MPP)


@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
def test_marks_of_orientation_are_refused(tmp_path: Path, pixels: np.ndarray, orientation: int) -> None:
    """Positions may be those of the picture as it is stored, or of the turned one: programs differ."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("s.jpg", "s.png", "s.webp"):
        Image.fromarray(pixels).save(tmp_path / name, exif=exif)
    tag = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "s.tif", pixels, photometric="rgb", extratags=tag)
    write(tmp_path / "tiles.tif", pixels, ome=False, extratags=tag)
    for name in ("s.jpg", "s.png", "s.webp", "s.tif", "tiles.tif"):
        if orientation == 1:
            open_slide(tmp_path / name, mpp=MPP).close()
        else:
            with pytest.raises(EosinError, match=rf"orientation tag says {orientation} .*-auto-orient"):
                open_slide(tmp_path / name, mpp=MPP)
