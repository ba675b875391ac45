"""Images that are not read, and the command that converts them; images that are marked to be turned."""

from __future__ import annotations

import functools
import logging
from pathlib import Path

from eosin.errors import EosinError
from eosin.storage.not_the_file import not_the_file

_LOG = logging.getLogger("eosin")
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
    (0, b"\xda\xce\xbe\x0a", "an ND2 file of Nikon", _BIOFORMATS),
    (0, b"\xda\xce\x0a\x00\x00\x00\x01\x00", "an ND2 file of Nikon", _BIOFORMATS),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a ZVI file of Zeiss", _BIOFORMATS),
    (0, b"8BPS", "a Photoshop file", "magick 'IN[0]' OUT.png"),
)
"""Where the mark of a format stands, the mark, what the format is, and what converts it."""

_BY_SUFFIX = {
    ".isyntax": ("an iSyntax file of Philips", "the scanner's own export to TIFF"),
    ".i2syntax": ("an iSyntax file of Philips", "the scanner's own export to TIFF"),
    ".kfb": ("a KFB file of KFBIO", "the vendor's KFB to SVS converter"),
    ".sdpc": ("an SDPC file of Sqray", "the vendor's export to SVS or TIFF"),
    ".tmap": ("a TMAP file of Unic", "the vendor's export to SVS or TIFF"),
    ".mdsx": ("an MDSX file of Motic", "the vendor's export to SVS or TIFF"),
    ".mds": ("an MDS file of Motic", "the vendor's export to SVS or TIFF"),
    ".zvi": ("a ZVI file of Zeiss", _BIOFORMATS),
    ".ets": ("a part of a VSI slide of Olympus", "bfconvert SLIDE.vsi OUT.ome.tif"),
}
"""Formats whose first bytes tell little; asked only of what nothing opens."""
_SCANNERS = frozenset({".svs", ".ndpi", ".scn", ".bif", ".czi", ".mrxs", ".vms", ".vmu", ".dcm"})
"""Suffixes of scanners' formats: a JPEG or PNG that is called so may be a preview."""
_PICTURES = ((b"\xff\xd8\xff", "JPEG", ".jpg"), (b"\x89PNG", "PNG", ".png"), (b"BM", "BMP", ".bmp"))

_TURNS = {
    2: "mirrored left to right",
    3: "turned by 180°",
    4: "mirrored top to bottom",
    5: "mirrored and turned",
    6: "turned by 90°",
    7: "mirrored and turned",
    8: "turned by 270°",
}


def refuse_part(head: bytes, path: Path, vendor: str | None) -> None:
    """Refuse a file that is the smaller part of a slide whose pixels lie in a folder beside it.

    Parameters
    ----------
    head
        First bytes.
    vendor
        What OpenSlide takes the file for.

    Raises
    ------
    EosinError
        A VSI, or an MRXS without its folder. Of other pictures that are called as a scanner's slide a warning is given.
    """
    suffix = path.suffix.lower()
    if suffix == ".vsi":
        fix = f"convert it with the folder _{path.stem}_ beside it, as by: {_BIOFORMATS}"
        raise EosinError("a VSI file of Olympus holds a preview only, and its slide is not read", file=path, fix=fix)
    if vendor is not None or suffix not in _SCANNERS:
        return None
    for mark, what, usual in _PICTURES:
        if head.startswith(mark):
            if suffix != ".mrxs":
                return _warn_of_suffix(path, what)
            fix = f"copy the folder {path.stem} beside it too, or call it {path.stem}{usual} if the picture is meant"
            raise EosinError(f"a {what} that is called .mrxs, as the preview of a slide is", file=path, fix=fix)
    return None


@functools.lru_cache(maxsize=1024)
def _warn_of_suffix(path: Path, what: str) -> None:
    _LOG.warning("%s: a %s that is called %s, as the preview of a slide may be", path, what, path.suffix)


def refuse_unread(head: bytes, path: Path) -> None:
    """Refuse a file of a known format that no library here reads, by its first bytes (256 or more).

    Raises
    ------
    EosinError
        It is of such a format; the message names it and the command that converts it.
    """
    if (error := not_the_file(head, path)) is not None:
        raise error
    if head.startswith(_ZIP):
        fix = "unpack it, as by: unzip IN -d OUT.ome.zarr; an OME-Zarr is read as a folder"
        raise EosinError("a zip archive, which is not read", file=path, fix=fix)
    for start, mark, what, command in _UNREAD:
        if head[start : start + len(mark)] == mark:
            raise EosinError(f"{what}, which is not read", file=path, fix=f"convert it, as by: {command}")
    if path.suffix.lower() in _BY_SUFFIX:
        what, command = _BY_SUFFIX[path.suffix.lower()]
        raise EosinError(f"{what}, which is not read", file=path, fix=f"convert it, as by: {command}")


@functools.lru_cache(maxsize=1024)
def warn_of_grey(path: Path) -> None:
    """Say, once per file, that a picture has no colours: haematoxylin and eosin are told apart by them."""
    _LOG.warning("%s: a grey picture, where haematoxylin and eosin are told apart by colour", path)


@functools.lru_cache(maxsize=1024)
def warn_of_twins(path: Path, n_others: int) -> None:
    """Say, once per file, that it holds further images of the size of the one that is read."""
    _LOG.warning("%s: holds %d images of one size, of which the first is read", path, 1 + n_others)


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
