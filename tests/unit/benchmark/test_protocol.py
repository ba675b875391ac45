"""Protocols: what a file says is what is run, and nobody runs another file by mistake."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toy
from eosin.benchmark import load_protocol, protocol_facts, protocol_genes, protocol_splits
from eosin.benchmark.protocol import protocols
from eosin.data import Split
from eosin.errors import EosinError
from eosin.scores.results import split_family
from eosin.types import GenePanel, Section
from unit.benchmark.asking import bench

SMALL = {"model": {"n_layers": 1, "width": 16, "edge_width": 16}, "train": {"epochs": 4}}
TEXT = """schema = 1
name = "mine"
version = 3
about = "for a test"
transform = "log2p1"

[split]
rule = "hold-out"
test = ["B*"]
origin = "published"

[panel]
rule = "var:4"

[score]
metrics = ["pcc.pooled", "mse"]
"""


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return toy.cohort(30)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    return path


def run(sections: list[Section], out: Path, path: Path, **given: Any) -> dict[str, Any]:
    protocol = load_protocol(path)
    return bench(
        {"toy": sections},
        splits=protocol_splits(protocol, sections),
        genes=protocol_genes(protocol, sections, None),
        transform=protocol.head.transform,
        protocol=protocol,
        out=out,
        **{"models": ["gene-mean"], "draws": 2, **given},
    )


NAMED = (
    "hest-bench/readme",
    "hest-bench/table-a13",
    "hest-bench/stflow",
    "hest-bench/stflow-test-selected",
    "stimage/stflow",
    "her2st/stem",
    "her2st/flag",
    "kidney/stem",
    "prad/stem",
    "mouse-brain/stem",
    "dlpfc/flag",
    "flag/7-2-1",
    "leave-patient-out",
    "leave-section-out",
)


def test_those_that_ship_are_whole() -> None:
    from eosin.engine import resolve

    assert set(protocols()) == set(NAMED)
    for name in NAMED:
        protocol = load_protocol(name)
        assert protocol.name == name  # the file's place is its name
        assert protocol.head.source and protocol.split.note
        for model in protocol.head.models:
            if model.startswith("stflow"):
                resolve(model, None)
    assert load_protocol("her2st/flag").split.origin == "generated"  # FLAG did not publish which sections
    selected_on_test = [n for n in NAMED if load_protocol(n).selection.on == "test"]
    assert selected_on_test == ["hest-bench/stflow-test-selected"]
    assert [fact["name"] for fact in protocol_facts()] == sorted(NAMED)


def test_the_hash_is_the_files_and_is_stamped_into_every_cell(
    sections: list[Section], file: Path, tmp_path: Path
) -> None:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    scores = run(sections, tmp_path / "out", file)
    assert scores["schema"] == 1
    for stamp in (scores["protocol"], *(cell["protocol"] for cell in scores["cells"])):
        assert (stamp["name"], stamp["version"], stamp["sha256"]) == ("mine", 3, sha256)
    assert scores["cells"][0]["settings"]["transform"] == "log2p1"
    before = scores["cells"][0]["key"]
    file.write_text(TEXT + "# a remark\n")
    assert run(sections, tmp_path / "out", file)["cells"][0]["key"] != before


def test_a_pinned_hash_is_insisted_on(file: Path) -> None:
    sha256 = load_protocol(file).sha256
    for good in (f"{file}@{sha256}", f"{file}@{sha256[:8]}", f"{file}@{sha256[:12].upper()}"):
        assert load_protocol(good).sha256 == sha256
    with pytest.raises(EosinError, match=r"mine.toml: the protocol's content has hash .*, not deadbeef"):
        load_protocol(f"{file}@deadbeef")
    with pytest.raises(EosinError, match="has hash"):
        load_protocol("her2st/stem@00000000")
    named = file.rename(file.with_name(f"mine@{sha256[:10]}.toml"))
    assert load_protocol(named).name == "mine"
    named.write_text(TEXT.replace("var:4", "var:5"))
    with pytest.raises(EosinError, match="has hash"):
        load_protocol(named)


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ("schema = 1", "schema = 2", "is no protocol of schema 1"),
        ('"hold-out"', "hold-out", "not readable as TOML"),
        ("version = 3", "", "'version'"),
        ("[split]", "[spilt]", "'spilt'"),
        ("origin", "orgin", r"unknown setting 'orgin' in .*\[split\]; did you mean 'origin'"),
        ('origin = "published"', "", "origin"),
        ("pcc.pooled", "pcc.poold", "no metric is called 'pcc.poold'; did you mean 'pcc.pooled'"),
        ("metrics = [", "metrics = [] # ", "names no metric"),
        ("log2p1", "log2", "no transform is called 'log2'"),
        ('rule = "var:4"', "", "either a rule or a file"),
        ('test = ["B*"]', "", "holds out nothing"),
        ("hold-out", "random", None),
        ('rule = "hold-out"', 'rule = "random"\nshares = [0.5, 0.2, 0.2]', "do not add up to 1"),
        ("[score]", '[selection]\non = "validation"\n[score]', "has none"),
        ('[split]\nrule = "hold-out"', 'split = 3\n[splt]\nrule = "hold-out"', "'split' is not a table"),
    ],
)
def test_a_file_that_is_wrong_is_told(file: Path, was: str, now: str, says: str | None) -> None:
    assert was in TEXT
    file.write_text(TEXT.replace(was, now))
    if says is None:
        load_protocol(file)
        return
    with pytest.raises(EosinError, match=says) as told:
        load_protocol(file)
    assert "\n" not in str(told.value)


def test_names_that_are_not_there_are_answered_with_near_ones(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match="did you mean 'her2st/stem'"):
        load_protocol("her2st/stme")
    with pytest.raises(EosinError, match="no such protocol file"):
        load_protocol(tmp_path / "absent.toml")


def test_hold_out_and_choice_of_sections(sections: list[Section], file: Path) -> None:
    (split,) = protocol_splits(load_protocol(file), sections)
    assert (split.train, split.test, split.note) == (("A1", "A2"), ("B1", "B2"), "")
    file.write_text(TEXT.replace('transform = "log2p1"', 'sections = ["A1", "A2", "B1"]').replace("B*", "A2"))
    (split,) = protocol_splits(load_protocol(file), sections)
    assert (split.train, split.test, split.note) == (("A1", "B1"), ("A2",), "same-patient")
    with pytest.raises(EosinError, match="tests on 'A2', which is not there"):
        protocol_splits(load_protocol(file), sections[2:])


def test_stem_finds_its_section_under_either_name() -> None:
    protocol = load_protocol("her2st/stem")
    for names in (("B1", "B2", "A1"), ("SPA148", "SPA147", "SPA154")):
        (split,) = protocol_splits(protocol, [toy.section(name, 20, patient=name[0]) for name in names])
        assert split.test == names[:1] and split.train == names[1:]


def cohort(n: int) -> list[Section]:
    return [toy.section(f"S{i}", 12, patient=f"P{i // 2}") for i in range(n)]


def test_a_generated_split_is_the_same_whatever_the_order_and_another_for_another_protocol() -> None:
    sections = cohort(20)
    flag, other = load_protocol("her2st/flag"), load_protocol("flag/7-2-1")
    (split,) = protocol_splits(flag, sections)
    assert [len(side) for side in (split.train, split.validation, split.test)] == [14, 4, 2]
    assert set(split.train) | set(split.validation) | set(split.test) == {s.name for s in sections}
    order = np.random.default_rng(0).permutation(20)
    assert protocol_splits(flag, [sections[i] for i in order])[0] == split
    assert protocol_splits(other, sections)[0].test != split.test
    assert split.test == ("S16", "S4")  # a split that drifts silently makes old numbers incomparable
    with pytest.raises(EosinError, match="cannot split 2 sections"):
        protocol_splits(flag, sections[:2])


def test_splits_of_one_protocol_are_one_family(sections: list[Section]) -> None:
    made = protocol_splits(load_protocol("leave-section-out"), sections)
    assert [split.name for split in made] == [f"leave-section-out/{s.name}" for s in sections]
    assert protocol_splits(load_protocol("flag/7-2-1"), cohort(10))[0].name.startswith("flag:7-2-1/")


def test_patients_of_two_data_sets_keep_their_own_splits(sections: list[Section], file: Path, tmp_path: Path) -> None:
    """HEST's patients are `dataset/patient`; both last parts are `1` here."""
    file.write_text(TEXT.replace('rule = "hold-out"\ntest = ["B*"]', 'rule = "leave-patient-out"'))
    patients = {"A1": "TENX/1", "A2": "TENX/2", "B1": "NCBI/1", "B2": "NCBI/a/1"}
    named = [replace(section, patient=patients[section.name]) for section in sections]
    made = protocol_splits(load_protocol(file), named)
    assert [split.name for split in made] == ["mine/TENX/1", "mine/TENX/2", "mine/NCBI/1", "mine/NCBI/a/1"]
    assert [split.test for split in made] == [("A1",), ("A2",), ("B1",), ("B2",)]
    assert {split_family(split.name) for split in made} == {"mine"}
    scores = run(named, tmp_path / "out", file)
    assert len({cell["split"] for cell in scores["cells"]}) == 4
    assert len(list((tmp_path / "out" / "cells").glob("*.json"))) == len(scores["cells"])


def test_a_section_whose_name_holds_a_slash_names_its_split_whole(sections: list[Section], file: Path) -> None:
    file.write_text(TEXT.replace('test = ["B*"]', 'test = ["x/1"]'))
    named = [*sections[:2], replace(sections[2], name="x/1"), replace(sections[3], name="y/1")]
    assert [split.name for split in protocol_splits(load_protocol(file), named)] == ["mine/x/1"]


def test_a_panel_of_all_sections_is_a_leak(sections: list[Section], file: Path, tmp_path: Path) -> None:
    file.write_text(TEXT.replace('rule = "var:4"', 'rule = "var:4"\nchosen_on = "all"'))
    panel = protocol_genes(load_protocol(file), sections, None)
    assert isinstance(panel, GenePanel) and panel.chosen_on == ("A1", "A2", "B1", "B2")
    with pytest.raises(EosinError, match="leaks: the gene panel was chosen with test section 'B1'"):
        run(sections, tmp_path / "out", file)
    (cell,) = run(sections, tmp_path / "out", file, allow_leak=True)["cells"]
    assert cell["leak"] == ["panel: the gene panel was chosen with test section 'B1'"]
    assert cell["settings"]["transform"] == "log2p1"


def test_a_claim_of_unseen_patients_is_held(sections: list[Section], file: Path, tmp_path: Path) -> None:
    file.write_text(TEXT.replace("B*", "A2") + "\n[claims]\nunseen_patients = true\n")
    with pytest.raises(EosinError, match="leaks: patient 'A' is on both sides; the protocol claims unseen patients"):
        run(sections, tmp_path / "out", file)
    assert not (tmp_path / "out").exists()
    file.write_text(TEXT + "\n[claims]\nunseen_patients = true\n")
    assert run(sections, tmp_path / "out", file)["cells"][0]["protocol"]["unseen_patients"] is True


def selected(sections: list[Section], out: Path, file: Path, on: str, **given: Any) -> dict[str, Any]:
    table = f'\n[selection]\non = "{on}"\ncandidates = 2\n'
    file.write_text(TEXT.replace("hold-out", "random") + table)
    given = {"models": ["stflow"], "tables": {"stflow": SMALL}, **given}
    return run(sections, out, file, **given)["cells"][0]


def test_the_epoch_is_chosen_on_validation_sections_and_not_on_the_test(
    sections: list[Section], file: Path, tmp_path: Path
) -> None:
    cell = selected(sections, tmp_path / "a", file, "validation")
    assert cell["status"] == "done" and cell.get("leak") is None
    chosen = cell["training"]
    assert chosen["chosen_on"] == "validation" and set(chosen["pcc_of_epochs"]) == {"0", "2", "4"}
    assert chosen["pcc_of_epochs"][str(chosen["epochs_chosen"])] == max(chosen["pcc_of_epochs"].values())
    assert len(cell["validation"]) == 1 and not set(cell["validation"]) & {*cell["train"], *cell["test"]}
    spoilt = [
        replace(s, counts=s.counts[::-1]) if s.name in cell["test"] and s.counts is not None else s for s in sections
    ]
    again = selected(spoilt, tmp_path / "b", file, "validation")
    assert again["training"]["pcc_of_epochs"] == chosen["pcc_of_epochs"]


def test_choosing_on_the_test_is_refused_or_stamped(sections: list[Section], file: Path, tmp_path: Path) -> None:
    with pytest.raises(EosinError, match="leaks: the epoch is chosen on the test sections"):
        selected(sections, tmp_path / "out", file, "test")
    cell = selected(sections, tmp_path / "out", file, "test", allow_leak=True)
    assert cell["leak"] == ["selection: the epoch is chosen on the test sections"]
    best = max(cell["training"]["pcc_of_epochs"].values())
    assert cell["metrics"]["pcc"]["mean"] == pytest.approx(best, abs=1e-5)


def test_a_model_without_epochs_has_nothing_to_choose(sections: list[Section], file: Path, tmp_path: Path) -> None:
    cell = selected(sections, tmp_path, file, "validation", models=["ridge"], tables=None)
    assert cell["status"] == "done" and "chosen_on" not in cell["training"]


def test_splits_of_a_task_need_its_folder(sections: list[Section]) -> None:
    protocol = load_protocol("hest-bench/readme")
    with pytest.raises(EosinError, match="reads its splits from files"):
        protocol_splits(protocol, sections)
    with pytest.raises(EosinError, match=r"reads its genes from 'var_50genes\.json'"):
        protocol_genes(protocol, sections, None)


def test_a_benchmark_task_is_split_as_its_authors_did(sections: list[Section], tmp_path: Path) -> None:
    (tmp_path / "splits").mkdir()
    header = "sample_id,patches_path,expr_path\n"
    for number, (train, test) in enumerate(((("A1", "A2"), ("B1",)), (("B1", "B2"), ("A1",)))):
        for side, names in (("train", train), ("test", test)):
            rows = "".join(f"{n},patches/{n}.h5,adata/{n}.h5ad\n" for n in names)
            (tmp_path / "splits" / f"{side}_{number}.csv").write_text(header + rows)
    (tmp_path / "var_50genes.json").write_text('{"genes": ["GENE1", "GENE2"]}')
    protocol = load_protocol("hest-bench/readme")
    made = protocol_splits(protocol, sections, tmp_path)
    assert made == [
        Split("hest-bench:readme/split 0", ("A1", "A2"), ("B1",)),
        Split("hest-bench:readme/split 1", ("B1", "B2"), ("A1",)),
    ]
    panel = protocol_genes(protocol, sections, tmp_path)
    assert isinstance(panel, GenePanel) and panel.names == ("GENE1", "GENE2") and "B1" in panel.chosen_on
    with pytest.raises(EosinError, match="names section 'A1', which is not there"):
        protocol_splits(protocol, sections[1:], tmp_path)
