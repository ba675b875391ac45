from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eosin import metrics
from eosin.errors import EosinError
from eosin.metrics import coexpression, pathway_agreement, read_gmt
from eosin.metrics.pathway import need_set

RNG = np.random.default_rng(0)
NAMES = tuple("ABCDEFGH")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sets.gmt"
    path.write_text(text, encoding="utf-8")
    return path


def test_sets_are_read_in_order_each_gene_once(tmp_path):
    path = written(tmp_path, "HYPOXIA\thttp\tA\tB\tA\t\n\nEMT\t\tC\tD \tE\r\n")
    assert read_gmt(path) == {"HYPOXIA": ("A", "B"), "EMT": ("C", "D", "E")}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no gene set"),
        ("\n\n", "holds no gene set"),
        ("X\td\tA\nHYPOXIA A B\n", "line 2 is no gene set; write name, description and genes with tabs"),
        ("HYPOXIA\tonly a description\n", "line 1 is no gene set"),
        ("\td\tA\n", "line 1 is no gene set"),
        ("X\td\tA\nX\td\tB\n", "line 2: gene set 'X' comes twice"),
    ],
)
def test_what_is_no_gmt_is_one_line(tmp_path, text, told):
    path = written(tmp_path, text)
    with pytest.raises(EosinError, match=told) as caught:
        read_gmt(path)
    assert str(path) in str(caught.value)


def test_missing_and_binary_files_are_one_line(tmp_path):
    with pytest.raises(EosinError, match="no such gene-set file"):
        read_gmt(tmp_path / "none.gmt")
    (tmp_path / "bad.gmt").write_bytes(b"\xff\xfe\x00\x9d")
    with pytest.raises(EosinError, match="not readable as text"):
        read_gmt(tmp_path / "bad.gmt")
    with pytest.raises(EosinError, match="not readable as text"):
        read_gmt(tmp_path)


def test_a_set_is_found_by_name_or_near_names_are_told():
    sets = {"HALLMARK_HYPOXIA": ("A",), "HALLMARK_APOPTOSIS": ("B",)}
    assert need_set(sets, "HALLMARK_HYPOXIA") == ("A",)
    for name in ("hallmark_hypoxa", "hypoxia"):
        with pytest.raises(EosinError, match=r"did you mean 'HALLMARK_HYPOXIA'"):
            need_set(sets, name)
    with pytest.raises(EosinError, match="there are 2 sets"):
        need_set(sets, "zzz")


def test_coexpression_is_numpys_and_a_constant_gene_has_none():
    values = RNG.normal(size=(50, 5)) + RNG.normal(size=(50, 1))
    np.testing.assert_allclose(coexpression(values), np.corrcoef(values.T), atol=1e-12)
    values[:, 2] = 0.3
    found = coexpression(values)
    assert found[2].tolist() == [0, 0, 1, 0, 0]
    assert coexpression(values[:1]).tolist() == np.eye(5).tolist()


def test_agreement_by_hand():
    # truth: A and B rise together, C against them; prediction: all three together
    t = np.array([-1.0, 0, 1])
    truth, predicted = np.stack([t, t, -t], axis=1), np.stack([t, t, t], axis=1)
    found = pathway_agreement(truth, predicted, "ABC", ["A", "B", "C", "Z"])
    assert set(found.genes) == {"A", "B", "C"}
    assert found.n_missing == 1
    assert found.difference == pytest.approx((0 + 2 + 2) / 3)
    assert np.isnan(found.correlation)  # the prediction's triangle does not vary
    place = [found.genes.index(g) for g in "ABC"]
    np.testing.assert_allclose(found.truth[np.ix_(place, place)], [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], atol=1e-12)
    assert found.predicted == pytest.approx(np.ones((3, 3)))


def test_agreement_is_gsc_of_the_sets_genes():
    shared = RNG.normal(size=(60, 1))
    truth = RNG.normal(size=(60, 8)) + shared * RNG.uniform(0, 2, 8)
    predicted = truth + RNG.normal(size=(60, 8))
    found = pathway_agreement(truth, predicted, NAMES, "BDFGH")
    columns = [NAMES.index(g) for g in "BDFGH"]
    assert found.correlation == pytest.approx(metrics.gsc(truth[:, columns], predicted[:, columns]))
    assert pathway_agreement(truth, truth, NAMES, "BDFGH").correlation == pytest.approx(1)
    assert pathway_agreement(truth, truth, NAMES, "BDFGH").difference == 0


def test_genes_that_go_together_stand_together():
    a, b = RNG.normal(size=(2, 80, 1))
    truth = np.where(np.arange(8) % 2 == 0, a, b) + 0.3 * RNG.normal(size=(80, 8))
    order = pathway_agreement(truth, truth, NAMES, NAMES).genes
    assert {frozenset(order[:4]), frozenset(order[4:])} == {frozenset("ACEG"), frozenset("BDFH")}


def test_constant_genes_and_small_sets():
    truth = RNG.normal(size=(30, 8))
    truth[:, 0] = 1
    flat = np.ones_like(truth)
    found = pathway_agreement(truth, flat, NAMES, "ABCD")
    assert set(found.genes) == set("BCD")
    assert found.n_missing == 1
    assert np.isnan(found.correlation)  # nothing varies in the prediction
    assert found.predicted.tolist() == np.eye(3).tolist()
    for few in ("", "Z", "B", "BC"):
        small = pathway_agreement(truth, truth, NAMES, few)
        assert np.isnan(small.correlation)
        assert len(small.genes) == len(set(few) & set("BC"))
