"""`eosin.encode`: every section's spots as vectors, one feature file each."""

from __future__ import annotations

from pathlib import Path

from eosin.api.parts.bare_image import is_bare_image, need_no_layout, section_of_image
from eosin.api.parts.encode_jobs import encode_sections
from eosin.api.parts.encoded import encoders_of_options, say_once_where
from eosin.api.parts.outputs import need_folder
from eosin.api.parts.sections import Data, sections_of
from eosin.execution import Here, Processes
from eosin.options import FeatureOptions, LayoutOptions, ReadOptions, takes_options
from eosin.slide import layout_of
from eosin.storage.user_cache import user_cache
from eosin.types import Section


@takes_options(hide=("features", "match", "match_um"))
def encode(
    data: Data,
    *,
    out: str | Path | None = None,
    keep: bool = True,
    workers: int = 1,
    half: bool = False,
    encoding: FeatureOptions = FeatureOptions(),
    layout: LayoutOptions = LayoutOptions(),
    reading: ReadOptions = ReadOptions(),
) -> list[Section]:
    """Encode every section's spots, or those laid on a bare image, one feature file each; what is done is skipped.

    Several encoders by commas, as `stain,uni`, are fed with the same pixels, which are read once; a file each.

    Parameters
    ----------
    data
        A data folder, sections that were read, or a bare image.
    out
        The folder of feature files; the user's cache by default (`EOSIN_CACHE`).
    keep
        Return the sections with their features, of several encoders those of the first. Without, memory holds those of
        one section at a time.
    workers
        Sections at a time; more than one are encoded in processes of their own.
    half
        Store features as float16: half the disk, three digits. What is done stays as it is.

    Raises
    ------
    EosinError
        An unknown encoder or setting; a section without an image, or with one of which nothing can be read.

    Examples
    --------
    >>> sections = eosin.encode("data", out="features")
    >>> sections[0].features.values.shape[1]
    884
    """
    need_folder(out)
    encoder, *also = encoders_of_options(encoding)
    if out is None:
        say_once_where(user_cache())
    laid = layout_of(layout)
    if isinstance(data, str | Path) and is_bare_image(data, reading.reader):
        todo = [section_of_image(data, laid, mpp=reading.mpp).said_to_be_of(reading.patient)]
    else:
        if isinstance(data, str | Path):
            need_no_layout(laid, Path(data))
        todo = sections_of(data, reading)
    return encode_sections(
        todo,
        encoder,
        folder=None if out is None else Path(out),
        symmetries=encoding.symmetries,
        device=encoding.device,
        keep=keep,
        half=half,
        also=also,
        execution=Here() if workers == 1 else Processes(workers),
    )
