"use strict";
// Regions of tissue, and the table of their genes.
(() => {
  const eosin = (globalThis.eosin ??= {});
  const { h, number, count, counted, save, fileName } = eosin.dom;
  const MOST_ROWS = 200;
  const MOST_BYTES = 50e6;
  const AT_ONCE = 6;
  const { stroke, regionsOf, geometryOf } = eosin.regionShapes;
  const { rowOf } = eosin.regionMeans;

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

  const intervalText = (interval) => (interval && !Number.isNaN(interval[0]) ? `${number(interval[0])} to ${number(interval[1])}` : "–");
  const sorted = (rows) => [...rows].sort((a, b) => Math.abs(b.difference || 0) - Math.abs(a.difference || 0));

  // Quoted where needed; what a spreadsheet would take for a formula gets an apostrophe.
  function csvCell(value) {
    let text = String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text) && !/^-?[\d.]+$/.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  eosin.Regions = Regions;
  eosin.csvCell = csvCell;
})();
