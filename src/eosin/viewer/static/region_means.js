"use strict";
// Genes inside a region against outside: means, and intervals of them.
(() => {
  const eosin = (globalThis.eosin ??= {});

  // Means [inside, outside] of what `value` gives for each spot; unknown values are left out.
  function means(region, value) {
    const sums = [0, 0];
    const counts = [0, 0];
    for (let i = 0; i < region.mask.length; i++) {
      const v = value(i);
      if (v !== v) continue;
      const side = region.mask[i] ? 0 : 1;
      sums[side] += v;
      counts[side]++;
    }
    return sums.map((sum, k) => (counts[k] ? sum / counts[k] : NaN));
  }

  // The 95 % quantile of Student's t (Cornish-Fisher; off by 0.003 at 8 degrees of freedom).
  function studentQuantile(freedom) {
    const z = 1.6449;
    return z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2);
  }

  // Intervals (90 %) of a region's mean, that outside, and their difference: the spread of draws around the mean.
  function intervalsOf([inside, outside], draws, region, nIndependent) {
    const n = region.mask.length;
    const each = Array.from({ length: draws.length / n }, (_, d) => means(region, (i) => draws[d * n + i]));
    const around = (centre, values) => {
      const half = studentQuantile(nIndependent) * Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / values.length);
      return [centre - half, centre + half];
    };
    return {
      insideInterval: around(inside, each.map((one) => one[0])),
      outsideInterval: around(outside, each.map((one) => one[1])),
      differenceInterval: around(inside - outside, each.map((one) => one[0] - one[1])),
    };
  }

  function rowOf(gene, trust, { predicted, measured, draws, nIndependent }, region) {
    const [inside, outside] = means(region, (i) => predicted.mean[i]);
    const row = { gene, trust, inside, outside, difference: inside - outside, insideInterval: null, outsideInterval: null, differenceInterval: null };
    if (draws) Object.assign(row, intervalsOf([inside, outside], draws, region, nIndependent));
    else if (predicted.low || predicted.interval) {
      const low = means(region, (i) => eosin.layers.intervalAt(predicted, i)[0]);
      const high = means(region, (i) => eosin.layers.intervalAt(predicted, i)[1]);
      row.insideInterval = [low[0], high[0]];
      row.outsideInterval = [low[1], high[1]];
    }
    [row.measuredInside, row.measuredOutside] = measured ? means(region, (i) => measured.mean[i]) : [NaN, NaN];
    return row;
  }

  eosin.regionMeans = { rowOf };
})();
