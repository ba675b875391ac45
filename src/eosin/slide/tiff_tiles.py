"""Windows of a tiled TIFF by tifffile, for what OpenSlide and tiffslide do not read: planes, JPEG 2000, WebP."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.slide.source import levels_of, quiet, same_picture
from eosin.slide.tiff import TiffFacts, is_premultiplied, largest_image, order_of_planes
from eosin.slide.whole import as_rgb, transparent_everywhere

_DAMAGED = "the file is incomplete or damaged: copy it again"
_CODECS = ("NONE", "LZW", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "JPEG", "ZSTD", "LZMA")
"""Codecs that decode into memory of the tile's size, whatever the stored bytes claim."""
_PICTURES = {"JPEG2000": "JPEG2000", "JPEG_2000_LOSSY": "JPEG2000", "APERIO_JP2000_RGB": "JPEG2000", "WEBP": "WEBP"}
"""Codecs whose tiles are files of their own with a size of their own, and what Pillow calls them."""


def check_seen(path: Path, facts: TiffFacts) -> None:
    """Refuse a tiled TIFF of which nothing is opaque; what tifffile does not read is not looked at.

    Raises
    ------
    EosinError
        All of it is transparent, and would be white.
    """
    if not facts.opacity:
        return
    try:
        tiles = TiffTiles(path, facts)
    except EosinError:
        return
    try:
        transparent = tiles.is_transparent()
    except EosinError:  # a damaged tile: whoever reads it says so
        transparent = False
    finally:
        tiles.close()
    if transparent:
        raise transparent_everywhere(path)


class TiffTiles:
    """A source of pixels by tifffile, tile by tile; several threads may read at once.

    Parameters
    ----------
    path
        The file.
    facts
        What `read_facts` said of it, checked by `check_facts`.
    all_stored
        Refuse windows of tiles that were left out, which are white otherwise.

    Raises
    ------
    EosinError
        Strips, a codec that is not read, or a damaged file.
    """

    library = "tifffile"

    def __init__(self, path: Path, facts: TiffFacts, *, all_stored: bool = False):
        import tifffile

        self._path, self._lock, self._all_stored = path, threading.Lock(), all_stored
        handle = path.open("rb")
        try:
            with quiet():
                self._file = tifffile.TiffFile(handle)
                levels = [level for level in largest_image(self._file).levels if _is_like(level, facts)]
                planes = order_of_planes(self._file, path) if facts.n_planes == 3 else (0,)
                stored = [_TiledLevel(level, planes, path) for level in levels]
                self._levels = [stored[i] for i in same_picture([one.size_px for one in stored])] if stored else []
            if not levels:
                raise EosinError("has no tiles", file=path, fix="convert it to a tiled pyramidal TIFF")
        except EosinError:
            handle.close()
            raise
        except Exception as error:  # a damaged file makes the parser raise anything
            handle.close()
            raise EosinError(f"tifffile cannot open it ({error})", file=path, fix=_DAMAGED) from error
        self._handle = handle
        self.levels = levels_of([level.size_px for level in self._levels])

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 [height width 3] of a rectangle inside the level; tiles that were not stored are white."""
        tiled = self._levels[level]
        tile_w, tile_h = tiled.tile_px
        if (x % tile_w, y % tile_h, width, height) == (0, 0, tile_w, tile_h):
            pixels = self._tile(tiled, y // tile_h * tiled.n_columns + x // tile_w)
            return as_rgb(pixels, self._path, premultiplied=tiled.premultiplied)
        pixels = np.full((height, width, tiled.n_channels), 255, np.uint8)
        for row in range(y // tile_h, (y + height - 1) // tile_h + 1):
            for column in range(x // tile_w, (x + width - 1) // tile_w + 1):
                left, top = column * tile_w, row * tile_h
                u0, v0, u1, v1 = max(x, left), max(y, top), min(x + width, left + tile_w), min(y + height, top + tile_h)
                tile = self._tile(tiled, row * tiled.n_columns + column)
                part = tile[v0 - top : v1 - top, u0 - left : u1 - left]
                pixels[v0 - y : v1 - y, u0 - x : u1 - x] = part
        return as_rgb(pixels, self._path, premultiplied=tiled.premultiplied)

    def is_transparent(self) -> bool:
        """Whether nothing of the coarsest level is opaque; one tile is looked at, unless it is transparent."""
        tiled = self._levels[-1]
        if tiled.n_channels != 4:
            return False
        width, height = tiled.size_px
        for index in range(tiled.n_tiles):
            row, column = divmod(index, tiled.n_columns)
            left, top = column * tiled.tile_px[0], row * tiled.tile_px[1]
            if self._tile(tiled, index)[: height - top, : width - left, 3].any():
                return False
        return True

    def _tile(self, tiled: _TiledLevel, index: int) -> np.ndarray:
        """Channels uint8 [h w c] of one tile."""
        shape = (*tiled.tile_px[::-1], tiled.n_channels)
        tile = None
        try:
            for channel, (page, segment) in enumerate(tiled.segments(index)):
                data = self._stored(page, segment)
                if not data and self._all_stored:
                    raise EosinError("a tile was left out", file=self._path)
                if data:
                    tiled.check_picture(data)
                    with quiet():
                        decoded = page.decode(data, segment, jpegtables=page.jpegtables)[0]
                    part = np.asarray(decoded)[0]  # [h w samples]; shorter at the edge in some files
                    if part.shape == shape:
                        return part
                    tile = np.full(shape, 255, np.uint8) if tile is None else tile
                    into = tile if tiled.n_channels == part.shape[2] else tile[..., channel : channel + 1]
                    into[: part.shape[0], : part.shape[1]] = part
        except EosinError:
            raise
        except Exception as error:  # decoders raise anything on damaged tiles
            raise EosinError(f"cannot be decoded ({error})", file=self._path, fix=_DAMAGED) from error
        return np.full(shape, 255, np.uint8) if tile is None else tile

    def tile_px(self, level: int) -> int | None:
        """Side of a level's tiles, pixels; None where they are not square."""
        width, height = self._levels[level].tile_px
        return width if width == height else None

    def _stored(self, page: Any, segment: int) -> bytes:
        """The stored bytes of a tile; none where it was left out."""
        with self._lock:
            self._handle.seek(page.dataoffsets[segment])
            data = self._handle.read(page.databytecounts[segment])
        if len(data) < page.databytecounts[segment]:
            raise EOFError("the file ends before its tile")
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._handle.close()


class _TiledLevel:
    """Where the tiles of one resolution are stored.

    Parameters
    ----------
    level
        tifffile's series of the level.
    planes
        Pages of the channels, in their order: one page of all, or three grey ones.
    path
        Named in errors.
    """

    def __init__(self, level: Any, planes: tuple[int, ...], path: Path):
        page: Any = level.keyframe
        self.size_px = (int(page.imagewidth), int(page.imagelength))
        self.tile_px = (int(page.tilewidth), int(page.tilelength))
        self.premultiplied = is_premultiplied(page)
        self.n_columns = -(-self.size_px[0] // self.tile_px[0])
        self.n_channels = len(planes) if len(planes) > 1 else int(page.samplesperpixel)
        self.n_tiles = self.n_columns * -(-self.size_px[1] // self.tile_px[1])
        self._pages = [_whole_page(level.pages[plane]) for plane in planes]
        self._separate = int(page.planarconfig) == 2 and page.samplesperpixel > 1
        self._picture, self._path = _PICTURES.get(page.compression.name), path
        if self._picture is None and page.compression.name not in _CODECS:
            raise EosinError(
                f"compressed by {page.compression.name}, which is not read",
                file=path,
                fix="convert it, as by: bfconvert -compression JPEG IN OUT.ome.tif",
            )

    def segments(self, index: int) -> list[tuple[Any, int]]:
        """Page and number of each stored part of a tile: one, or one for every channel."""
        if self._separate:
            return [(self._pages[0], channel * self.n_tiles + index) for channel in range(self.n_channels)]
        return [(page, index) for page in self._pages]

    def check_picture(self, data: bytes) -> None:
        """Refuse a tile that is a picture of another size than the tile's: it would be decoded whole."""
        if self._picture is None:
            return
        from PIL import Image

        with Image.open(io.BytesIO(data), formats=[self._picture]) as picture:
            if picture.width > self.tile_px[0] or picture.height > self.tile_px[1]:
                raise EosinError(
                    f"a tile of {self.tile_px[0]} x {self.tile_px[1]} px holds {picture.width} x {picture.height} px",
                    file=self._path,
                    fix=_DAMAGED,
                )


def _is_like(level: Any, facts: TiffFacts) -> bool:
    """Whether a level is tiled and has the channels of the full resolution; the smallest of some files are not."""
    page: Any = level.keyframe
    sizes = dict(zip(level.axes, level.shape))
    is_planar = page.samplesperpixel > 1 and int(page.planarconfig) == 2
    return bool(page.is_tiled) and sizes.get("C", 1) == facts.n_planes and is_planar == facts.planar


def _whole_page(page: Any) -> Any:
    """A page with its tags: tifffile keeps only where the tiles of a similar page are."""
    return page.aspage() if hasattr(page, "aspage") else page
