"use strict";
// Regions of tissue: their outlines, the genes inside against outside, GeoJSON in and out.
(() => {
  const eosin = (globalThis.eosin ??= {});
  const { h, number, count, counted, save, fileName } = eosin.dom;
  const MOST_ROWS = 200;
  const MOST_BYTES = 50e6;
  const AT_ONCE = 6;

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

  class Regions {
    constructor(page) {
      this.page = page;
      this.all = [];
      this.chosen = null;
      this.made = 0;
      this.list = h("ul", { class: "region-list" });
      this.status = h("p", { class: "quiet", role: "status" });
      this.table = h("div", { class: "region-table", tabIndex: 0, role: "region", "aria-label": "Genes inside against outside" });
      this.file = h("input", { type: "file", accept: ".geojson,.json,application/geo+json", hidden: true, onchange: () => this.readFiles(this.file.files) });
      const button = (text, action) => h("button", { type: "button", onclick: action }, text);
      this.element = h(
        "aside",
        { class: "regions", hidden: true, "aria-label": "Regions" },
        h("div", { class: "regions-head" }, h("h2", {}, "Regions"), h("button", { type: "button", class: "close", "aria-label": "Close regions", onclick: () => this.toggle(false) }, "×")),
        h("p", { class: "regions-tools" }, button("Draw", () => page.lasso.toggle(true)), button("From view", () => this.fromView()), button("Open GeoJSON", () => this.file.click()), button("Save GeoJSON", () => this.saveGeojson()), button("Save CSV", () => this.saveCsv())),
        this.file,
        this.list,
        this.status,
        this.table,
      );
      for (const region of page.scene.regions) this.add(region.rings, region.name, false);
      page.root.addEventListener("dragover", (event) => event.preventDefault());
      page.root.addEventListener("drop", (event) => {
        event.preventDefault();
        this.readFiles(event.dataTransfer.files);
      });
      this.paint();
    }

    // Pixels of GeoJSON are those of the slide; without one, µm.
    get mpp() {
      return this.page.scene.slide?.mpp ?? 1;
    }

    toggle(open = this.element.hidden) {
      this.element.hidden = !open;
      if (open && this.chosen) this.choose(this.chosen);
      requestAnimationFrame(() => this.page.grid.redraw());
    }

    add(rings, name = null, open = true) {
      const region = { name: name ?? `Region ${++this.made}`, rings, mask: this.page.field.inside(rings) };
      region.n = region.mask.reduce((a, b) => a + b, 0);
      this.all.push(region);
      if (open) {
        this.toggle(true);
        this.choose(region);
      }
      return region;
    }

    fromView() {
      const [left, top, right, bottom] = this.page.grid.active.bounds();
      this.add([[[left, top], [right, top], [right, bottom], [left, bottom]]]);
    }

    choose(region) {
      this.chosen = region;
      this.paint();
      this.page.grid.remark();
      this.compare(region);
    }

    remove(region) {
      this.all.splice(this.all.indexOf(region), 1);
      if (this.chosen === region) {
        this.chosen = this.all[0] ?? null;
        if (this.chosen) this.compare(this.chosen);
        else this.table.replaceChildren();
      }
      this.paint();
      this.page.grid.remark();
    }

    paint() {
      const noun = this.page.scene.spots_or_cells;
      const items = this.all.map((region) =>
        h(
          "li",
          { class: region === this.chosen ? "region chosen" : "region" },
          h("button", { type: "button", class: "region-pick", "aria-pressed": String(region === this.chosen), onclick: () => this.choose(region) }, "◆"),
          h("input", { class: "region-name", value: region.name, "aria-label": "Name of the region", maxLength: 60, onchange: (event) => (region.name = event.target.value || region.name) }),
          h("span", { class: "quiet" }, counted(region.n, noun)),
          h("button", { type: "button", class: "close", "aria-label": `Remove ${region.name}`, onclick: () => this.remove(region) }, "×"),
        ),
      );
      this.list.replaceChildren(...items);
      this.status.textContent = this.all.length ? "" : "Draw a region with the lasso (L), take what a pane shows (V), or drop a GeoJSON file of QuPath on the page.";
    }

    // Gene by gene: means and intervals inside and outside. A later choice ends an earlier one.
    async compare(region) {
      const { page } = this;
      const { scene } = page;
      const serial = (this.serial = (this.serial ?? 0) + 1);
      const rows = [];
      region.rows = rows;
      if (region.n === 0) {
        this.status.textContent = `No ${scene.spots_or_cells} of the prediction lie in it.`;
        this.table.replaceChildren();
        return;
      }
      let painted = performance.now();
      for (let first = 0; first < scene.genes.length; first += AT_ONCE) {
        const columns = scene.genes.slice(first, first + AT_ONCE).map((_, k) => first + k);
        let made;
        try {
          made = await Promise.all(columns.map(async (j) => rowOf(scene.genes[j], scene.trust?.[j], await this.genesOf(j), region)));
        } catch (error) {
          this.status.textContent = error.message;
          return;
        }
        if (serial !== this.serial) return;
        rows.push(...made);
        if (performance.now() - painted > 300) {
          this.status.textContent = `${count(rows.length)} of ${count(scene.genes.length)} genes`;
          await new Promise((done) => setTimeout(done));
          painted = performance.now();
        }
      }
      region.done = true;
      this.status.textContent = this.explanation(region);
      this.paintTable(region);
    }

    async genesOf(j) {
      const store = this.page.passing;
      const { truth, n_draws: n } = this.page.scene;
      const [predicted, measured, drawn] = await Promise.all([store.gene(0, j), truth === null ? null : store.gene(truth, j), n ? store.draws(j) : null]);
      return { predicted, measured, draws: drawn?.draws, nIndependent: this.page.scene.n_independent_draws };
    }

    explanation(region) {
      const { scene } = this.page;
      if (scene.n_draws) {
        const inside = counted(region.n, scene.spots_or_cells);
        return `${inside} inside, ${count(scene.n - region.n)} outside; largest differences first. Intervals (90 %) are by the spread of these means over ${scene.n_draws} draws.`;
      }
      const interval = scene.interval ? ` Intervals (${Math.round(100 * (scene.interval[1] - scene.interval[0]))} %) are the mean of the ${scene.spots_or_cells}' own, as if all missed alike; where they do not, the region's mean is better known.` : "";
      return `${counted(region.n, scene.spots_or_cells)} inside, ${count(scene.n - region.n)} outside; largest differences first.${interval}`;
    }

    paintTable(region) {
      const rows = sorted(region.rows);
      const { scene } = this.page;
      const measured = scene.truth !== null;
      const heads = ["Gene", "Inside", "Outside", "Difference", ...(scene.n_draws ? ["Interval of the difference"] : []), ...(measured ? ["Measured inside", "Measured outside"] : []), ...(scene.interval ? ["Interval inside", "Interval outside"] : [])];
      const body = rows.slice(0, MOST_ROWS).map((row) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, h("button", { type: "button", class: "as-text", onclick: () => this.page.setGene(scene.genes.indexOf(row.gene)) }, row.gene)),
          [
            ...[row.inside, row.outside, row.difference].map(number),
            ...(scene.n_draws ? [intervalText(row.differenceInterval)] : []),
            ...(measured ? [row.measuredInside, row.measuredOutside].map(number) : []),
            ...(scene.interval ? [row.insideInterval, row.outsideInterval].map(intervalText) : []),
          ].map((text) => h("td", {}, text)),
        ),
      );
      const more = rows.length > MOST_ROWS ? h("p", { class: "quiet" }, `${MOST_ROWS} of ${count(rows.length)} genes; all are in the CSV.`) : null;
      this.table.replaceChildren(h("table", {}, h("caption", {}, region.name), h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, body)), ...(more ? [more] : []));
    }

    saveCsv() {
      const done = this.all.filter((region) => region.done);
      if (!done.length) return this.page.say("There is no region whose genes are compared yet.");
      const { scene } = this.page;
      const heads = ["region", "spots_inside", "spots_outside", "gene", "trust", "mean_inside", "low_inside", "high_inside", "mean_outside", "low_outside", "high_outside", "difference", "low_difference", "high_difference", "measured_inside", "measured_outside"];
      const lines = [heads.join(",")];
      for (const region of done) {
        for (const row of sorted(region.rows)) {
          const numbers = [row.inside, ...(row.insideInterval ?? [NaN, NaN]), row.outside, ...(row.outsideInterval ?? [NaN, NaN]), row.difference, ...(row.differenceInterval ?? [NaN, NaN]), row.measuredInside, row.measuredOutside];
          const cells = [region.name, region.n, scene.n - region.n, row.gene, row.trust ?? "", ...numbers.map((value) => (Number.isFinite(value) ? value.toFixed(5) : ""))];
          lines.push(cells.map(csvCell).join(","));
        }
      }
      save(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" }), `${fileName(scene.section, "regions")}.csv`);
    }

    saveGeojson() {
      if (!this.all.length) return this.page.say("There is no region to save.");
      const features = this.all.map((region) => ({
        type: "Feature",
        geometry: geometryOf(region.rings, this.mpp),
        properties: { objectType: "annotation", name: region.name, classification: { name: "Region*" } },
      }));
      const text = JSON.stringify({ type: "FeatureCollection", features });
      save(new Blob([text], { type: "application/geo+json" }), `${fileName(this.page.scene.section, "regions")}.geojson`);
    }

    async readFiles(files) {
      for (const file of [...files].slice(0, 8)) {
        try {
          if (file.size > MOST_BYTES) throw new Error("larger than 50 MB");
          const found = regionsOf(JSON.parse(await file.text()), this.mpp);
          if (!found.length) throw new Error("no polygon in it");
          const added = found.map((region) => this.add(region.rings, region.name, false));
          this.toggle(true);
          this.choose(added[0]);
        } catch (error) {
          this.page.say(`${file.name}: not usable as regions (${error.message})`);
        }
      }
      this.file.value = "";
    }

    drawOn(context, view) {
      for (const region of this.all) {
        context.beginPath();
        for (const ring of region.rings) {
          ring.forEach(([x, y], k) => context[k ? "lineTo" : "moveTo"](x * view.scale + view.left, y * view.scale + view.top));
          context.closePath();
        }
        stroke(context, region === this.chosen);
      }
    }
  }

  const round = (value) => Math.round(value * 100) / 100;
  const intervalText = (interval) => (interval && !Number.isNaN(interval[0]) ? `${number(interval[0])} to ${number(interval[1])}` : "–");
  const sorted = (rows) => [...rows].sort((a, b) => Math.abs(b.difference || 0) - Math.abs(a.difference || 0));

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

  // Quoted where needed; what a spreadsheet would take for a formula gets an apostrophe.
  function csvCell(value) {
    let text = String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text) && !/^-?[\d.]+$/.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

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

  eosin.Regions = Regions;
  eosin.regionParts = { stroke, regionsOf, geometryOf, rowOf, csvCell };
})();
