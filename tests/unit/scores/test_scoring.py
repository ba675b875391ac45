from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from eosin import metrics
from eosin.errors import EosinError
from eosin.genes import target
from eosin.metrics import METRICS, Metric
from eosin.metrics.metric import register
from eosin.scores.scoring import score
from eosin.types import GenePanel, Prediction, Section, Spots

GENES = tuple(f"G{j:02d}" for j in range(12))
PANEL = GenePanel(GENES[2:])


def section(name: str, s: int, seed: int) -> Section:
    rng = np.random.default_rng(seed)
    spots = Spots(rng.uniform(0, 2000, (s, 2)), 55.0, tuple(f"{name}-{i}" for i in range(s)))
    level = rng.uniform(0.5, 4, 12) * np.exp(np.sin(spots.xy_um[:, :1] / rng.uniform(100, 900, 12)))
    return Section(name, f"p-{name}", spots, counts=rng.poisson(level).astype(np.float32), genes=GENES)


def predict(truth: Section, *, panel: GenePanel = PANEL, k: int = 1, noise: float = 0.5, seed: int = 0) -> Prediction:
    values = target(truth, panel)
    draws = values + np.random.default_rng(seed).normal(scale=noise, size=(k, *values.shape))
    return Prediction(truth.name, truth.spots, panel, draws, "test", seed)


A, B = section("a", 50, 0), section("b", 80, 1)


def labelled(section: Section) -> Section:
    """The same with the label "left" or "right" by position, and none on its first three spots."""
    sides = np.where(section.spots.xy_um[:, 0] < 1000, "left", "right").tolist()
    return replace(section, domains=(*["unlabelled"] * 3, *sides[3:]))


def numbers(tree: dict, prefix: str = "") -> set[str]:
    keys = set()
    for key, value in tree.items():
        if isinstance(value, float):
            keys.add(prefix + key)
        elif isinstance(value, dict) and key in ("pcc", "biomarkers", "pathways"):
            keys |= numbers({k: v for k, v in value.items() if not isinstance(v, dict)}, f"{key}.")
    return keys


def test_the_truth_scores_perfectly():
    found = score(predict(A, noise=0), A)
    assert found["pcc"]["mean"] == pytest.approx(1)
    assert (found["mse"], found["mae"], found["rvd"], found["crps"]) == (0, 0, 0, 0)
    assert found["gsc"] == pytest.approx(1)
    assert found["ssc"] == pytest.approx(1)
    assert (found["n_sections"], found["n_spots"], found["n_genes"], found["n_draws"]) == (1, 50, 10, 1)


def test_sections_count_once_each_and_pooled_counts_spots():
    good, bad = predict(A, noise=0.1), predict(B, noise=3.0)
    found = score([good, bad], [B, A])
    each = [score(good, A), score(bad, B)]
    assert found["pcc"]["per_section"] == {"a": each[0]["pcc"]["mean"], "b": each[1]["pcc"]["mean"]}
    for pick in (lambda r: r["pcc"]["mean"], lambda r: r["mse"], lambda r: r["ssc"], lambda r: r["pcc_top10"]):
        assert pick(found) == pytest.approx((pick(each[0]) + pick(each[1])) / 2)
    together = np.concatenate([target(A, PANEL), target(B, PANEL)]), np.concatenate([good.mean, bad.mean])
    assert found["pcc"]["pooled"] == pytest.approx(metrics.pcc_summary(*together).mean)
    assert found["pcc"]["pooled"] != pytest.approx(found["pcc"]["mean"], abs=1e-4)


def test_truth_rows_follow_the_prediction_and_spare_ones_are_left():
    rows = np.random.default_rng(3).permutation(50)[:30]
    shuffled = predict(A.take(rows))
    assert score(shuffled, A) == score(shuffled, A.take(rows))
    assert score(shuffled, A)["n_spots"] == 30


def test_ids_are_compared_as_values():
    numbered = Section("a", "p", Spots(A.spots.xy_um, 55.0, tuple(range(50))), counts=A.counts, genes=GENES)
    again = Spots(A.spots.xy_um, 55.0, tuple(str(i) for i in range(50)))
    found = score(Prediction("a", again, PANEL, target(A, PANEL)[None], "m", 0), numbered)
    assert found["mse"] == 0


@pytest.mark.parametrize("transform", ["log1p_cp10k", "log2p1"])
def test_the_truth_is_brought_to_the_panels_transform(transform):
    panel = GenePanel(GENES[:4], transform)
    assert score(predict(A, panel=panel, noise=0), A)["mse"] == 0


def test_accuracy_is_of_the_mean_and_structure_of_both():
    prediction = predict(A, k=20, noise=2.0)
    found, mean_only = score(prediction, A), score(predict(A, k=20, noise=2.0), A)
    point = score(Prediction("a", A.spots, PANEL, prediction.mean[None], "m", 0), A)
    assert found == mean_only
    for key in ("mse", "mae", "rvd", "gsc", "ssc", "pcc_top10"):
        assert found[key] == pytest.approx(point[key], abs=1e-6)
    single = [score(Prediction("a", A.spots, PANEL, draw[None], "m", 0), A) for draw in prediction.draws]
    for key in ("rvd", "gsc", "ssc"):
        assert found[f"{key}_draw"] == pytest.approx(np.mean([one[key] for one in single]), abs=1e-6)
    assert found["rvd_draw"] > found["rvd"]  # noise adds variance that the mean does not have
    assert found["coverage_90_expected"] == pytest.approx(metrics.expected_coverage(20))
    assert found["coverage_90"] == metrics.coverage(target(A, PANEL), prediction.draws, 0.9)


def test_a_point_model_has_no_draw_keys_and_its_crps_is_its_mae():
    found = score(predict(A), A)
    assert not {"gsc_draw", "ssc_draw", "rvd_draw", "coverage_90"} & set(found)
    assert found["crps"] == pytest.approx(found["mae"])


def test_constant_genes_are_counted_and_given_as_none():
    counts = A.counts.toarray()
    counts[:, 2] = 3  # constant truth of the panel's first gene
    truth = Section("a", "p", A.spots, counts=counts, genes=GENES)
    draws = target(truth, PANEL)[None].copy()
    draws[:, :, 1] = 0.7  # constant prediction of its second
    found = score(Prediction("a", A.spots, PANEL, draws, "m", 0), truth)
    pcc = found["pcc"]
    assert pcc["per_gene"]["G02"] is None
    assert pcc["per_gene"]["G03"] == 0.0
    assert pcc["mean"] == pytest.approx(8 / 9)
    assert pcc["zero_filled"] == pytest.approx(8 / 10)
    assert pcc["nan_mean"] == pytest.approx(1)
    assert pcc["strict"] is None
    assert pcc["pooled_strict"] is None
    assert (pcc["n_constant"], pcc["n_constant_prediction"]) == (2, 1)


def test_one_strict_section_cannot_hide_another():
    flat = Prediction("a", A.spots, PANEL, np.ones((1, 50, 10)), "m", 0)
    found = score([flat, predict(B)], [A, B])["pcc"]
    assert found["strict"] is None
    assert found["nan_mean"] is not None
    assert found["per_section"]["a"] == 0.0


def test_one_spot_is_none_and_counted():
    one = A.take(np.array([4]))
    found = score([predict(one, k=3), predict(B, k=3)], [A, B])
    alone = score(predict(one, k=3), A)
    assert alone["pcc"]["mean"] is None
    assert alone["ssc"] is None
    assert alone["mse"] is not None
    assert found["pcc"]["per_section"]["a"] is None
    assert found["pcc"]["mean"] == found["pcc"]["per_section"]["b"]
    assert found["n_undefined"]["ssc"] == 1
    assert found["n_undefined"]["pcc"] == 1
    assert "mse" not in found["n_undefined"]


def test_it_is_json_and_every_number_is_described():
    found = score([predict(A, k=4), predict(B, k=4)], [A, labelled(B)], biomarkers=["G05"], pathways={"P": GENES})
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    undescribed = numbers(found) - set(METRICS)
    assert not undescribed
    large = {"pcc_top50", "deg_overlap_20", "deg_overlap_50"}  # more genes than this panel has
    assert numbers(found) | large == set(METRICS)  # nothing is described that is not computed


def test_what_does_not_belong_together_is_one_line():
    other = GenePanel(PANEL.names[::-1])
    cases = {
        "no measured section is called 'b'; measured: 'a'": ([predict(B)], [A]),
        "predicted spots were not measured, first 'a-49'": ([predict(A)], [A.take(np.arange(49))]),
        "'a' and 'b' differ in genes": ([predict(A), predict(B, panel=other)], [A, B]),
        "'a' is predicted twice": ([predict(A), predict(A)], [A]),
        "two measured sections are called 'a'": ([predict(A)], [A, A]),
        "no prediction to score": ([], [A]),
    }
    for told, (predictions, truths) in cases.items():
        with pytest.raises(EosinError, match=told):
            score(predictions, truths)
    nothing = Prediction("a", Spots(np.zeros((0, 2)), 55.0, ()), PANEL, np.zeros((1, 0, 10)), "m", 0)
    with pytest.raises(EosinError, match="has no spots"):
        score(nothing, A)
    fewer = Section("a", "p", A.spots, counts=A.counts[:, :5], genes=GENES[:5])
    with pytest.raises(EosinError, match="lacks 7 of the panel's 10 genes"):
        score(predict(A), fewer)


WIDE = tuple(f"W{j}" for j in range(60))


def wide(name: str = "w", s: int = 90) -> Section:
    """Two domains, each with 30 genes of its own; the first 4 spots have no label."""
    rng = np.random.default_rng(7)
    side = np.arange(s) % 2
    level = np.where((np.arange(60) < 30) == side[:, None].astype(bool), 6.0, 1.0) * rng.uniform(0.5, 1.5, 60)
    spots = Spots(rng.uniform(0, 2000, (s, 2)), 55.0, tuple(f"{name}-{i}" for i in range(s)))
    words = ["nan"] * 4 + ["ab"[i] for i in side[4:]]
    counts = rng.poisson(level).astype(np.float32)
    return Section(name, "p", spots, counts=counts, genes=WIDE, domains=tuple(words))


def test_labels_bring_domains_and_markers():
    truth, panel = wide(), GenePanel(WIDE)
    found = score(predict(truth, panel=panel, noise=0), truth)
    assert found["ari"] == pytest.approx(1)
    assert found["nmi"] == pytest.approx(1)
    assert found["ari"] == found["ari_expected"]
    assert found["deg_overlap_20"] == pytest.approx(1, abs=0.03)  # counts tie at the last place
    assert found["domains"] == {"n_sections": 1, "n_domains": {"w": 2}, "n_unlabelled": {"w": 4}}
    assert found["sections"]["w"]["ari"] == found["ari"]
    flat = score(Prediction("w", truth.spots, panel, np.ones((1, 90, 60)), "m", 0), truth)
    assert (flat["ari"], flat["nmi"]) == (0, 0)
    assert flat["ari_expected"] == pytest.approx(1)
    assert flat["deg_overlap_20"] == pytest.approx(20 / 60)
    assert flat["deg_overlap_50"] == pytest.approx(50 / 60)


def test_labels_follow_the_spots():
    truth, panel = wide(), GenePanel(WIDE)
    rows = np.random.default_rng(1).permutation(90)
    assert score(predict(truth.take(rows), panel=panel), truth)["ari"] == pytest.approx(
        score(predict(truth.take(rows), panel=panel), truth.take(rows))["ari"]
    )


def test_sections_without_labels_are_left_out_of_domains_only():
    both = score([predict(A), predict(B)], [labelled(A), B])
    one = score(predict(A), labelled(A))
    assert both["ari"] == one["ari"]
    assert both["domains"]["n_sections"] == 1
    assert "ari" not in both["sections"]["b"]
    assert not {"ari", "deg_overlap_20", "domains"} & set(score(predict(A), A))
    nameless = replace(A, domains=("nan",) * 50)
    assert score(predict(A), nameless) == score(predict(A), A)


def test_labels_that_are_needed_and_missing_are_one_line():
    for truth in (A, replace(A, domains=("nan",) * 50)):
        with pytest.raises(EosinError, match="section 'a' has no domain labels"):
            score(predict(A), truth, need_domains=True)
    assert "ari" in score(predict(A), labelled(A), need_domains=True)


def test_a_panel_too_small_for_its_markers_is_none_and_counted():
    found = score(predict(A), labelled(A))
    assert found["deg_overlap_20"] is None
    assert found["n_undefined"]["deg_overlap_20"] == 1


def test_biomarkers_are_scored_by_name():
    plain = score([predict(A), predict(B)], [A, B])
    assert "biomarkers" not in plain  # none of the usual ones is in this panel
    found = score([predict(A), predict(B)], [A, B], biomarkers=["G04", "GATA3", "G02", "G04"])["biomarkers"]
    per_gene = plain["pcc"]["per_gene"]
    assert found["pcc"] == {"G04": per_gene["G04"], "G02": per_gene["G02"]}
    assert found["mean"] == pytest.approx((per_gene["G04"] + per_gene["G02"]) / 2)
    assert found["missing"] == ["GATA3"]
    for nothing in (["GATA3", "VWF"], []):
        with pytest.raises(EosinError, match=f"none of the {len(nothing)} biomarkers is among the panel's 10 genes"):
            score(predict(A), A, biomarkers=nothing)


def test_the_usual_biomarkers_are_scored_where_the_panel_has_one():
    names = ("ERBB2", *GENES[1:])
    truth = replace(A, genes=names)
    found = score(predict(truth, panel=GenePanel(names)), truth)["biomarkers"]
    assert list(found["pcc"]) == ["ERBB2"]
    assert found["missing"] == ["GATA3", "UBE2C", "VWF"]


def test_pathways_are_scored_by_name_over_sections():
    sets = {"FIRST": GENES[2:6], "SECOND": (*GENES[6:], "ABSENT"), "SMALL": (GENES[2], GENES[3], "NONE")}
    good, bad = predict(A, noise=0), predict(B, noise=4.0)
    found = score([good, bad], [A, B], pathways=sets)["pathways"]
    assert set(found["sets"]) == {"FIRST", "SECOND"} and found["n_too_small"] == 1
    assert (found["sets"]["SECOND"]["n_genes"], found["sets"]["SECOND"]["n_missing"]) == (6, 1)
    for name in found["sets"]:
        each = [
            metrics.pathway_agreement(target(t, PANEL), p.mean, PANEL.names, sets[name]).correlation
            for t, p in ((A, good), (B, bad))
        ]
        assert each[0] == pytest.approx(1)
        assert found["sets"][name]["correlation"] == pytest.approx(np.mean(each))
    both = [found["sets"][name]["correlation"] for name in ("FIRST", "SECOND")]
    assert found["correlation"] == pytest.approx(np.mean(both))
    assert found["difference"] > 0
    assert "pathways" not in score(predict(A), A)


def test_pathways_come_from_a_file_and_need_genes_of_the_panel(tmp_path):
    file = tmp_path / "sets.gmt"
    file.write_text("P\tabout\t" + "\t".join(GENES[2:7]) + "\n")
    assert score(predict(A), A, pathways=file) == score(predict(A), A, pathways={"P": GENES[2:7]})
    with pytest.raises(EosinError, match="none of the 1 gene sets has 3 genes among the panel's 10"):
        score(predict(A), A, pathways={"OTHER": ("TP53", "MYC", "KRAS", GENES[2])})


@pytest.fixture
def registry():
    """What a test registers is forgotten after it."""
    known = dict(METRICS.items())
    yield
    METRICS._known.clear()
    METRICS._known.update(known)


def own(key: str, function, **more) -> Metric:
    return register(Metric(key, function, "a test's", "up", "Own", "own", "test", **more))


def test_a_registered_metric_is_scored_beside_the_others(registry):
    own("spots", lambda section: np.float32(len(section.truth)))
    own("own.mean", lambda section: np.nan if section.name == "a" else 2)
    own("own.largest", lambda sections: max(len(s.truth) for s in sections.sections), scope="sections")
    own("never", lambda section: 1.0, needs=lambda section: False)
    found = score([predict(A), predict(B)], [A, B])
    assert (found["spots"], found["own"]) == (65.0, {"mean": 2.0, "largest": 80.0})
    assert found["sections"]["a"]["own"] is None
    assert found["n_undefined"]["own"] == 1
    assert "never" not in found
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_metric_may_not_stand_where_something_else_does(registry):
    own("n_spots", lambda section: 1.0)
    with pytest.raises(ValueError, match="two numbers of a score are called 'n_spots'"):
        score(predict(A), A)
