"""Files that lie, break off or burst: one line each, quickly, and in little memory."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import tiffslide
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from eosin.errors import EosinError
from eosin.slide import find_tissue, open_slide

GIB = 1 << 30
NOISE = np.random.default_rng(0).integers(0, 256, (96, 130, 3), dtype=np.uint8)


def _encoded(kind: str) -> bytes:
    """A small good file, by kind."""
    buffer = io.BytesIO()
    if kind in ("JPEG", "PNG", "WEBP", "JPEG2000"):
        Image.fromarray(NOISE).save(buffer, kind)
        return buffer.getvalue()
    options = {"resolution": (2e4, 2e4), "resolutionunit": 3, "photometric": "rgb"}
    with tifffile.TiffWriter(buffer, bigtiff=kind == "big", ome=kind == "ome") as file:
        if kind == "plain":
            file.write(NOISE, rowsperstrip=16, compression="lzw", **options)
        elif kind == "ome":
            file.write(NOISE, tile=(32, 32), subifds=1, photometric="rgb", metadata={"PhysicalSizeX": 0.5})
            file.write(NOISE[::2, ::2], tile=(32, 32), subfiletype=1, photometric="rgb")
        else:
            file.write(NOISE, tile=(32, 32), compression="deflate", **options)
            file.write(NOISE[::2, ::2], tile=(32, 32), compression="deflate", subfiletype=1, photometric="rgb")
    return buffer.getvalue()


KINDS = ("JPEG", "PNG", "WEBP", "JPEG2000", "plain", "pyramid", "big", "ome")
GOOD = {kind: _encoded(kind) for kind in KINDS}


def _use(path: Path) -> None:
    """All that is done to an image; an `EosinError` in one line that names the file is a good answer too."""
    try:
        with open_slide(path, mpp=0.5) as slide:
            slide.read((30.0, 20.0), 30.0, 24)
            slide.read((0.0, 0.0), 100.0, 24)
            find_tissue(slide)
    except EosinError as error:
        assert "\n" not in str(error)
        assert str(path) in str(error)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(KINDS), st.floats(0, 1))
def test_cut_anywhere(tmp_path: Path, kind: str, share: float) -> None:
    """In the header, in the directory (at the end in a BigTIFF or OME-TIFF), in the tiles."""
    path = tmp_path / "cut.svs"
    path.write_bytes(GOOD[kind][: int(share * len(GOOD[kind]))])
    _use(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(KINDS), st.data())
def test_bytes_changed_anywhere(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    """Mostly near the start and the end, where headers and directories are."""
    content = bytearray(GOOD[kind])
    n = len(content)
    near = st.one_of(st.integers(0, min(n, 400) - 1), st.integers(max(0, n - 400), n - 1), st.integers(0, n - 1))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(near)
        new = data.draw(st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from([b"\xff" * 4, b"\0" * 4])))
        content[at : at + len(new)] = new[: n - at]
    path = tmp_path / "changed.svs"
    path.write_bytes(content)
    _use(path)


def test_a_slide_whose_levels_cannot_be_read_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eosin.slide import vendor

    path, opened = tmp_path / "ome.tif", []

    class Watched(tiffslide.TiffSlide):
        def __init__(self, file: Path):
            super().__init__(file)
            opened.append(self.ts_tifffile.filehandle)

    def no_levels(_: object) -> None:
        raise ValueError("no levels")

    path.write_bytes(GOOD["ome"])
    monkeypatch.setattr(tiffslide, "TiffSlide", Watched)
    monkeypatch.setattr(vendor, "levels_of", no_levels)
    with pytest.raises(EosinError, match="cannot open it"):
        vendor.TiffSlideSource(path)
    assert len(opened) == 1 and opened[0].closed


@pytest.mark.parametrize("kind", KINDS)
def test_the_good_files_are_good(tmp_path: Path, kind: str) -> None:
    """Else the tests above would prove nothing."""
    path = tmp_path / "good.bin"
    path.write_bytes(GOOD[kind])
    with open_slide(path, mpp=0.5) as slide:
        assert slide.size_px == (130, 96)
        got = slide.read((32.0, 24.0), 20.0, 40).astype(int)
        assert np.abs(got - NOISE[28:68, 44:84]).mean() < 60  # of unrelated noise: 85


def _png(width: int, height: int, body: bytes = b"\0" * 64, more: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    more = chunk(b"prVt", more) if more else b""
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def _tiff(
    width: int, height: int, *, tile: int | None = None, samples: int = 3, pages: int = 1, loop: bool = False
) -> bytes:
    """A TIFF of empty strips or tiles that claims any size; with `loop` its directory is followed by itself."""
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 8), (262, 3, 2), (277, 3, samples)]
    tags += [(273, 4, 0), (278, 4, height), (279, 4, 0)] if tile is None else []
    tags += [(322, 4, tile), (323, 4, tile), (324, 4, 0), (325, 4, 0)] if tile is not None else []
    content = b"II*\0" + struct.pack("<I", 8)
    for page in range(pages):
        directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", t, k, 1, v) for t, k, v in tags)
        end = len(content) + len(directory) + 4
        content += directory + struct.pack("<I", 8 if loop else end if page + 1 < pages else 0)
    return content


def _laughs() -> bytes:
    """An OME-TIFF whose XML would grow to 3 GB of text."""
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "laugh" * 6}">' for i in range(9))
    xml = f'<?xml version="1.0"?><!DOCTYPE OME [{entities}]><OME><Image><Pixels ID="&e8;"/>&e8;</Image></OME>'
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, NOISE, photometric="rgb", description=xml, metadata=None)
    return buffer.getvalue()


HOSTILE = {
    "laughs.tif": _laughs(),
    "claim.png": _png(60_000, 60_000),
    "claim-less.png": _png(40_000, 40_000),
    "burst.png": _png(30_000, 30_000, bytes(90_030_000)),
    "just-below.png": _png(6_900, 6_900, bytes(6_900 * (3 * 6_900 + 1))),
    "claim.tif": _tiff(60_000, 60_000),
    "claim-grey.tif": _tiff(40_000, 40_000, samples=1),
    "claim-tile.tif": _tiff(60_000, 60_000, tile=60_000),
    "large-tile.tif": _tiff(100, 100, tile=65_520),
    "pyramid.tif": _tiff(2**31 - 1, 2**31 - 1, tile=256, pages=3),
    "samples.tif": _tiff(5_000, 5_000, samples=60_000),
    "nothing.tif": _tiff(0, 0),
    "loop.tif": _tiff(64, 64, tile=64, loop=True),
    "claim.jpg": GOOD["JPEG"].replace(struct.pack(">HH", 96, 130), struct.pack(">HH", 65_500, 65_500)),
    "empty.svs": b"",
    "text.svs": b"barcode,gene\n" * 9,
    "jpeg.png": GOOD["JPEG"],
    "ghost.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 60000 60000\nshowpage\n%%EOF\n",
}
ASK = """
import json, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))  # so that a failure of this test does not hurt the machine
from eosin.errors import EosinError
from eosin.slide import find_tissue, open_slide
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        with open_slide(path, mpp=0.5) as slide:
            find_tissue(slide)
        answer = "read"
    except EosinError as error:
        answer = str(error)
    peak = int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) * 1024
    print(json.dumps([path.name, answer, peak]), flush=True)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_small_files_stay_small_in_memory(tmp_path: Path) -> None:
    """Each file here is under 100 kB; decoded as it claims, one alone would take 3 to 10 GB."""
    for name, content in HOSTILE.items():
        (tmp_path / name).write_bytes(content)
        assert len(content) < 200_000
    os.mkfifo(tmp_path / "fifo.svs")
    (tmp_path / "folder.svs").mkdir()
    ran = subprocess.run([sys.executable, "-c", ASK, str(tmp_path)], capture_output=True, text=True, timeout=120)
    told = {name: (answer, peak) for name, answer, peak in map(json.loads, ran.stdout.splitlines())}
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert len(told) == len(HOSTILE) + 2
    assert {name: peak for name, (_, peak) in told.items() if peak > GIB} == {}
    fine = {"just-below.png", "jpeg.png", "loop.tif", "laughs.tif"}  # pixels that are there, whatever is beside them
    for name, (answer, _) in told.items():
        assert (answer == "read") == (name in fine), (name, answer)
        assert "\n" not in answer


def test_a_forged_header_is_told_apart_from_a_large_picture(tmp_path: Path) -> None:
    """Pillow's own limit (179 million pixels) would refuse an honest section of 3 MB and more."""
    theirs = Image.MAX_IMAGE_PIXELS
    (tmp_path / "large.png").write_bytes(_png(14_000, 14_000, more=bytes(3_000_000)))
    assert open_slide(tmp_path / "large.png", mpp=0.5).size_px == (14_000, 14_000)
    (tmp_path / "forged.png").write_bytes(_png(14_000, 14_000))
    with pytest.raises(EosinError, match=r"claims 14000 x 14000 px in a file of .* bytes; its header is damaged"):
        open_slide(tmp_path / "forged.png", mpp=0.5)
    assert theirs == Image.MAX_IMAGE_PIXELS


def test_a_scanner_s_file_with_forged_tiles_is_refused(tmp_path: Path) -> None:
    """OpenSlide knows an Aperio file by its description alone, and would take a tile's memory at its word."""
    path = tmp_path / "a.svs"
    about = "Aperio Image Library v1\r\n130x96 (32x32)|MPP = 0.5"
    tifffile.imwrite(
        path, NOISE, tile=(32, 32), photometric="rgb", compression="jpeg", description=about, metadata=None
    )
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.5)
    with tifffile.TiffFile(path, mode="r+b") as file:
        for name in ("TileWidth", "TileLength"):
            file.pages[0].tags[name].overwrite(32_768)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(EosinError, match="claims tiles of"):
        open_slide(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8),
    kind=st.integers(0, 3),
)
def test_changed_bytes_of_planes_and_codecs_are_read_or_refused_in_one_line(tmp_path: Path, places, kind: int) -> None:
    """Those that tifffile reads tile by tile."""
    path = tmp_path / "s.tif"
    grey = {"photometric": "minisblack", "ome": True, "metadata": {"axes": "CYX"}}
    options = [
        {"compression": "jpeg2000", "photometric": "rgb"},
        {"compression": "webp", "photometric": "rgb"},
        {"planarconfig": "separate", "photometric": "rgb", "compression": "jpeg2000"},
        grey,
    ][kind]
    tifffile.imwrite(path, np.moveaxis(NOISE, -1, 0) if kind > 1 else NOISE, tile=(64, 64), **options)
    content = bytearray(path.read_bytes())
    for place, value in places:
        content[place % len(content)] = value
    path.write_bytes(content)
    try:
        with open_slide(path, mpp=0.5) as slide:
            assert slide.read((20.0, 20.0), 30.0, 24).shape == (24, 24, 3)
    except EosinError as error:
        assert "\n" not in str(error)
