from __future__ import annotations

import json
import tracemalloc
import warnings

import numpy as np
import pytest
from scipy import sparse

from eosin.errors import EosinError
from eosin.genes import RULES, TRANSFORMS, GeneRule, choose_panel, gene_rules, need_rule, target, tolerant
from eosin.types import GenePanel, Section, Spots


def section(name: str, counts, genes: str | list[str]) -> Section:
    counts = sparse.csr_matrix(counts)
    n = counts.shape[0]
    xy, ids = np.column_stack([np.arange(n), np.zeros(n)]) * 100.0, tuple(f"s{i}" for i in range(n))
    return Section(name, f"p-{name}", Spots(xy, 55.0, ids), counts=counts, genes=tuple(genes))


# Variance of counts over both: A none, B small, C large, D only in one
ONE = section("one", [[4, 0, 0, 9], [4, 1, 9, 0], [4, 0, 0, 5]], "ABCD")
TWO = section("two", [[9, 4, 1], [0, 4, 0]], "CAB")


# --- transforms ---------------------------------------------------------------------------------------------------


def test_transforms_by_hand():
    counts, totals = np.array([[0.0, 1.0, 3.0]]), np.array([20.0])
    np.testing.assert_allclose(TRANSFORMS["log1p"].forward(counts), np.log([[1, 2, 4]]))
    np.testing.assert_allclose(TRANSFORMS["log2p1"].forward(counts), [[0, 1, 2]])
    np.testing.assert_allclose(TRANSFORMS["log1p_cp10k"].forward(counts, totals), np.log([[1, 501, 1501]]))


@pytest.mark.parametrize("name", list(TRANSFORMS))
def test_sparse_equals_dense_and_leaves_its_input_alone(name):
    counts = np.array([[0, 2, 5], [0, 0, 0], [1, 0, 7]], dtype=np.float32)
    doubled = sparse.csr_matrix((np.float32([1, 4, 2, 1, 7]), [2, 2, 1, 0, 2], [0, 3, 3, 5]), shape=(3, 3))
    totals = np.array([10.0, 0.0, 8.0])
    before = doubled.data.copy()
    found = TRANSFORMS[name].forward_sparse(doubled, totals)  # 5 is stored as 1 + 4
    np.testing.assert_allclose(found.toarray(), TRANSFORMS[name].forward(counts, totals))
    np.testing.assert_array_equal(doubled.data, before)


def test_cp10k_without_totals_gives_counts_per_ten_thousand():
    transform, counts = TRANSFORMS["log1p_cp10k"], np.array([[1.0, 3.0], [0.0, 0.0]])
    values = transform.forward(counts, np.array([8.0, 0.0]))
    np.testing.assert_allclose(transform.inverse(values), [[1250, 3750], [0, 0]])
    np.testing.assert_allclose(transform.inverse(values, np.array([8.0, 0.0])), counts)
    with pytest.raises(EosinError, match="total counts of every spot"):
        transform.forward(counts)


def test_negative_predictions_are_no_negative_counts():
    assert (TRANSFORMS["log1p"].inverse(np.array([[-3.0, 0.0]])) == 0).all()


def test_target_counts_all_measured_genes_of_the_spot_as_its_total():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        empty = section("empty", [[1, 3], [0, 0]], "AB")
        found = target(empty, GenePanel(("B",), "log1p_cp10k"))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[np.log1p(7500)], [0]], rtol=1e-6)


def test_target_follows_the_order_of_the_panel():
    np.testing.assert_allclose(target(TWO, GenePanel(("B", "C"), "log2p1")), np.log2([[2, 10], [1, 1]]), rtol=1e-6)
    with pytest.raises(EosinError, match=r"'two' lacks 1 .* 'D'"):
        target(TWO, GenePanel(("D",)))


# --- choosing -----------------------------------------------------------------------------------------------------


def test_var_takes_the_most_variable_of_the_common_genes_in_any_order_of_sections():
    panel = choose_panel("var:2", [ONE, TWO])
    assert panel == GenePanel(("C", "B"), "log1p", "var:2", ("one", "two"))
    assert choose_panel("var:2", [TWO, ONE]) == panel


def test_var_looks_at_model_values_not_counts():
    # spot totals are 10 and 100: A is 10 % of both, so constant per 10 000 though not in counts
    counts = [[1, 5, 4], [10, 5, 85]]
    assert choose_panel("var:3", [section("x", counts, "ABC")]).names[-1] == "B"
    assert choose_panel("var:3", [section("x", counts, "ABC")], transform="log1p_cp10k").names[-1] == "A"


def test_var_is_pooled_over_spots_not_averaged_over_sections():
    # B is constant inside each section and differs between them
    left = section("left", [[0, 9], [1, 9], [0, 9]], "AB")
    right = section("right", [[0, 0], [1, 0], [0, 0]], "AB")
    assert choose_panel("var:1", [left, right]).names == ("B",)


def test_ties_go_by_name():
    same = [[0, 0, 0], [3, 3, 3]]
    assert choose_panel("var:2", [section("x", same, "CAB")]).names == ("A", "B")
    apart = [[3, 0, 0], [0, 3, 0], [0, 0, 3]]
    assert choose_panel("var:2", [section("x", apart, "CAB")]).names == ("A", "B")


def test_hvg_leaves_out_genes_of_few_spots_in_any_section():
    rng = np.random.default_rng(0)
    many = rng.poisson(3, size=(40, 30))
    many[:, 0] = 0
    many[:3, 0] = 100  # wildly variable, but in 3 of 40 spots
    few = rng.poisson(3, size=(40, 30))
    genes = [f"G{j:02d}" for j in range(30)]
    assert choose_panel("hvg:1", [section("few", few, genes)])
    assert "G00" not in choose_panel("hvg:29", [section("many", many, genes), section("few", few, genes)]).names
    many[3, 0] = 100  # 4 of 40 are 10 %
    assert "G00" in choose_panel("hvg:30", [section("many", many, genes), section("few", few, genes)]).names


def test_hvg_of_one_gene_or_of_constant_genes_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_panel("hvg:1", [section("x", [[1, 0], [2, 0]], "AB")]).names == ("A",)
        with pytest.raises(EosinError, match="finds only 0 genes"):
            choose_panel("hvg:1", [section("x", [[2], [2]], "A")])
        with pytest.raises(EosinError, match="finds only 0 genes"):
            choose_panel("hvg:1", [section("x", [[0], [0]], "A")])


def test_hmhvg_needs_both_a_high_mean_and_a_high_sd():
    # A: highest mean, no sd. B: highest sd, lowest mean. C: second in both.
    counts = [[50, 0, 5], [50, 0, 30], [50, 0, 5], [50, 60, 30]]
    assert choose_panel("hmhvg:1", [section("x", counts, "ABC")]).names == ("C",)


def test_a_new_rule_is_an_object_in_the_registry(monkeypatch):
    monkeypatch.setattr(RULES, "_known", dict(RULES._known))
    RULES.add("last", GeneRule("the last names", lambda sections, names, transform: names[::-1]))
    assert choose_panel("last:2", [ONE]).names == ("D", "C")
    assert "last:N" in gene_rules()


# --- lists --------------------------------------------------------------------------------------------------------


def test_a_list_keeps_its_order_and_was_chosen_on_nothing():
    assert choose_panel(" C, A ,", [ONE, TWO], transform="log2p1") == GenePanel(("C", "A"), "log2p1", "given", ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("genes.txt", "\ufeffC\n\n# a remark\nA \n"),
        ("genes.csv", "gene,pcc\nC,0.5\nA,0.1\n"),
        ("bare.csv", "C\nA\n"),
        ("index.csv", ",pcc\nC,0.5\nA,0.1\n"),
        ("genes.tsv", "symbol\tx\nC\t1\nA\t2\n"),
        ("genes.json", json.dumps({"genes": ["C", "A"]})),
        ("bare.json", json.dumps(["C", "A"])),
        ("no-suffix", "C\nA"),
    ],
)
def test_files_of_genes(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    for rule in (path, str(path)):
        assert choose_panel(rule, [ONE, TWO]) == GenePanel(("C", "A"), rule=f"file:{name}")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"{"),
        ("a.json", b'{"genes": 3}'),
        ("a.json", b'{"panel": ["A"]}'),
        ("a.json", b"[1, 2]"),
        ("a.txt", b"\xff\xfe\x00"),
        ("a.txt", b"\n# nothing\n"),
        ("a.csv", b"gene\n"),
        ("a.csv", b""),
    ],
)
def test_broken_files_are_one_line_that_names_them(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EosinError, match=name) as caught:
        choose_panel(tmp_path / name, [ONE])
    assert "\n" not in str(caught.value)
    assert "one gene per line" in str(caught.value)


# --- what a user can get wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("best:50", "no gene rule is called 'best'.*hmhvg:N, hvg:N, var:N"),
        ("var", "gene 'var' is not measured.*var:N"),
        ("var:", "no positive whole number.*var:50"),
        ("var:0", "no positive whole number"),
        ("var:-3", "no positive whole number"),
        ("var:2.5", "no positive whole number"),
        ("var:4", "finds only 3 genes.*var:3"),
        ("hmhvg:9999999999999999999999", "finds only 3"),
        ("A,c", "gene 'c' is not measured in section 'one'; did you mean 'C'"),
        ("A,D", "'D' is not measured in section 'two'"),
        ("A,B,A", "'A' occurs twice"),
        ("", "empty"),
        (",", "empty"),
        ("panel.txt", "panel.txt: no such file"),
        ("panels/best", "panels/best: no such file"),
    ],
)
def test_wrong_rules_are_told_in_one_line(rule, told):
    with pytest.raises(EosinError, match=told) as caught:
        choose_panel(rule, [ONE, TWO])
    assert "\n" not in str(caught.value)


def test_sections_without_a_common_gene_are_named():
    other = section("other", [[1], [2]], "Z")
    with pytest.raises(EosinError, match="'one' and 'other' share no gene"):
        choose_panel("var:1", [TWO, other, ONE])
    ring = [section(n, [[1, 1]], g) for n, g in (("x", "AB"), ("y", "BC"), ("z", "CA"))]
    with pytest.raises(EosinError, match="no gene is in all 3 sections"):
        choose_panel("var:1", ring)


def test_sections_must_be_measured_and_there():
    blind = Section("blind", "p", Spots(np.zeros((1, 2)), 55.0, ("a",)))
    for rule in ("var:1", "A"):
        with pytest.raises(EosinError, match="'blind' has no counts"):
            choose_panel(rule, [ONE, blind])
    with pytest.raises(EosinError, match="no section"):
        choose_panel("var:1", [])
    with pytest.raises(EosinError, match="no transform is called 'log'"):
        choose_panel("var:1", [ONE], transform="log")


def test_every_rule_is_described():
    rules = gene_rules()
    assert {"var:N", "hvg:N", "hmhvg:N", "FILE"} <= set(rules)
    assert all(rules.values())


# --- unions, and genes that a section lacks ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "names"),
    [("var:1+B", "CB"), ("var:1+C,A", "CA"), ("B + var:2", "BC"), ("A+B", "AB"), ("var:1+var:2+A", "CBA")],
)
def test_a_union_has_every_gene_once_in_the_order_of_its_parts(rule, names):
    panel = choose_panel(rule, [ONE, TWO])
    assert panel.names == tuple(names)
    assert panel.rule == rule
    assert panel.chosen_on == (("one", "two") if "var" in rule else ())


def test_a_file_may_be_a_part_of_a_union_and_have_a_plus_in_its_name(tmp_path):
    (tmp_path / "a+b.txt").write_text("B\n")
    (tmp_path / "list.txt").write_text("A\n")
    assert choose_panel(tmp_path / "a+b.txt", [ONE]).names == ("B",)
    assert choose_panel(f"var:1+{tmp_path / 'list.txt'}", [ONE, TWO]).names == ("C", "A")


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("var:1+", "nothing before or after"),
        ("var:1+D", "gene 'D' is not measured in section 'two'"),
        ("var:9+A", "finds only 3 genes"),
        ("D?", "gene 'D' is not measured"),
    ],
)
def test_parts_of_a_union_are_refused_as_alone(rule, says):
    with pytest.raises(EosinError, match=says):
        choose_panel(rule, [ONE, TWO])


def test_genes_that_a_section_lacks_are_skipped_and_named(caplog):
    assert choose_panel(tolerant("var:1+D,B,Z", "skip"), [ONE, TWO]).names == ("C", "B")
    assert choose_panel(tolerant("var:1+D", "skip"), [ONE, TWO]).names == ("C",)
    assert "left out, as a section lacks them: D, Z" in caplog.text
    assert tolerant("var:50", "refuse") == "var:50"
    assert tolerant(tolerant("B", "skip"), "skip") == "B?"
    with pytest.raises(EosinError, match="--missing-genes is 'drop'; give refuse or skip"):
        tolerant("var:50", "drop")


@pytest.mark.parametrize("rule", ["best:50", "var:", "var:0", "var:2.5", "var:1+", "A,B+best:3", "no.txt", "no/such"])
def test_what_no_section_could_answer_is_refused_without_sections_in_the_same_words(rule):
    with pytest.raises(EosinError) as with_sections:
        choose_panel(rule, [ONE, TWO])
    with pytest.raises(EosinError) as without:
        need_rule(rule)
    assert str(without.value) == str(with_sections.value)


def test_an_unknown_transform_and_a_broken_file_are_refused_without_sections(tmp_path):
    with pytest.raises(EosinError, match="'log1pp'"):
        need_rule("var:50", "log1pp")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(EosinError, match="lists no gene"):
        need_rule(f"var:1+{tmp_path / 'empty.txt'}")


@pytest.mark.parametrize("rule", ["var:50", "hvg:1+A,B", "A,B?", "A"])
def test_what_sections_decide_is_not_refused_without_them(rule):
    need_rule(rule)


@pytest.mark.parametrize("rule", ["var:4", "hvg:3", "hmhvg:4"])
def test_sections_of_many_spots_are_ranked_in_blocks(rule, monkeypatch):
    counts = np.random.default_rng(5).poisson(np.linspace(0.5, 6, 9), (60, 9))
    counts[7] = 0
    sections = [section("A", counts[:40], "ABCDEFGHI"), section("B", counts[40:], "ABCDEFGHI")]
    whole = choose_panel(rule, sections, transform="log1p_cp10k").names, target(sections[0], GenePanel(tuple("CAF")))
    monkeypatch.setattr("eosin.genes.transforms._AT_ONCE", 11)
    again = choose_panel(rule, sections, transform="log1p_cp10k").names, target(sections[0], GenePanel(tuple("CAF")))
    assert again[0] == whole[0] and np.array_equal(again[1], whole[1])


def test_ranking_takes_less_memory_than_the_counts(monkeypatch):
    rng = np.random.default_rng(2)
    counts = sparse.random_array((200_000, 40), density=0.2, rng=rng, format="csr", dtype=np.float32)
    counts.data = np.ceil(counts.data * 4)
    one = section("A", counts, [f"G{i}" for i in range(40)])
    held = one.counts.data.nbytes + one.counts.indices.nbytes
    monkeypatch.setattr("eosin.genes.transforms._AT_ONCE", 1 << 16)
    tracemalloc.start()
    choose_panel("var:5", [one])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < held
