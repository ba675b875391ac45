"""HEST-1k and STImage-1K4M: the table of sections is read, then the files of the chosen sections are downloaded."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eosin.errors import EosinError
from eosin.fetching.hub import Repository, RepositoryFile, download, download_all, list_files, missing_bytes, size_text
from eosin.fetching.sources import SOURCES, FetchOptions, Source
from eosin.plurals import counted

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 5


class Collection(Source):
    """A data set of measured sections on the hub.

    Attributes
    ----------
    folder
        Folder to write to by default.
    columns
        For each filter the columns of the table that it may use, the first that exists; `id` names the section.
    """

    takes = frozenset({"out", "organ", "platform", "id", "revision"})
    folder: str
    columns: dict[str, tuple[str, ...]]

    @abstractmethod
    def repository(self, revision: str | None) -> Repository:
        """The data set on the hub, at a commit; at the newest where None."""

    @abstractmethod
    def table_of(self, files: Sequence[RepositoryFile]) -> str | None:
        """Path of the table of sections among the files of the repository; None where there is none."""

    @abstractmethod
    def section_of_path(self, options: FetchOptions) -> Callable[[str], str | None]:
        """A function from a file's path to the name of its section; None for files that are not wanted."""

    def fetch(self, options: FetchOptions, *, dry_run: bool) -> list[str]:
        """Download the files of all sections that fit the options."""
        repository, folder = self.repository(options.revision), options.out or Path(self.folder)
        files = list_files(repository)
        table_path = self.table_of(files)
        if table_path is None:
            raise EosinError(f"'{repository.name}' has no table of its sections", fix="try another --revision")
        table = download(repository, table_path, folder)
        chosen = self._chosen(_read(table), options, table)
        section_of = self.section_of_path(options)
        wanted = [file for file in files if section_of(file.path) in chosen]
        sections = {section_of(file.path) for file in wanted}
        if not sections:
            raise EosinError(
                f"'{repository.name}' has no files of the {counted(len(chosen), 'section')} that were asked for",
                fix="see its page",
            )
        total, missing = sum(file.size for file in wanted), missing_bytes(wanted, folder)
        summary = (
            f"{counted(len(sections), 'section')}, {counted(len(wanted), 'file')}, {size_text(total)}, "
            f"of which {size_text(missing)} are missing"
        )
        if dry_run:
            names = ", ".join(sorted(map(str, sections))[:_SHOWN]) + (", ..." if len(sections) > _SHOWN else "")
            return [f"{summary}: {names}", f"licence: {repository.licence}"]
        download_all(repository, wanted, folder)
        return [f"{summary}; now in {folder}", f"licence: {repository.licence}", f"look at it: eosin info {folder}"]

    def _chosen(self, table: pd.DataFrame, options: FetchOptions, file: Path) -> set[str]:
        """Names of the sections that fit all filters."""
        rows = table
        for key, wanted in (("organ", options.organ), ("platform", options.platform), ("id", options.id)):
            if not wanted:
                continue
            column = _column(table, self.columns[key], file)
            values = {value.lower() for value in table[column]}
            if unknown := [value for value in wanted if value.lower() not in values]:
                known = sorted(set(table[column]) - {""})
                shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
                raise EosinError(f"no section has {key} '{unknown[0]}'", file=file, fix=f"there are {shown}")
            rows = rows[rows[column].str.lower().isin([value.lower() for value in wanted])]
        if not len(rows):
            raise EosinError("no section fits all that is asked for", file=file, fix="ask for less at once")
        return set(rows[_column(table, self.columns["id"], file)])


class Hest(Collection):
    """HEST-1k (Jaume et al., NeurIPS 2024): `st/`, `wsis/`, `metadata/` of the chosen sections."""

    about = "HEST-1k, measured sections of many organs; gated"
    takes = Collection.takes | {"parts"}
    folder = "hest"
    columns = {"id": ("id",), "organ": ("organ",), "platform": ("st_technology",)}  # noqa: RUF012

    def repository(self, revision: str | None) -> Repository:
        """The gated data set of the authors."""
        instead = "eosin fetch stimage, which is open"
        return Repository("MahmoodLab/hest", "dataset", "CC BY-NC-SA 4.0, not commercial", instead, revision)

    def table_of(self, files: Sequence[RepositoryFile]) -> str | None:
        """The newest of the tables `HEST_v*.csv`."""
        tables = [file.path for file in files if re.fullmatch(r"HEST_v[\d_]+\.csv", file.path)]
        return max(tables, key=lambda path: tuple(map(int, re.findall(r"\d+", path))), default=None)

    def section_of_path(self, options: FetchOptions) -> Callable[[str], str | None]:
        """Files are called `SECTION.suffix` or `SECTION_more.suffix`, in the folders that are wanted."""
        parts = options.parts or ("st", "wsis", "metadata")

        def section_of(path: str) -> str | None:
            folder, _, file = path.rpartition("/")
            return re.split(r"[._]", file)[0] if folder.split("/")[0] in parts and file else None

        return section_of


class STImage(Collection):
    """STImage-1K4M (Chen et al., NeurIPS 2024): `coord/`, `gene_exp/`, `image/` of the chosen slides."""

    about = "STImage-1K4M, measured sections from many studies; open"
    folder = "stimage"
    columns = {"id": ("slide",), "organ": ("tissue", "organ"), "platform": ("tech", "technology")}  # noqa: RUF012

    def repository(self, revision: str | None) -> Repository:
        """The open data set of the authors."""
        licence = "MIT for the collection; each study's own terms for its data"
        return Repository("jiawennnn/STimage-1K4M", "dataset", licence, "eosin demo, which needs no data", revision)

    def table_of(self, files: Sequence[RepositoryFile]) -> str | None:
        """The table `meta/meta_all*.csv`; the last by name."""
        return max((file.path for file in files if re.fullmatch(r"meta/meta_all.*\.csv", file.path)), default=None)

    def section_of_path(self, options: FetchOptions) -> Callable[[str], str | None]:
        """Files are called `SECTION_coord.csv`, `SECTION_count.csv`, and as images `SECTION.suffix`."""
        pattern = re.compile(
            r"(?:ST|Visium|VisiumHD)/(?:coord/(.+)_coord\.csv|gene_exp/(.+)_count\.csv|image/(.+)\.\w+)"
        )

        def section_of(path: str) -> str | None:
            match = pattern.fullmatch(path)
            return None if match is None else next(name for name in match.groups() if name)

        return section_of


def _read(file: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        with open(file, encoding="utf-8-sig") as text:
            separator = "\t" if "\t" in text.readline(1_000_000) else ","
        return pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise EosinError(f"not readable as a table of sections ({error})", file=file, fix="delete it") from error


def _column(table: pd.DataFrame, names: Sequence[str], file: Path) -> str:
    column = next((name for name in names if name in table), None)
    if column is None:
        raise EosinError(f"has no column '{names[0]}'", file=file, fix="try another --revision")
    return column


SOURCES.add("hest", Hest())
SOURCES.add("stimage", STImage())
