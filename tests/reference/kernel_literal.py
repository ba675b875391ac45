"""Kernel regression on spots in their context, written as its formulas stand: loops over spots, nothing shared."""

from __future__ import annotations

import numpy as np


def ring(xy, features, i, first, last):
    """Mean features of the spots of rank `first` to `last` by distance from spot i; None where there are none."""
    others = sorted((float(np.hypot(*(xy[j] - xy[i]))), j) for j in range(len(xy)) if j != i)
    members = [j for _, j in others[first - 1 : last]]
    return np.mean([features[j] for j in members], axis=0) if members else None


def in_context(sections, last_ranks):
    """[s (1 + rings) f]: each spot's features, then those of its rings; an empty ring is like the one inside it."""
    rows = []
    for xy, features in sections:
        for i in range(len(xy)):
            parts, first = [features[i].astype(float)], 1
            for last in last_ranks:
                around = ring(xy, features.astype(float), i, first, last)
                parts.append(parts[-1] if around is None else around)
                first = last + 1
            rows.append(np.concatenate(parts))
    return np.array(rows)


class KernelFit:
    """K = A A' / T + exp(-|p - q|^2 / 2m) between training spots, centred both ways; targets centred in sections."""

    def __init__(self, context, n_features, target, section, penalty, *, ring_weight=0.3, n_components=64):
        self.n, self.penalty = len(context), penalty
        x = context[:, :n_features]
        self.mean, self.sd = x.mean(0), x.std(0)
        self.ring_weight, self.n_features = ring_weight, n_features
        self.a = self.standardised(context)
        self.total = sum(np.var(self.a[:, j]) for j in range(self.a.shape[1]))
        centred = self.a - self.a.mean(0)
        _, singular, axes = np.linalg.svd(centred, full_matrices=False)
        keep = [k for k in range(min(n_components, len(singular))) if singular[k] > 1e-7 * singular[0]]
        self.axes, self.sd_of_axis = axes[keep], singular[keep] / np.sqrt(self.n)
        self.p = self.components(self.a)
        squared = [((self.p[i + 1 :] - self.p[i]) ** 2).sum(1) for i in range(self.n)]
        self.width = np.median(np.concatenate(squared))
        self.k = self.kernel(self.a, self.p)
        centre = np.eye(self.n) - 1 / self.n
        eigenvalues, vectors = np.linalg.eigh(centre @ self.k @ centre / self.n)
        y = target.astype(float).copy()
        for label in np.unique(section):
            y[section == label] -= y[section == label].mean(0)
        self.alpha = vectors @ np.diag(1 / (eigenvalues + penalty)) @ vectors.T @ y / self.n

    def standardised(self, context):
        f, parts = self.n_features, []
        for number in range(context.shape[1] // f):
            off = context[:, number * f : (number + 1) * f] - self.mean
            z = np.where(self.sd > 0, off / np.where(self.sd > 0, self.sd, 1), 0)
            parts.append(z if number == 0 else np.sqrt(self.ring_weight) * z)
        return np.hstack(parts)

    def components(self, a):
        return (a - self.a.mean(0)) @ self.axes.T / np.sqrt(self.sd_of_axis)

    def kernel(self, a, p):
        k = np.zeros((len(a), self.n))
        for i in range(len(a)):
            squared = ((self.p - p[i]) ** 2).sum(1)
            k[i] = self.a @ a[i] / self.total + np.exp(-squared / (2 * self.width))
        return k

    def predict(self, context):
        """Values without a level: the cross kernel is centred as that of the training spots is."""
        a = self.standardised(context)
        k = self.kernel(a, self.components(a))
        centred = k - k.mean(1)[:, None] - self.k.mean(0)[None] + self.k.mean()
        return centred @ self.alpha


def smoothed(values, sections, share, n):
    """1 - share of each spot and share of the mean of its n nearest others in the section."""
    out, start = values.copy(), 0
    for xy, _ in sections:
        own = values[start : start + len(xy)]
        for i in range(len(xy)):
            around = ring(xy, own, i, 1, n)
            if around is not None:
                out[start + i] = (1 - share) * own[i] + share * around
        start += len(xy)
    return out


def mean_correlation(truth, predicted):
    per_gene = []
    for g in range(truth.shape[1]):
        varies = np.ptp(truth[:, g]) > 0 and np.ptp(predicted[:, g]) > 0
        per_gene.append(np.corrcoef(truth[:, g], predicted[:, g])[0, 1] if varies else 0.0)
    return np.mean(per_gene)


def choose(context, n_features, target, section, folds, penalties, shares, sections, n):
    """Penalty, then smoothing, by the mean correlation on held-out folds; a fold is a set of sections."""
    by_penalty = {}
    for penalty in penalties:
        out = np.full(target.shape, np.nan)
        for fold in folds:
            outside = np.isin(section, fold)
            fit = KernelFit(context[~outside], n_features, target[~outside], section[~outside], penalty)
            out[outside] = fit.predict(context[outside])
        by_penalty[penalty] = out

    def scored(values):
        return np.mean(
            [np.mean([mean_correlation(target[section == s], values[section == s]) for s in fold]) for fold in folds]
        )

    penalty = max(penalties, key=lambda p: scored(by_penalty[p]))
    share = max(shares, key=lambda w: scored(smoothed(by_penalty[penalty], sections, w, n)))
    return penalty, share
