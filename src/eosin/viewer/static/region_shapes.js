"use strict";
// Outlines of regions: how they are drawn, and GeoJSON in and out.
(() => {
  const eosin = (globalThis.eosin ??= {});

  // A halo in the paper's colour under a line in the ink's: seen on tissue and on any colour.
  function stroke(context, chosen) {
    context.lineJoin = "round";
    context.strokeStyle = "#fff";
    context.lineWidth = chosen ? 5 : 4;
    context.stroke();
    context.strokeStyle = chosen ? "#b0005e" : "#222";
    context.lineWidth = chosen ? 2.5 : 1.5;
    context.stroke();
  }

  function ringsOf(geometry, mpp) {
    const polygons = geometry?.type === "Polygon" ? [geometry.coordinates] : geometry?.type === "MultiPolygon" ? geometry.coordinates : [];
    return polygons.flat().map((ring) => ring.map(([x, y]) => [Number(x) * mpp, Number(y) * mpp])).filter((ring) => ring.length > 2);
  }

  // Regions of a GeoJSON tree, in full-resolution pixels of `mpp` µm.
  function regionsOf(tree, mpp) {
    const features = Array.isArray(tree) ? tree : tree?.type === "FeatureCollection" ? tree.features : [tree];
    const found = [];
    for (const feature of features) {
      const rings = ringsOf(feature?.type === "Feature" ? feature.geometry : feature, mpp);
      if (!rings.length || rings.some((ring) => ring.some(([x, y]) => !Number.isFinite(x) || !Number.isFinite(y)))) continue;
      const properties = feature.properties ?? {};
      const label = properties.name ?? properties.classification?.name ?? (properties.classification?.names ?? []).at(-1);
      found.push({ name: typeof label === "string" ? label.slice(0, 60) : null, rings });
    }
    return found;
  }

  const round = (value) => Math.round(value * 100) / 100;

  // Rings as polygons with holes: a ring within an odd number of others is a hole of the smallest one around it.
  function geometryOf(rings, mpp) {
    const { isInside, areaOf } = eosin.spots;
    const pixels = (ring) => closed(ring).map(([x, y]) => [round(x / mpp), round(y / mpp)]);
    const around = rings.map((ring) => rings.filter((other) => other !== ring && areaOf(other) > areaOf(ring) && isInside([other], ...ring[0])));
    const outer = rings.filter((_, k) => around[k].length % 2 === 0);
    const polygons = outer.map((ring) => {
      const holes = rings.filter((_, k) => around[k].length % 2 === 1 && smallest(around[k].filter((other) => outer.includes(other)), areaOf) === ring);
      return [ring, ...holes].map(pixels);
    });
    return polygons.length === 1 ? { type: "Polygon", coordinates: polygons[0] } : { type: "MultiPolygon", coordinates: polygons };
  }

  const smallest = (rings, areaOf) => rings.reduce((a, b) => (areaOf(b) < areaOf(a) ? b : a));

  function closed(ring) {
    const [first, last] = [ring[0], ring[ring.length - 1]];
    return first[0] === last[0] && first[1] === last[1] ? ring : [...ring, first];
  }

  eosin.regionShapes = { stroke, regionsOf, geometryOf };
})();
