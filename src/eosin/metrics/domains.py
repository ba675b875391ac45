"""Domains: do the predictions fall into the regions of tissue that a pathologist or a clustering has marked?

The recipe of FLAG (appendix H.9), as scanpy runs it: 20 principal components, 15 nearest neighbours (the spot itself
being one) with UMAP's weights, Leiden at resolution 0.3. The graph equals scanpy's; the communities are found by
`eosin.metrics.leiden`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from eosin.errors import EosinError
from eosin.metrics.accuracy import is_constant
from eosin.metrics.leiden import leiden
from eosin.metrics.matched import MatchedSection, has_labels
from eosin.metrics.metric import DOMAINS, Metric, register
from eosin.row_blocks import even_rows

N_COMPONENTS, N_NEIGHBOURS, RESOLUTION = 20, 15, 0.3
MOST_SPOTS = 20_000
"""Of a larger section as many spots, evenly spread over the file, are clustered."""
N_RUNS = 10  # of Leiden, the best kept: one run's ARI moves by its visiting order, which is not the model's doing

NO_LABEL = frozenset(
    {"", "na", "<na>", "nan", "none", "null", "unlabelled", "unlabeled", "unassigned", "undetermined", "unknown"}
)
"""Words, whatever their case, that stand where a spot has no label."""


class DomainScore(NamedTuple):
    """How a clustering of expression agrees with the labels.

    Attributes
    ----------
    ari, nmi
        Adjusted Rand index and normalised mutual information (arithmetic mean), over labelled spots; NaN with fewer
        than two labels.
    n_clusters
        Clusters found among all spots.
    n_domains, n_unlabelled
        Labels that occur, and spots that have none and are left out of the comparison (not of the clustering).
    """

    ari: float
    nmi: float
    n_clusters: int
    n_domains: int
    n_unlabelled: int


def has_label(labels: Sequence[str]) -> np.ndarray:
    """Which spots [s] have a label: see `NO_LABEL`."""
    return np.array([str(label).strip().lower() not in NO_LABEL for label in labels], dtype=bool)


def need_labels(labels: Sequence[str] | None, section: str) -> np.ndarray:
    """The labels [s] as text, or one line that says that the section has none."""
    if labels is None or not has_label(labels).any():
        raise EosinError(
            f"section '{section}' has no domain labels",
            fix="give them in the data (obs column 'domain', or ST-pat / ST-cluster files), or score without domains",
        )
    return np.array([str(label).strip() for label in labels], dtype=object)


def domain_score(expression: np.ndarray, labels: Sequence[str], *, seed: int = 0) -> DomainScore:
    """Cluster expression [s g] (model values) by `find_domains` and compare with the labels [s].

    All spots are clustered, since an unlabelled spot is tissue too; the comparison is over the labelled ones.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    if len(labels) != len(expression):
        raise ValueError(f"{len(labels)} labels for {len(expression)} spots")
    clusters, known = find_domains(expression, seed=seed), has_label(labels)
    truth = np.array([str(label).strip() for label in labels], dtype=object)[known].astype(str)
    n_domains, n_clusters = len(np.unique(truth)), len(np.unique(clusters))
    ari = nmi = np.nan
    if n_domains > 1:
        ari = float(adjusted_rand_score(truth, clusters[known]))
        nmi = float(normalized_mutual_info_score(truth, clusters[known]))
    return DomainScore(ari, nmi, n_clusters, n_domains, int((~known).sum()))


def find_domains(
    expression: np.ndarray,
    *,
    n_components: int = N_COMPONENTS,
    n_neighbours: int = N_NEIGHBOURS,
    resolution: float = RESOLUTION,
    seed: int = 0,
    n_runs: int = N_RUNS,
) -> np.ndarray:
    """Cluster of each spot [s] by Leiden on the neighbour graph of expression [s g], the largest being 0.

    Expression is taken as it is (log counts in the papers), centred and not scaled. What does not vary has one domain.
    """
    expression = np.asarray(expression, dtype=np.float64)
    varying = expression[:, ~is_constant(expression)]
    if len(varying) < 3 or varying.shape[1] == 0:
        return np.zeros(len(expression), dtype=np.int64)
    graph = neighbour_graph(principal_components(varying, n_components), n_neighbours)
    return leiden(graph, resolution, seed=seed, n_runs=n_runs)


def principal_components(values: np.ndarray, n: int = N_COMPONENTS) -> np.ndarray:
    """Scores [s c] on the first principal components of centred values [s g]; c is at most n, s - 1 and g."""
    x = np.asarray(values, dtype=np.float64)
    x = x - x.mean(axis=0)
    n = max(min(n, len(x) - 1, x.shape[1]), 1)
    if x.shape[1] <= len(x):
        _, basis = np.linalg.eigh(x.T @ x)  # ascending
        return x @ basis[:, : -n - 1 : -1]
    left, size, _ = np.linalg.svd(x, full_matrices=False)
    return left[:, :n] * size[:n]


def neighbour_graph(points: np.ndarray, k: int = N_NEIGHBOURS) -> sparse.csr_matrix:
    """UMAP's symmetric weights [s s] between points [s c] and their k - 1 nearest others: scanpy's `connectivities`.

    McInnes et al. 2018: a neighbour at distance d weighs exp(-(d - ρ) / σ), ρ being the distance of the nearest and σ
    such that a point's weights sum to log2(k); the two directions a and b join as a + b - ab.
    """
    s = len(points)
    k = k if k <= s else 1 + s // 2  # scanpy's rule for few spots
    distance, near = cKDTree(points).query(points, k=k)
    selves = near == np.arange(s)[:, None]
    selves[~selves.any(axis=1), -1] = True  # among coinciding points a point may not find itself: drop the last
    distance, near = distance[~selves].reshape(s, k - 1), near[~selves].reshape(s, k - 1)
    apart = np.where(distance > 0, distance, np.inf).min(axis=1, initial=np.inf)
    nearest = np.where(np.isfinite(apart), apart, 0.0)
    beyond = np.maximum(distance - nearest[:, None], 0.0)
    width = _widths(beyond, np.log2(k))
    # UMAP's floor on σ; its means count the point itself, at distance 0
    floor = 1e-3 * np.where(nearest > 0, distance.sum(axis=1) / k, distance.sum() / (s * k))
    width = np.maximum(width, floor)
    weight = np.exp(-np.divide(beyond, width[:, None], out=np.zeros_like(beyond), where=width[:, None] > 0))
    rows = np.repeat(np.arange(s), k - 1)
    one_way = sparse.csr_matrix((weight.ravel(), (rows, near.ravel())), shape=(s, s))
    other_way = one_way.T.tocsr()
    return sparse.csr_matrix(one_way + other_way - one_way.multiply(other_way))


def _widths(beyond: np.ndarray, wanted: float) -> np.ndarray:
    """σ of each row with Σ_j exp(-beyond / σ) = wanted, by bisection; as large as it gets where none fits."""
    low, high = np.zeros(len(beyond)), np.full(len(beyond), np.inf)
    width = np.ones(len(beyond))
    for _ in range(64):
        total = np.exp(-beyond / width[:, None]).sum(axis=1)
        fits = np.abs(total - wanted) < 1e-5
        over = total > wanted
        high = np.where(over & ~fits, width, high)
        low = np.where(~over & ~fits, width, low)
        middle = np.where(np.isinf(high), width * 2, (low + high) / 2)
        width = np.where(fits, width, middle)
    return width


def labels_of(section: MatchedSection) -> list[str]:
    """The domain labels (s) of a section that has them."""
    return [] if section.labels is None else list(section.labels)


def clustered(section: MatchedSection) -> np.ndarray:
    """The spots of a section that are clustered: all, or `MOST_SPOTS` of them."""
    return even_rows(len(section.truth), MOST_SPOTS)


def predicted_domains(section: MatchedSection) -> DomainScore:
    """`domain_score` of the mean of a section's draws."""
    return _of_some(section, section.mean)


def measured_domains(section: MatchedSection) -> DomainScore:
    """`domain_score` of a section's measured expression: what the labels allow."""
    return _of_some(section, section.truth)


def _of_some(section: MatchedSection, values: np.ndarray) -> DomainScore:
    rows, labels = clustered(section), labels_of(section)
    return domain_score(values[rows], [labels[row] for row in rows])


_FLAG = "FLAG, appendix H.9"

register(
    Metric(
        key="ari",
        function=lambda section: section.once(predicted_domains).ari,
        definition="adjusted Rand index of Leiden clusters of the predicted expression against the domain labels",
        better="up",
        group=DOMAINS,
        label="ARI",
        source=_FLAG,
        needs=has_labels,
    )
)
register(
    Metric(
        key="ari_expected",
        function=lambda section: section.once(measured_domains).ari,
        definition="ari of the measured expression of the same genes: what the labels allow",
        better="expected",
        group=DOMAINS,
        label="… of the truth",
        source=_FLAG,
        needs=has_labels,
    )
)
register(
    Metric(
        key="nmi",
        function=lambda section: section.once(predicted_domains).nmi,
        definition="normalised mutual information of the same",
        better="up",
        group=DOMAINS,
        label="NMI",
        source=_FLAG,
        needs=has_labels,
    )
)
register(
    Metric(
        key="nmi_expected",
        function=lambda section: section.once(measured_domains).nmi,
        definition="nmi of the measured expression of the same genes",
        better="expected",
        group=DOMAINS,
        label="… of the truth",
        source=_FLAG,
        needs=has_labels,
    )
)
