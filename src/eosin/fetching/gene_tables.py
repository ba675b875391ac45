"""Gene names from HGNC or MGI, written as one table for `--gene-table`."""

from __future__ import annotations

import csv
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from http.client import HTTPException
from pathlib import Path

from eosin.errors import EosinError
from eosin.fetching.hub import is_offline
from eosin.fetching.sources import SOURCES, FetchOptions, Source
from eosin.genes.name_table import read_gene_table
from eosin.genes.renaming import Gene
from eosin.plurals import counted
from eosin.storage.files import atomic_file

USUAL: Mapping[str, tuple[str, ...]] = {
    "human": ("https://storage.googleapis.com/public-download-files/hgnc/tsv/tsv/hgnc_complete_set.txt",),
    "mouse": (
        "https://www.informatics.jax.org/downloads/reports/MRK_ENSEMBL.rpt",
        "https://www.informatics.jax.org/downloads/reports/MRK_List2.rpt",
    ),
}
"""HGNC's complete set; MGI's symbols with Ensembl ids, and its symbols with synonyms."""

COLUMNS = ("symbol", "ensembl_id", "aliases", "previous", "species")
_AGAIN = "check the connection and the address, or give another by --url"
_TIMEOUT_S = 60


class Genes(Source):
    """The names of the genes of one species."""

    about = "names of genes, human or mouse, as a table for --gene-table"
    takes = frozenset({"name", "out", "url"})

    def fetch(self, options: FetchOptions, *, dry_run: bool) -> list[str]:
        """Download the species' tables, join them by symbol, and write one table."""
        species = options.name or ""
        if species not in USUAL:
            raise EosinError(f"no gene table of species '{species}'", fix=f"name one of {', '.join(USUAL)}")
        out, urls = options.out or Path(f"genes-{species}.tsv"), options.url or USUAL[species]
        if dry_run:
            return [f"{url} for {out}" for url in urls]
        with tempfile.TemporaryDirectory() as folder:
            tables = [read_gene_table(_download(url, Path(folder) / f"{i}")).genes for i, url in enumerate(urls)]
        genes = joined(tables, species)
        _write(genes, out)
        n_ids = sum(bool(gene.ensembl) for gene in genes)
        return [f"{counted(len(genes), 'gene')}, {n_ids} with an Ensembl id, in {out}", f"use it: --gene-table {out}"]


def joined(tables: Iterable[Iterable[Gene]], species: str) -> list[Gene]:
    """Genes of several tables by symbol: ids from the first table that has them, other names from all."""
    ids: dict[str, list[str]] = {}
    names: dict[str, tuple[list[str], list[str]]] = {}
    for table in tables:
        table_ids: dict[str, list[str]] = {}
        for gene in table:
            if gene.ensembl:
                table_ids.setdefault(gene.symbol, []).append(gene.ensembl)
            aliases, previous = names.setdefault(gene.symbol, ([], []))
            aliases += [name for name in gene.aliases if name not in aliases]
            previous += [name for name in gene.previous if name not in previous]
        ids = {**table_ids, **ids}
    return [
        Gene(symbol, ensembl, tuple(aliases), tuple(previous), species)
        for symbol, (aliases, previous) in names.items()
        for ensembl in dict.fromkeys(ids.get(symbol, [""]))
    ]


def _download(url: str, stem: Path) -> Path:
    """A file from the web, under its own suffix."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise EosinError(
            f"'{url}' is no web address", fix="begin it with https, or give a file to --gene-table at once"
        )
    if is_offline():
        raise EosinError(f"HF_HUB_OFFLINE is set, so that {url} cannot be fetched", fix="unset it")
    file = stem.with_name(f"{stem.name}-{Path(parts.path).name or 'table.tsv'}")
    request = urllib.request.Request(url, headers={"User-Agent": "eosin"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response, open(file, "wb") as copy:
            shutil.copyfileobj(response, copy)
            promised = response.headers.get("Content-Length")
    except (urllib.error.URLError, HTTPException, OSError) as error:
        raise EosinError(f"{url} cannot be fetched ({error})", fix=_AGAIN) from error
    if promised is not None and file.stat().st_size < int(promised):
        raise EosinError(f"{url} was cut off at {file.stat().st_size} of {promised} bytes", fix="run it again")
    return file


def _write(genes: Iterable[Gene], out: Path) -> None:
    with atomic_file(out) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for gene in genes:
            writer.writerow([gene.symbol, gene.ensembl, "|".join(gene.aliases), "|".join(gene.previous), gene.species])


SOURCES.add("genes", Genes())
