"""The commands beside the main job: export, fetch, doctor. `cli` takes them up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from eosin.cli.cohort_end import end_of_cohort, need_cohort
from eosin.cli.existing import need_existing
from eosin.cli.flags import Flag, Out, Running, given, listed, unset
from eosin.errors import EosinError
from eosin.options import ReadOptions, described, names_of

Mpp = Annotated[float | None, Parameter(help=described(ReadOptions)["mpp"])]


def export(
    source: Path,
    *,
    out: Out,
    genes: list[str] | None = None,
    missing_genes: str = "refuse",
    layers: list[str] | None = None,
    outline: str | None = None,
    mpp: Mpp = None,
    to: str | None = None,
    running: Running = unset(Running),
) -> int | None:
    """Write a prediction for another program; the format follows from the suffix of OUT.

    Of a folder of predictions, one file each into the folder OUT, in the format that --to names.

    Parameters
    ----------
    source
        A predicted .h5ad, or a feature file (.h5); or a folder of predictions.
    out
        `.geojson` (QuPath), `.csv`, `.parquet` (R, pandas), `.h5ad` (scanpy) or `.zarr` (SpatialData).
    genes
        Only these genes, by commas.
    missing_genes
        Named genes that were not predicted: `refuse`, or `skip` to leave them out.
    layers
        For .csv, .parquet and .geojson, by commas: `mean`, `sd`, `q05`, `q95`; by default mean and sd.
    outline
        For .geojson: `circle`, `square`, `point`, or `cell`, the default of cells that have outlines.
    to
        Of a folder of predictions: `geojson`, `csv`, `parquet`, `h5ad` or `zarr`.
    """
    need_existing(source)
    need_cohort(source, out, given(running))
    if source.is_dir() != (to is not None):
        fix = "give it, as --to csv" if to is None else "the suffix of OUT names the format of a single prediction"
        raise EosinError("--to goes with a folder of predictions", fix=fix)
    from eosin.api.export_cohort import export_cohort
    from eosin.cli import show
    from eosin.exporting import export as run

    options = {"genes": names_of(listed(genes)), "layers": names_of(listed(layers)), "outline": outline, "mpp": mpp}
    if to is not None:
        result = export_cohort(source, out=out, to=to, missing_genes=missing_genes, **options, **given(running))
        return end_of_cohort(result, out)
    written = run(source, out, missing_genes=missing_genes, **options)
    show.lines([f"{written} written"])
    return None


def fetch(
    what: str,
    name: str | None = None,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    organ: list[str] | None = None,
    platform: list[str] | None = None,
    id: list[str] | None = None,
    parts: list[str] | None = None,
    revision: str | None = None,
    url: list[str] | None = None,
    dry_run: Flag = False,
) -> None:
    """Fetch data sets, weights of encoders, or tables of gene names; goes on where it was stopped.

    Parameters
    ----------
    what
        `hest` or `stimage` (measured sections), `weights` (of an encoder) or `genes` (names of genes).
    name
        For `weights` an encoder or ORGANISATION/MODEL, for `genes` the species: `human` or `mouse`.
    out
        Folder of a data set, or file of a gene table.
    organ
        Only sections of this organ (by commas).
    platform
        Only sections measured so, as the data set names it: `Visium`, `Xenium` (by commas).
    id
        Only these sections (by commas).
    parts
        Folders of HEST-1k to fetch, by commas: `st,wsis,metadata` are what eosin reads.
    revision
        Commit on the hub, so that the files are the same next year.
    url
        Where the gene table lies, if not at its usual place (repeat the flag for several tables to join).
    dry_run
        Say what would be fetched, and how much it is.
    """
    from eosin.cli import show
    from eosin.fetching import fetch as run

    wish: dict[str, Any] = {
        "organ": names_of(listed(organ)),
        "platform": names_of(listed(platform)),
        "id": names_of(listed(id)),
        "parts": names_of(listed(parts)),
        "revision": revision,
        "url": url,
    }
    show.lines(run(what, name, out=out, dry_run=dry_run, **wish))


def doctor(*, compute: Flag = False, online: Flag = False, json: Flag = False) -> None:
    """Check that eosin can work here: readers, devices, disk, cache, token, versions. Exit code 1 if it cannot.

    Parameters
    ----------
    compute
        Also compute with torch, numba and a GPU; it takes seconds.
    online
        Also ask the hub which gated encoders this token may have.
    json
        Print the checks as JSON.
    """
    from json import dumps

    from eosin.apps.doctor import doctor as run
    from eosin.apps.doctor import need_essentials
    from eosin.cli import show

    found = run(compute=compute, online=online)
    if json:
        show.lines([dumps(found, indent=1)])
    else:
        show.rows(found)
    need_essentials(found)
