"""Vectors of genes from co-expression and from files."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from safetensors.numpy import save_file

import toy
from eosin.errors import EosinError
from eosin.models.parts.gene_embedding import CoExpression, VectorFile, coexpression, match_genes, read_vectors, resize


def programs(n: int = 600) -> np.ndarray:
    """Counts of six genes: 0 to 2 rise together, 3 to 5 rise together, in random spots."""
    rng = np.random.default_rng(0)
    active = rng.random((n, 2)) < 0.5
    rate = 2.0 + 12.0 * np.repeat(active, 3, axis=1)
    return rng.poisson(rate * np.array([1, 5, 1, 1, 20, 1])).astype(np.float32)


def cosine(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def test_genes_of_one_program_have_near_vectors():
    near = cosine(coexpression(programs()))
    same = np.kron(np.eye(2), np.ones((3, 3))).astype(bool)
    assert near[same].min() > near[~same].max() + 0.2


def test_coexpression_does_not_see_the_depth_of_spots():
    counts = programs()
    depth = np.random.default_rng(1).integers(1, 9, (len(counts), 1))
    scaled = counts * depth
    # medians and ranks within spots stay; only the genes' means move a little
    assert np.allclose(cosine(coexpression(counts)), cosine(coexpression(scaled)), atol=0.1)


def test_a_small_panel_has_vectors_too():
    """Two of four genes are high in every spot: no pair is high together as often as independent ones would be."""
    vectors = coexpression(np.random.default_rng(0).poisson(5.0, (200, 4)).astype(np.float32))
    assert (np.abs(vectors).max(1) > 0).sum() >= 2


@pytest.mark.parametrize("counts", [np.zeros((5, 3)), np.ones((1, 1)), np.full((4, 2), 7.0)])
def test_coexpression_of_nothing_is_no_vector(counts):
    vectors = coexpression(counts)
    assert np.isfinite(vectors).all() and not vectors.any()


def test_resize_keeps_angles():
    vectors = np.random.default_rng(0).normal(size=(5, 8))
    vectors[2] = 0
    for width in (5, 8, 20):
        resized = resize(vectors, width)
        assert resized.shape == (5, width) and resized.dtype == np.float32
        assert np.allclose(resized @ resized.T, vectors @ vectors.T, atol=1e-4)
    few = resize(vectors, 2)
    assert few.shape == (5, 2) and not few[2].any()


def test_files_give_what_was_written(tmp_path):
    known = {"GENE0": np.arange(3.0), "gene1": np.ones(3)}
    save_file(known, tmp_path / "v.safetensors")
    (tmp_path / "v.csv").write_text("gene,a,b,c\nGENE0,0,1,2\ngene1,1,1,1\n")
    (tmp_path / "v.tsv").write_text("gene\ta\tb\tc\nGENE0\t0\t1\t2\ngene1\t1\t1\t1\n")
    for name in ("v.safetensors", "v.csv", "v.tsv"):
        read = read_vectors(tmp_path / name)
        assert set(read) == set(known) and all(np.array_equal(read[k], known[k]) for k in known)


def test_missing_genes_are_zero_and_counted(tmp_path, caplog):
    known = {"GENE0": np.arange(3.0), "gene1": np.ones(3)}
    with caplog.at_level(logging.INFO, logger="eosin"):
        matched = match_genes(known, ["GENE1", "OTHER", "GENE0"], tmp_path / "v.csv")
    assert np.array_equal(matched, [[1, 1, 1], [0, 0, 0], [0, 1, 2]])
    assert "1 of 3 genes have no vector" in caplog.text


def test_bad_files_say_what_is_wrong(tmp_path):
    (tmp_path / "text.csv").write_text("gene,a\nGENE0,high\n")
    (tmp_path / "nan.csv").write_text("gene,a\nGENE0,nan\n")
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    (tmp_path / "v.txt").write_text("x")
    save_file({"A": np.ones(2), "B": np.ones(3)}, tmp_path / "ragged.safetensors")
    for name, words in [
        ("text.csv", "not readable as a table"),
        ("nan.csv", "NaN"),
        ("bad.safetensors", "not readable as safetensors"),
        ("v.txt", "kind '.txt'"),
        ("ragged.safetensors", "all of one length"),
        ("gone.csv", "no such file"),
    ]:
        with pytest.raises(EosinError, match=words):
            read_vectors(tmp_path / name)
    (tmp_path / "other.csv").write_text("gene,a\nELSE,1\n")
    with pytest.raises(EosinError, match="none of the 6 genes"):
        VectorFile(tmp_path / "other.csv").of(toy.training())


def test_vectors_follow_the_panel():
    training = toy.training()
    assert CoExpression().of(training).shape == (6, 6)
