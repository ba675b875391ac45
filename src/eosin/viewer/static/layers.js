"use strict";
// What a pane can show, the values of it for a gene, and the range of its colours.
(() => {
  const eosin = (globalThis.eosin ??= {});

  function layersOf(scene) {
    const layers = [{ key: "tissue", title: "H&E", group: null }];
    if (scene.truth !== null) layers.push({ key: "measured", title: "Measured", source: scene.truth, group: "expression" });
    layers.push({ key: "predicted", title: "Predicted", source: 0, group: "expression" });
    if (scene.interval) layers.push({ key: "halfwidth", title: "Half-width of the interval", group: "spread" });
    if (scene.distance_limit !== null) layers.push({ key: "distance", title: "Distance from training", group: "distance" });
    if (scene.truth !== null) layers.push({ key: "difference", title: "Predicted − measured", minus: scene.truth, group: "difference" });
    for (let i = scene.truth === null ? 1 : 2; i < scene.sources.length; i++) {
      const name = scene.sources[i];
      layers.push({ key: `other${i}`, title: `By ${name}`, source: i, group: "expression" });
      layers.push({ key: `difference${i}`, title: `Predicted − ${name}`, minus: i, group: "difference" });
    }
    return layers;
  }

  // Low and high end of the interval at a spot; null where there is none.
  function intervalAt(gene, spot) {
    if (gene.low) return [gene.low[spot], gene.high[spot]];
    if (!gene.interval) return null;
    const { below, above, smallest } = gene.interval;
    const mean = gene.mean[spot];
    const floor = smallest ?? -Infinity;
    return [Math.max(mean - below, floor), Math.max(mean + above, floor)];
  }

  function perSpot(n, value) {
    const values = new Float32Array(n);
    for (let i = 0; i < n; i++) values[i] = value(i);
    return values;
  }

  // {values, group, message}: values of a layer, which may stand in for those that there are none of.
  async function valuesOf(layer, scene, store, column) {
    if (layer.key === "tissue") return { values: null, group: null };
    if (layer.key === "distance") return { values: (await store.distance()).mean, group: "distance" };
    const predicted = await store.gene(0, column);
    if (layer.key === "halfwidth") return halfWidth(predicted, scene, store);
    if (layer.minus !== undefined) {
      const other = await store.gene(layer.minus, column);
      return { values: perSpot(scene.n, (i) => predicted.mean[i] - other.mean[i]), group: "difference" };
    }
    const gene = layer.source === 0 ? predicted : await store.gene(layer.source, column);
    return { values: gene.mean, group: "expression", message: allMissing(gene.mean) ? "This gene is not known here." : null };
  }

  async function halfWidth(predicted, scene, store) {
    if (predicted.low) {
      return { values: perSpot(scene.n, (i) => (predicted.high[i] - predicted.low[i]) / 2), group: "spread" };
    }
    if (!predicted.interval) return { values: null, group: "spread", message: "This model gives no interval." };
    const { below, above } = predicted.interval;
    const same = `One interval for all ${scene.spots_or_cells} of this gene: −${eosin.dom.number(below)} to +${eosin.dom.number(above)}. It is no map.`;
    if (scene.distance_limit === null) return { values: null, group: "spread", message: same };
    return {
      values: (await store.distance()).mean,
      group: "distance",
      message: `${same} Shown instead: the distance from training.`,
    };
  }

  function allMissing(values) {
    for (let i = 0; i < values.length; i++) if (!Number.isNaN(values[i])) return false;
    return values.length > 0;
  }

  // Percentiles of the known values; of many, of an even sample.
  function percentiles(values, shares) {
    const stride = Math.max(1, Math.floor(values.length / 20000));
    const known = [];
    for (let i = 0; i < values.length; i += stride) if (!Number.isNaN(values[i])) known.push(values[i]);
    if (!known.length) return shares.map(() => NaN);
    const sorted = Float64Array.from(known).sort();
    return shares.map((share) => {
      const at = share * (sorted.length - 1);
      const k = Math.floor(at);
      return sorted[k] + (at - k) * ((sorted[k + 1] ?? sorted[k]) - sorted[k]);
    });
  }

  // {range, ends} of a group of layers that share colours: the range at first, and how far its slider goes.
  function rangeOf(group, vectors, scene) {
    if (group === "distance") return spread(0, 2 * scene.distance_limit, vectors);
    const known = vectors.filter(Boolean).map((values) => percentiles(values, [0, 0.01, 0.5, 0.99, 1])).filter((p) => !Number.isNaN(p[0]));
    if (!known.length) return { range: [0, 1], ends: [0, 1] };
    const low = Math.min(...known.map((p) => p[1]));
    const high = Math.max(...known.map((p) => p[3]));
    const ends = [Math.min(...known.map((p) => p[0])), Math.max(...known.map((p) => p[4]))];
    if (group === "difference") {
      const far = Math.max(Math.abs(low), Math.abs(high), 1e-6);
      return { range: [-far, far], ends: [-far, far] };
    }
    if (group === "spread") return { range: [0, Math.max(high, 1e-6)], ends: [0, Math.max(ends[1], 1e-6)] };
    return high - low > 1e-6 ? { range: [low, high], ends } : { range: [low - 0.5, low + 0.5], ends: [low - 0.5, low + 0.5] };
  }

  function spread(low, high) {
    return { range: [low, high], ends: [low, high] };
  }

  eosin.layers = { layersOf, valuesOf, intervalAt, percentiles, rangeOf };
})();
