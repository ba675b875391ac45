"""Images that are not read, and the command that converts them; images that are marked to be turned."""

from __future__ import annotations

from pathlib import Path

from eosin.errors import EosinError

_BIOFORMATS = "bfconvert IN OUT.ome.tif"
_VIPS = "vips copy IN OUT.tif[tile,pyramid,compression=jpeg]"
_ZIP = b"PK\x03\x04"
_UNREAD = (
    (128, b"DICM", "a DICOM file that OpenSlide does not know as a slide", "wsidicomizer, or bfconvert IN OUT.ome.tif"),
    (0, b"\x70\0\0\0", "a LIF file of Leica", _BIOFORMATS),
    (4, b"ftypheic", "a HEIC picture", _VIPS),
    (4, b"ftypavif", "an AVIF picture", _VIPS),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture", _VIPS),
    (0, b"\xff\x0a", "a JPEG XL picture", _VIPS),
    (0, b"\x89HDF", "an HDF5 file", "export the picture from it as TIFF"),
    (0, b"%PDF", "a PDF", "export the picture from it as TIFF"),
    (0, b"\xda\xce\x0a\x00\x00\x00\x01\x00", "an ND2 file of Nikon", _BIOFORMATS),
    (0, b"8BPS", "a Photoshop file", "magick 'IN[0]' OUT.png"),
)
"""Where the mark of a format stands, the mark, what the format is, and what converts it."""

_TURNS = {
    2: "mirrored left to right",
    3: "turned by 180°",
    4: "mirrored top to bottom",
    5: "mirrored and turned",
    6: "turned by 90°",
    7: "mirrored and turned",
    8: "turned by 270°",
}


def refuse_unread(head: bytes, path: Path) -> None:
    """Refuse a file of a known format that no library here reads, by its first bytes (256 or more).

    Raises
    ------
    EosinError
        It is of such a format; the message names it and the command that converts it.
    """
    if head.startswith(_ZIP):
        fix = "unpack it, as by: unzip IN -d OUT.ome.zarr; an OME-Zarr is read as a folder"
        raise EosinError("a zip archive, which is not read", file=path, fix=fix)
    for start, mark, what, command in _UNREAD:
        if head[start : start + len(mark)] == mark:
            raise EosinError(f"{what}, which is not read", file=path, fix=f"convert it, as by: {command}")


def check_upright(orientation: int, path: Path) -> None:
    """Refuse an image whose orientation tag (TIFF, EXIF) says that it is to be turned or mirrored.

    Programs differ in whether they follow the tag, so the positions of spots may be those of either picture.

    Raises
    ------
    EosinError
        The tag is from 2 to 8.
    """
    turn = _TURNS.get(orientation)
    if turn is not None:
        raise EosinError(
            f"its orientation tag says {orientation} ({turn}), which only some programs follow",
            file=path,
            fix="where spots were placed on the turned picture: magick IN -auto-orient OUT; "
            "on the pixels as stored: exiftool -Orientation= IN",
        )
