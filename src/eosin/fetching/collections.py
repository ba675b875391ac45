"""HEST-1k and STImage-1K4M: the table of sections is read first, then the files of those that were asked for."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eosin.errors import EosinError
from eosin.fetching.hub import Listed, Repository, download, download_all, list_files, missing_bytes, told
from eosin.fetching.sources import SOURCES, Order, Source

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 5


class Collection(Source):
    """A data set of measured sections on the hub.

    Attributes
    ----------
    folder
        Where it is put unless another place is given.
    columns
        For each filter the headings of the table that it looks at, in order of preference; `id` names the section.
    """

    takes = frozenset({"out", "organ", "platform", "id", "revision"})
    folder: str
    columns: dict[str, tuple[str, ...]]

    @abstractmethod
    def repository(self, revision: str | None) -> Repository:
        """Where it is."""

    @abstractmethod
    def table_of(self, files: Sequence[Listed]) -> str | None:
        """The path of the table of sections among the files of the repository."""

    @abstractmethod
    def owner(self, order: Order) -> Callable[[str], str | None]:
        """A function from a file's path to the section it belongs to, or None for what is not asked for."""

    def fetch(self, order: Order, *, dry_run: bool) -> list[str]:
        repository, folder = self.repository(order.revision), order.out or Path(self.folder)
        files = list_files(repository)
        path = self.table_of(files)
        if path is None:
            raise EosinError(f"'{repository.name}' has no table of its sections", fix="try another --revision")
        table = download(repository, path, folder)
        names = self._chosen(_read(table), order, table)
        of = self.owner(order)
        wanted = [one for one in files if of(one.path) in names]
        found = {of(one.path) for one in wanted}
        total, missing = sum(one.size for one in wanted), missing_bytes(wanted, folder)
        said = f"{len(found)} sections, {len(wanted)} files, {told(total)}, of which {told(missing)} are missing"
        if not found:
            raise EosinError(f"'{repository.name}' has no files of these {len(names)} sections", fix="see its page")
        if dry_run:
            some = ", ".join(sorted(map(str, found))[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
            return [f"{said}: {some}", f"licence: {repository.licence}"]
        download_all(repository, wanted, folder)
        return [f"{said}; now in {folder}", f"licence: {repository.licence}", f"look at it: eosin info {folder}"]

    def _chosen(self, table: pd.DataFrame, order: Order, file: Path) -> set[str]:
        """Names of the sections that fit all filters."""
        rows = table
        for key, wanted in (("organ", order.organ), ("platform", order.platform), ("id", order.id)):
            if not wanted:
                continue
            column = _column(table, self.columns[key], file)
            have = {value.lower() for value in table[column]}
            if unknown := [value for value in wanted if value.lower() not in have]:
                some = sorted(set(table[column]) - {""})
                near = ", ".join(some[:12]) + (", ..." if len(some) > 12 else "")
                raise EosinError(f"no section has {key} '{unknown[0]}'", file=file, fix=f"there are {near}")
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
        instead = "eosin fetch stimage, which is open"
        return Repository("MahmoodLab/hest", "dataset", "CC BY-NC-SA 4.0, not commercial", instead, revision)

    def table_of(self, files: Sequence[Listed]) -> str | None:
        found = [one.path for one in files if re.fullmatch(r"HEST_v[\d_]+\.csv", one.path)]
        return max(found, key=lambda path: tuple(map(int, re.findall(r"\d+", path))), default=None)

    def owner(self, order: Order) -> Callable[[str], str | None]:
        parts = order.parts or ("st", "wsis", "metadata")

        def of(path: str) -> str | None:
            folder, _, file = path.rpartition("/")
            return re.split(r"[._]", file)[0] if folder.split("/")[0] in parts and file else None

        return of


class STImage(Collection):
    """STImage-1K4M (Chen et al., NeurIPS 2024): `coord/`, `gene_exp/`, `image/` of the chosen slides."""

    about = "STImage-1K4M, measured sections from many studies; open"
    folder = "stimage"
    columns = {"id": ("slide",), "organ": ("tissue", "organ"), "platform": ("tech", "technology")}  # noqa: RUF012

    def repository(self, revision: str | None) -> Repository:
        licence = "MIT for the collection; each study's own terms for its data"
        return Repository("jiawennnn/STimage-1K4M", "dataset", licence, "eosin demo, which needs no data", revision)

    def table_of(self, files: Sequence[Listed]) -> str | None:
        return max((one.path for one in files if re.fullmatch(r"meta/meta_all.*\.csv", one.path)), default=None)

    def owner(self, order: Order) -> Callable[[str], str | None]:
        pattern = re.compile(
            r"(?:ST|Visium|VisiumHD)/(?:coord/(.+)_coord\.csv|gene_exp/(.+)_count\.csv|image/(.+)\.\w+)"
        )

        def of(path: str) -> str | None:
            found = pattern.fullmatch(path)
            return None if found is None else next(name for name in found.groups() if name)

        return of


def _read(file: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        with open(file, encoding="utf-8-sig") as text:
            separator = "\t" if "\t" in text.readline(1_000_000) else ","
        return pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise EosinError(f"not readable as a table of sections ({error})", file=file, fix="delete it") from error


def _column(table: pd.DataFrame, names: Sequence[str], file: Path) -> str:
    found = next((name for name in names if name in table), None)
    if found is None:
        raise EosinError(f"has no column '{names[0]}'", file=file, fix="try another --revision")
    return found


SOURCES.add("hest", Hest())
SOURCES.add("stimage", STImage())
