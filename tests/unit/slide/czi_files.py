"""Files of CZI, written as Zeiss' description of the format says: segments of pieces, a directory, metadata."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_GRAY8, _GRAY16, _BGR24 = 0, 1, 3
_JPEG_XR = 4


@dataclass(frozen=True)
class Piece:
    """A stored rectangle: where it lies at full resolution, its pixels (RGB or grey), and how far it is reduced."""

    x: int
    y: int
    pixels: np.ndarray
    factor: int = 1
    scene: int = 0


def mosaic(pixels: np.ndarray, corner: tuple[int, int] = (0, 0), *, tile: int = 128, scene: int = 0) -> list[Piece]:
    """Pieces that make up a picture [h w 3] whose corner lies at a place of the stage."""
    return [
        Piece(corner[0] + x, corner[1] + y, pixels[y : y + tile, x : x + tile], scene=scene)
        for y in range(0, len(pixels), tile)
        for x in range(0, pixels.shape[1], tile)
    ]


def save_czi(
    path: Path,
    pieces: Sequence[Piece],
    mpp: float | None,
    *,
    axes: str = "C",
    several: dict[str, int] | None = None,
    jpeg_xr: bool = False,
) -> Path:
    """A CZI without compression, or of JPEG XR without loss.

    Parameters
    ----------
    mpp
        µm per pixel; None writes no scale.
    axes
        Axes beside X, Y, S and M that every piece is given, at place 0.
    several
        Axes of which the pieces go round the places 0 to n - 1.
    """
    body, entries = bytearray(_segment(b"ZISRAWFILE", bytes(512))), []
    for number, piece in enumerate(pieces):
        places = dict.fromkeys(axes, 0) | {axis: number % n for axis, n in (several or {}).items()}
        entry = _entry(piece, number, len(body), places, codec=_JPEG_XR if jpeg_xr else 0)
        data = (
            _jpeg_xr(piece.pixels)
            if jpeg_xr
            else piece.pixels[..., ::-1].tobytes()
            if piece.pixels.ndim == 3
            else piece.pixels.tobytes()
        )
        head = struct.pack("<iiq", 0, 0, len(data)) + entry
        body += _segment(b"ZISRAWSUBBLOCK", head + bytes(max(0, 256 - len(head))) + data)
        entries.append(entry)
    directory = len(body)
    body += _segment(b"ZISRAWDIRECTORY", struct.pack("<i", len(entries)) + bytes(124) + b"".join(entries))
    metadata, xml = len(body), _xml(pieces, mpp)
    body += _segment(b"ZISRAWMETADATA", struct.pack("<ii", len(xml), 0) + bytes(248) + xml)
    attachments = len(body)
    body += _segment(b"ZISRAWATTDIR", bytes(256))
    head = struct.pack("<iiii16s16siqqiq", 1, 0, 0, 0, b"1" * 16, b"1" * 16, 0, directory, metadata, 0, attachments)
    body[32 : 32 + len(head)] = head
    path.write_bytes(body)
    return path


def _segment(name: bytes, data: bytes) -> bytes:
    padded = data + bytes(-len(data) % 32)
    return name.ljust(16, b"\0") + struct.pack("<qq", len(padded), len(data)) + padded


def _jpeg_xr(pixels: np.ndarray) -> bytes:
    """Pixels as JPEG XR of BGR, which Zeiss stores, and which imagecodecs writes as RGB: the last byte of its mark."""
    import imagecodecs

    stored = bytearray(imagecodecs.jpegxr_encode(np.ascontiguousarray(pixels), level=1.0))
    mark = bytes.fromhex("24c3dd6f034efe4bb1853d77768dc9")
    stored[stored.index(mark) + len(mark)] = 0x0C
    return bytes(stored)


def _entry(piece: Piece, number: int, at: int, places: dict[str, int], codec: int = 0) -> bytes:
    """The directory's entry of a piece: type of pixels, place in the file, and its start and size on every axis."""
    height, width = piece.pixels.shape[:2]
    kind = _BGR24 if piece.pixels.ndim == 3 else _GRAY8 if piece.pixels.dtype == np.uint8 else _GRAY16
    axes = [
        ("X", piece.x, width * piece.factor, width),
        ("Y", piece.y, height * piece.factor, height),
        *[(axis, place, 1, 1) for axis, place in places.items()],
        ("S", piece.scene, 1, 1),
        ("M", number, 1, 1),
    ]
    dims = b"".join(struct.pack("<4siifi", axis.encode(), start, size, 0.0, kept) for axis, start, size, kept in axes)
    pyramid = 0 if piece.factor == 1 else 2
    return b"DV" + struct.pack("<iqiiB5xi", kind, at, 0, codec, pyramid, len(axes)) + dims


def _xml(pieces: Sequence[Piece], mpp: float | None) -> bytes:
    full = [piece for piece in pieces if piece.factor == 1]
    width = max(piece.x + piece.pixels.shape[1] for piece in full) - min(piece.x for piece in full)
    height = max(piece.y + piece.pixels.shape[0] for piece in full) - min(piece.y for piece in full)
    sizes = f"<SizeX>{width}</SizeX><SizeY>{height}</SizeY><SizeS>{1 + max(piece.scene for piece in pieces)}</SizeS>"
    distances = [f'<Distance Id="{axis}"><Value>{(mpp or 0) / 1e6!r}</Value></Distance>' for axis in "XY"]
    scaling = "" if mpp is None else f"<Scaling><Items>{''.join(distances)}</Items></Scaling>"
    image = f"<Information><Image>{sizes}</Image></Information>"
    return f"<ImageDocument><Metadata>{image}{scaling}</Metadata></ImageDocument>".encode()
