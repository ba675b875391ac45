"""Samples of Space Ranger: which there are in a folder, and where the files of each lie.

Space Ranger writes `outs/` with a matrix and `spatial/`. Public repositories serve the same files with a prefix before
each name, packed, without `spatial/`, many samples in one folder; `spaceranger aggr` writes one matrix of several.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eosin.data.file_names import is_of
from eosin.data.packed import ARCHIVES, unpack_command
from eosin.errors import EosinError

_POSITIONS = re.compile(r"(?P<prefix>.*?)(?<!aggr_)tissue_positions(_list)?\.csv(\.gz)?")
_AGGREGATED = re.compile(r"aggr_tissue_positions(_list)?\.csv(\.gz)?")
_NO_MATRIX = ("raw_probe_bc_matrix.h5", "molecule_info.h5")
"""Space Ranger's files of counts that are not those of genes."""
_ACCESSION = re.compile(r"GS[EM]\d+[_.-]?")
_MTX = re.compile(r"(?P<prefix>.*)matrix\.mtx(\.gz)?")
_ENDS = "_-. "
_JOINTS = ("", "spatial_", "spatial-", "spatial.")
"""What stands between prefix and name where `spatial/` was made part of the names."""
_FLATTENED = re.compile(r"spatial[_.-]$")


@dataclass(frozen=True)
class Sample:
    """Where the files of one sample lie.

    Attributes
    ----------
    folder
        Holds the matrix, and the others where they are not in `spatial/`.
    prefix
        Before the names of the sample's files, where several samples share a folder.
    spatial
        Holds scale factors and reduced images; searched where None.
    ending
        Of the sample's barcodes in a matrix of several samples, as `-2`; empty for a matrix of its own.
    others
        Prefixes, or names in `aggregation.csv`, of the other samples in the folder, whose files are not this one's.
    """

    folder: Path
    prefix: str = ""
    spatial: Path | None = None
    ending: str = ""
    others: tuple[str, ...] = ()

    def file(self, *names: str) -> Path | None:
        """The first file of these names, packed by gzip or not, with the sample's prefix or in a folder of its own."""
        for place in [self.spatial] if self.spatial is not None else spatial_places(self.folder):
            for name in names:
                joined = [f"{self.prefix}{joint}{name}" for joint in _JOINTS]
                for called in (*joined, *([name] if self._has_own(place) else [])):
                    for file in (place / called, place / f"{called}.gz"):
                        if file.is_file():
                            return file
        return None

    def _has_own(self, place: Path) -> bool:
        """Whether a folder is of this sample alone: called by its prefix, or not shared."""
        return not self.prefix or _prefix_of_place(place, self.folder) == self.prefix


def spatial_places(folder: Path) -> list[Path]:
    """Where positions may lie: `spatial/`, the folder itself, and other folders that are called so."""
    others = sorted(place for place in folder.glob("*spatial*") if place.is_dir() and place.name != "spatial")
    inner = [place / "spatial" for place in others]  # of an archive that was unpacked into a folder of its name
    return [place for place in (folder / "spatial", folder, *others, *inner) if place.is_dir()]


def _prefix_of_place(place: Path, folder: Path) -> str:
    """What stands before `spatial` in the name of a folder of positions, as `GSM1_P1_spatial/`."""
    if place in (folder, folder / "spatial"):
        return ""
    return place.relative_to(folder).parts[0].partition("spatial")[0]


def samples_in(folder: Path) -> dict[str, Sample]:
    """The samples whose files lie in a folder, by name; a single one is called `""`.

    They are told apart by what stands before `tissue_positions` in the names of files.
    """
    if (folder / "aggregation.csv").is_file() and _may_hold_counts(folder):
        return _aggregated(folder)
    prefixes = set()
    for place in spatial_places(folder) if _may_hold_counts(folder) else [folder / "spatial"]:
        own = _prefix_of_place(place, folder)
        matches = [match for name in _names(place) if (match := _POSITIONS.fullmatch(name))]
        prefixes |= {_FLATTENED.sub("", match["prefix"]) or own for match in matches}
    if not prefixes:
        facts = folder / "spatial" / "scalefactors_json.json"
        return {"": Sample(folder)} if facts.is_file() else {}
    if len(prefixes) == 1:
        return {"": Sample(folder, prefixes.pop())}
    return {
        name: Sample(folder, prefix, others=tuple(sorted(prefixes - {prefix})))
        for prefix, name in _called(prefixes).items()
    }


def _may_hold_counts(folder: Path) -> bool:
    """Whether a matrix is in a folder: positions that lie loose are a sample's only beside one."""
    return any(
        "_bc_matri" in place.name or _MTX.fullmatch(place.name)
        for pattern in ("*", "*/*matrix.mtx*")
        for place in folder.glob(pattern)
    )


def _called(prefixes: set[str]) -> dict[str, str]:
    """Names of samples by prefix: without an accession where they stay different."""
    full = {prefix: prefix.strip(_ENDS) or "sample" for prefix in sorted(prefixes)}
    short = {prefix: _ACCESSION.sub("", name, count=1) or name for prefix, name in full.items()}
    return short if len(set(short.values())) == len(short) else full


def _aggregated(folder: Path) -> dict[str, Sample]:
    """The libraries of `spaceranger aggr`, in the order of its table: barcodes of the second end with `-2`."""
    import csv

    file = folder / "aggregation.csv"
    try:
        with open(file, encoding="utf-8-sig", newline="") as text:
            rows = [row for row in csv.reader(text) if row]
    except (OSError, ValueError, csv.Error) as error:
        raise EosinError(f"not readable as a table ({error})", file=file, fix="copy it from outs/ again") from error
    libraries = [row[0].strip() for row in rows[1:]]
    if (
        odd := next((name for name in libraries if name in ("", ".", "..") or set(name) & set("/\\\0")), None)
    ) is not None:
        raise EosinError(f"names a library '{odd}', which is no folder of spatial/", file=file, fix="name it otherwise")
    return {
        name: Sample(
            folder,
            spatial=folder / "spatial" / name,
            ending=f"-{i}",
            others=tuple(other for other in libraries if other != name),
        )
        for i, name in enumerate(libraries, 1)
    }


def samples_under(path: Path, look: Callable[[Path], dict[str, Sample]]) -> dict[str, Sample]:
    """Sections under `path`: those in `path` itself or its `outs/`, else those of its subfolders.

    A section is called as the folder that holds its `outs/`, as its own folder, or, where several lie in one folder, by
    what stands before the names of its files. `look` finds the samples in one folder.
    """
    for folder in (path, path / "outs"):
        if found := look(folder):
            return {name or own_name(path): sample for name, sample in found.items()}
    named: dict[str, Sample] = {}
    for child in sorted(path.glob("*")):
        if child.name.startswith("."):
            continue
        found = next((found for folder in (child, child / "outs") if (found := look(folder))), {})
        for name, sample in found.items():
            called = child.name if not name else name if name not in named else f"{child.name}-{name}"
            named[called] = sample
    return named


def own_name(path: Path) -> str:
    """The name of the sample that a folder is of: that of the folder which holds Space Ranger's own folders."""
    whole = path.resolve()
    if re.fullmatch(r"square_\d{1,4}um", whole.name) and whole.parent.name == "binned_outputs":
        whole = whole.parent
    for inner in ("binned_outputs", "outs"):
        whole = whole.parent if whole.name == inner else whole
    return whole.name


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("*") if file.is_file() and not file.name.startswith("."))


def positions_of(sample: Sample) -> Path:
    """The table of positions, whatever its version calls it.

    Raises
    ------
    EosinError
        There is none.
    """
    if (joint := joint_positions(sample)) is not None:
        return joint
    file = sample.file("tissue_positions.csv", "tissue_positions_list.csv")
    if file is None:
        place = next(iter(spatial_places(sample.folder)), sample.folder)
        raise EosinError("no tissue_positions.csv", file=place, fix="copy all of Space Ranger's spatial/")
    return file


def joint_positions(sample: Sample) -> Path | None:
    """The table of all libraries that `spaceranger aggr` writes, whose barcodes end as those of its matrix."""
    names = [name for name in _names(sample.folder) if _AGGREGATED.fullmatch(name)] if sample.ending else []
    return sample.folder / names[0] if names else None


def find_matrix(sample: Sample | Path, of: str = "bc") -> tuple[Path, list[str]]:
    """The matrix of counts of a sample, filtered rather than raw, HDF5 rather than text; and a note on a raw one.

    `of` is what its columns are in its name: `bc` barcodes of spots or bins, `cell` cells. Text is a folder of
    `matrix.mtx` and its names, or the file `matrix.mtx` itself where these have a prefix.

    Raises
    ------
    EosinError
        There is none, or it must be unpacked first, or two fit.
    """
    sample = Sample(sample) if isinstance(sample, Path) else sample
    for kind in ("filtered", "raw"):
        if (matrix := _matrix_of_kind(sample, f"{kind}_feature_{of}_matrix")) is not None:
            raw = [] if kind == "filtered" else [f"counts are from {matrix.name}; there is no filtered one"]
            return matrix, [*raw, *_other_name(sample, matrix, f"{kind}_feature_{of}_matrix")]
    loose = _loose_text(sample)
    if len(loose) == 1:
        return loose[0], _other_name(sample, loose[0], "matrix.mtx")
    if loose:
        raise EosinError(f"{loose[0].name} and {loose[1].name} both fit", file=sample.folder, fix="keep one")
    for file in sorted(sample.folder.glob("*feature_bc_matrix*")):
        if file.name.endswith((".h5.gz", *ARCHIVES)) and _may_be_of(sample, file.name):
            raise EosinError("the matrix is packed", file=file, fix=unpack_command(file))
    fix = "put Space Ranger's matrix there; of a download keep matrix and spatial/ together"
    if other := next((name for name in _names(sample.folder) if name.endswith(_NO_MATRIX)), None):
        fix = f"copy it from outs/ too; {other} counts probes or molecules, not genes"
    own = f" that begins with '{sample.prefix}'" if _shares_folder(sample) else ""
    raise EosinError(f"no filtered_feature_{of}_matrix.h5{own}", file=sample.folder, fix=fix)


def _shares_folder(sample: Sample) -> bool:
    """Whether samples lie side by side, each with a matrix; those of `spaceranger aggr` have one together."""
    return bool(sample.others) and not sample.ending


def _may_be_of(sample: Sample, name: str) -> bool:
    """Whether a matrix, by its path within the folder, is the sample's: of samples side by side by its prefix only.

    Slides share their barcodes, so that the counts of another sample would fit.
    """
    if not _shares_folder(sample):
        return True
    place = name.partition("/")[0] if "/" in name else ""
    return is_of(name, sample.prefix, sample.others) or (place != "" and place == sample.prefix.strip(_ENDS))


def _other_name(sample: Sample, matrix: Path, name: str) -> list[str]:
    """A note where what stands before the name of the matrix is not what stands before those of the positions."""
    before = str(matrix.relative_to(sample.folder)).partition(name)[0].partition("/")[0]
    of_counts, of_positions = (_ACCESSION.sub("", prefix, count=1).strip(_ENDS) for prefix in (before, sample.prefix))
    if not of_counts or not of_positions or of_counts == of_positions:
        return []
    return [f"counts are those of '{of_counts}', positions those of '{of_positions}': are they of one sample?"]


def _matrix_of_kind(sample: Sample, name: str) -> Path | None:
    files = [file for file in sorted(sample.folder.glob(f"*{name}.h5")) if not file.name.startswith(".")]
    files = [file for file in files if _may_be_of(sample, file.name)]
    own = [file for file in files if file.name.startswith(sample.prefix)]
    exact = [file for file in own if file.name == f"{sample.prefix}{name}.h5"] if sample.prefix else []
    files = exact or own or (files if len(files) == 1 else [])
    if len(files) > 1:
        raise EosinError(f"{files[0].name} and {files[1].name} both fit", file=sample.folder, fix="keep one")
    places = [sample.folder / f"{sample.prefix}{name}", *([] if _shares_folder(sample) else [sample.folder / name])]
    return next(iter([*files, *(place for place in places if place.is_dir())]), None)


def _loose_text(sample: Sample) -> list[Path]:
    """Files `matrix.mtx` of the sample that lie loose in its folder, else in folders within it; filtered ones first."""
    for pattern in ("*matrix.mtx*", "*/*matrix.mtx*", "*/*/*matrix.mtx*"):
        files = [file for file in sorted(sample.folder.glob(pattern)) if _MTX.fullmatch(file.name) and file.is_file()]
        files = [file for file in files if _may_be_of(sample, file.relative_to(sample.folder).as_posix())]
        own = [file for file in files if file.relative_to(sample.folder).as_posix().startswith(sample.prefix)]
        shared = _shares_folder(sample) or len(files) == 1 or not sample.prefix
        files = own if sample.prefix and own else files if shared else []
        filtered = [file for file in files if "raw" not in file.relative_to(sample.folder).as_posix().lower()]
        if files:
            return filtered or files
    return []
