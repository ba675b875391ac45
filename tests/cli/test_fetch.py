"""Fetching, from a hub on the loopback that behaves like the real one, and fails like it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Run
from cli.hub_server import COMMIT, Hub, Repo, serve
from eosin.genes.name_table import read_gene_table

HEST, STIMAGE, PHIKON, UNI = (
    "datasets/MahmoodLab/hest",
    "datasets/jiawennnn/STimage-1K4M",
    "owkin/phikon",
    "MahmoodLab/UNI",
)
TABLE = """id,organ,st_technology,species
TENX1,Breast,Visium,Homo sapiens
TENX12,Breast,Xenium,Homo sapiens
NCBI7,Brain,Visium,Mus musculus
"""
BIG = np.random.default_rng(0).bytes(300_000)


def hest() -> Repo:
    files = {"README.md": b"readme", "HEST_v1_0_0.csv": b"id,organ\nOLD,Breast\n", "HEST_v1_1_0.csv": TABLE.encode()}
    for name in ("TENX1", "TENX12", "NCBI7"):
        files |= {
            f"st/{name}.h5ad": b"counts of " + name.encode(),
            f"wsis/{name}.tif": BIG,
            f"metadata/{name}.json": b"{}",
        }
        files |= {f"cellvit_seg/{name}_cellvit_seg.parquet": b"cells"}
    return Repo(files, gated=True)


def stimage() -> Repo:
    slides = {"A_1": ("ST", "breast"), "B_2": ("Visium", "brain")}
    rows = [f"{name}\t{tech}\t{tissue}" for name, (tech, tissue) in slides.items()]
    files = {"meta/meta_all_gene.csv": "\n".join(["slide\ttech\ttissue", *rows]).encode()}
    for name, (tech, _) in slides.items():
        files |= {f"{tech}/coord/{name}_coord.csv": b"coord", f"{tech}/gene_exp/{name}_count.csv": b"counts"}
        files |= {f"{tech}/image/{name}.png": b"image"}
    return Repo(files)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """The hub, with a token that opens gates; cache and token are the test's own."""
    from huggingface_hub import constants

    repos = {HEST: hest(), STIMAGE: stimage()}
    repos[PHIKON] = Repo({"model.safetensors": b"weights of phikon", "config.json": b"{}"})
    repos[UNI] = Repo({"pytorch_model.bin": b"pickle"}, gated=True)
    with serve(Hub(repos)) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        monkeypatch.setenv("HF_TOKEN", served.token)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr(logging.getLogger("huggingface_hub"), "handlers", [])  # they hold another test's stderr
        yield served
        assert served.tokens_leaked == 0


def below(folder: Path) -> set[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(one.relative_to(folder)) for one in files if ".cache" not in one.parts}


def test_hest_by_organ_and_platform(eosin: Run, hub: Hub) -> None:
    said = eosin("fetch", "hest", "-o", "data", "--organ", "breast", "--platform", "visium")
    assert said.code == 0, said.err
    assert "1 section, 3 files" in said.out and "CC BY-NC-SA" in said.out
    parts = {"st/TENX1.h5ad", "wsis/TENX1.tif", "metadata/TENX1.json"}  # and nothing of TENX12, which begins alike
    assert below(Path("data")) == {"HEST_v1_1_0.csv", *parts}
    assert Path("data/wsis/TENX1.tif").read_bytes() == BIG


def test_what_is_there_is_not_fetched_again(eosin: Run, hub: Hub) -> None:
    line = ("fetch", "hest", "-o", "data", "--id", "NCBI7", "--parts", "st,cellvit_seg")
    assert eosin(*line).code == 0
    assert below(Path("data")) == {"HEST_v1_1_0.csv", "st/NCBI7.h5ad", "cellvit_seg/NCBI7_cellvit_seg.parquet"}
    hub.asked.clear()
    said = eosin(*line)
    assert said.code == 0 and "of which 0.0 kB are missing" in said.out
    assert not [path for _, path, _ in hub.asked if path.startswith("/cdn/")]


def test_a_cut_connection_is_resumed_where_it_broke(eosin: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10_000)  # it keeps whole chunks, of 10 MB
    path = "datasets/MahmoodLab/hest/wsis/TENX1.tif"
    hub.cut[path] = 100_000
    line = ("fetch", "hest", "-o", "data", "--id", "TENX1", "--parts", "wsis")
    for _ in range(2):  # whether the client goes on by itself or we run it again is its affair
        if eosin(*line).code == 0:
            break
    assert Path("data/wsis/TENX1.tif").read_bytes() == BIG
    ranges = hub.downloads(path)
    assert len(ranges) == 2 and int(ranges[1].removeprefix("bytes=").partition("-")[0]) >= 90_000


def test_a_dry_run_fetches_only_the_table(eosin: Run, hub: Hub) -> None:
    said = eosin("fetch", "hest", "-o", "data", "--dry-run")
    assert said.code == 0 and "3 sections, 9 files, 900.1 kB" in said.out
    assert below(Path("data")) == {"HEST_v1_1_0.csv"}


@pytest.mark.parametrize("token", [None, "wrong"])
def test_a_closed_gate_says_where_to_ask_and_what_else_there_is(
    eosin: Run, hub: Hub, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
    said = eosin("fetch", "hest", "-o", "data").complaint
    assert "is gated" in said and f"{hub.address}/datasets/MahmoodLab/hest" in said
    assert "CC BY-NC-SA 4.0" in said and "eosin fetch stimage" in said
    said = eosin("fetch", "weights", "uni").complaint
    assert "is gated" in said and "CC-BY-NC-ND-4.0" in said and "phikon" in said


def test_stimage_by_tissue(eosin: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert eosin("fetch", "stimage", "--organ", "Brain").code == 0
    slide = {"Visium/coord/B_2_coord.csv", "Visium/gene_exp/B_2_count.csv", "Visium/image/B_2.png"}
    assert below(Path("stimage")) == {"meta/meta_all_gene.csv", *slide}


@pytest.mark.parametrize("name", ["phikon", "owkin/phikon"])
def test_weights_go_to_the_cache_and_are_found_there_offline(
    eosin: Run, hub: Hub, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eosin.encoders.parts.published import zoo_card

    pinned = zoo_card("phikon").revision
    said = eosin("fetch", "weights", name, "--revision", COMMIT)
    assert said.code == 0, (said.err, pinned)
    (file,) = (tmp_path / "cache").rglob("snapshots/*/model.safetensors")
    assert file.read_bytes() == b"weights of phikon" and file.parent.name == COMMIT
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.asked.clear()
    assert eosin("fetch", "weights", name, "--revision", COMMIT).code == 0
    assert hub.asked == []


def test_offline_is_one_line(eosin: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in eosin("fetch", "hest").complaint
    assert "HF_HUB_OFFLINE" in eosin("fetch", "weights", "owkin/phikon").complaint
    assert hub.asked == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("everything",), "no source is called"),
        (("hest", "--organ", "Toe"), "no section has organ 'Toe'; there are Brain, Breast"),
        (("hest", "--organ", "Brain", "--platform", "Xenium"), "no section fits all"),
        (("hest", "--revision", "f" * 40), "has no revision"),
        (("hest", "--url", "x"), "takes no --url"),
        (("stimage", "--parts", "st"), "takes no --parts"),
        (("weights",), "no weights are called"),
        (("weights", "nobody/nothing"), "the hub has no model 'nobody/nothing'"),
        (("weights", "owkin/phikon", "-o", "x"), "takes no --out"),
        (("genes", "yeast"), "no gene table of species 'yeast'"),
        (("genes", "human", "--url", "ftp://x/y"), "is no web address"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_had_is_one_line(eosin: Run, hub: Hub, line: tuple[str, ...], said: str) -> None:
    assert said in eosin("fetch", *line).complaint


def test_a_repository_without_the_file_says_what_it_holds(eosin: Run, hub: Hub) -> None:
    hub.repos["some/one"] = Repo({"weights.bin": b"x"})
    assert "has no file model.safetensors; it holds weights.bin" in eosin("fetch", "weights", "some/one").complaint


def test_space_is_looked_at_before_anything_is_fetched(eosin: Run, hub: Hub) -> None:
    hub.claims["wsis/TENX1.tif"] = 10**18
    said = eosin("fetch", "hest", "-o", "data", "--id", "TENX1").complaint
    assert "1000000000.0 GB are to be fetched" in said
    assert below(Path("data")) == {"HEST_v1_1_0.csv"}


def test_no_server_is_one_line(eosin: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client tries again and again
    assert "cannot be fetched" in eosin("fetch", "stimage").complaint


HGNC = """hgnc_id\tsymbol\tname\tstatus\talias_symbol\tprev_symbol\tensembl_gene_id
HGNC:1\tERBB2\terb\tApproved\tHER2|NEU\tNGL\tENSG00000141736
HGNC:2\tOLD\told\tEntry Withdrawn\t\t\t
HGNC:3\tKRT8\tkeratin\tApproved\t"K8|CK8"\t\tENSG00000170421
"""
MRK_ENSEMBL = """MGI:1\tErbb2\terb\t61.7\t11\tENSMUSG00000062312\tx
MGI:2\tKrt8\tkeratin\t57\t15\tENSMUSG00000049382\tx
"""
MRK_LIST = """MGI Accession ID\tChr\tcM Position\tMarker Symbol\tStatus\tMarker Name\tMarker Synonyms (pipe-separated)
MGI:1\t11\t61.7\tErbb2\tO\terb\tNeu|Her2
MGI:3\t1\t2\tXkr4\tO\tx\tXRG4
"""


def test_genes_become_one_table_that_eosin_reads(eosin: Run, hub: Hub) -> None:
    hub.pages = {"hgnc.txt": HGNC.encode(), "MRK_ENSEMBL.rpt": MRK_ENSEMBL.encode(), "MRK_List2.rpt": MRK_LIST.encode()}
    assert eosin("fetch", "genes", "human", "--url", f"{hub.address}/pages/hgnc.txt").code == 0
    assert Path("genes-human.tsv").read_text().splitlines()[0] == "symbol\tensembl_id\taliases\tprevious\tspecies"
    human = read_gene_table("genes-human.tsv")
    assert human.symbols == {"ERBB2", "KRT8"} and human.symbol("HER2") == human.symbol("NGL") == "ERBB2"
    urls = [f"{hub.address}/pages/{name}" for name in ("MRK_ENSEMBL.rpt", "MRK_List2.rpt")]
    assert eosin("fetch", "genes", "mouse", "-o", "m.tsv", "--url", urls[0], "--url", urls[1]).code == 0
    mouse = read_gene_table("m.tsv")
    assert mouse.symbol("Her2") == "Erbb2" and mouse.ensembl("Neu") == "ENSMUSG00000062312"
    assert "Xkr4" in mouse.symbols and mouse.ensembl("Krt8") == "ENSMUSG00000049382"


def test_a_gene_table_that_is_cut_or_missing_leaves_nothing(eosin: Run, hub: Hub) -> None:
    hub.pages, hub.cut = {"hgnc.txt": HGNC.encode()}, {"hgnc.txt": 80}
    assert "hgnc.txt" in eosin("fetch", "genes", "human", "--url", f"{hub.address}/pages/hgnc.txt").complaint
    assert "cannot be fetched" in eosin("fetch", "genes", "human", "--url", f"{hub.address}/pages/gone").complaint
    assert not Path("genes-human.tsv").exists()


def test_doctor_asks_which_gates_are_open(eosin: Run, hub: Hub) -> None:
    import json

    said = eosin("doctor", "--online", "--json")
    assert said.code == 0, said.err
    gates = {one["check"]: one for one in json.loads(said.out) if one["check"].startswith("access to")}
    assert gates["access to MahmoodLab/UNI"]["state"] == "ok"
    other = next(one for name, one in gates.items() if name != "access to MahmoodLab/UNI")
    assert other["state"] == "note" and other["fix"]
