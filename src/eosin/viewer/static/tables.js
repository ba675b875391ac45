"use strict";
// The picture as text: a summary of each layer of the gene, and the spots in view.
(() => {
  const eosin = (globalThis.eosin ??= {});
  const { h, number, count, counted } = eosin.dom;
  const MOST_SPOTS = 300;

  class Tables {
    constructor(page) {
      this.page = page;
      this.body = h("div", { class: "dialog-body" });
      this.dialog = h("dialog", { class: "dialog", "aria-label": "Values as a table" }, h("form", { method: "dialog" }, h("button", { class: "close", "aria-label": "Close" }, "×")), this.body);
    }

    async open() {
      this.body.replaceChildren(h("p", {}, "…"));
      if (!this.dialog.open) this.dialog.showModal();
      try {
        this.body.replaceChildren(...(await this.content()));
      } catch (error) {
        this.body.replaceChildren(h("p", {}, error.message));
      }
    }

    async content() {
      const { page } = this;
      const { scene, store, column } = page;
      const layers = page.layers.filter((layer) => layer.group);
      const shown = await Promise.all(layers.map((layer) => eosin.layers.valuesOf(layer, scene, store, column)));
      const predicted = await store.gene(0, column);
      const summary = layers.map((layer, k) => {
        const stands = shown[k].message ? null : shown[k].values;
        const numbers = stands ? eosin.layers.percentiles(stands, [0, 0.05, 0.5, 0.95, 1]).map(number) : Array(5).fill("–");
        const agrees = stands && layer.group === "expression" && layer.source !== 0 ? number(correlation(predicted.mean, stands)) : "–";
        return [layer.title, ...numbers, agrees];
      });
      const heading = h("h2", {}, `${scene.genes[column]} in ${scene.section}`);
      const first = table(`Values in ${scene.unit}`, ["Layer", "Lowest", "5 %", "Median", "95 %", "Highest", "Correlation with predicted"], summary);
      return [heading, first, await this.spotsInView(layers, shown, predicted)];
    }

    async spotsInView(layers, shown, predicted) {
      const { page } = this;
      const { field } = page;
      const [left, top, right, bottom] = page.grid.active.bounds();
      const inView = [];
      for (const b of field.blocksIn([left, top, right, bottom], 0)) {
        for (let i = field.starts[b]; i < field.starts[b + 1]; i++) {
          const [x, y] = [field.xy[2 * i], field.xy[2 * i + 1]];
          if (x >= left && x <= right && y >= top && y <= bottom) inView.push(i);
        }
      }
      const listed = inView.slice(0, MOST_SPOTS).sort((a, b) => field.xy[2 * a + 1] - field.xy[2 * b + 1] || field.xy[2 * a] - field.xy[2 * b]);
      const columns = layers.map((layer, k) => [layer.title, shown[k]]).filter(([, one]) => one.values && !one.message);
      const rows = [];
      for (const i of listed) {
        const interval = eosin.layers.intervalAt(predicted, i);
        const cells = columns.map(([, one]) => number(one.values[i]));
        rows.push([await page.readout.idOf(i), count(Math.round(field.xy[2 * i])), count(Math.round(field.xy[2 * i + 1])), ...cells, interval ? `${number(interval[0])} to ${number(interval[1])}` : "–"]);
      }
      const noun = page.scene.spots_or_cells;
      const title = inView.length > listed.length ? `${count(listed.length)} of ${count(inView.length)} ${noun} in view` : `${counted(listed.length, noun)} in view`;
      return table(title, [noun === "cells" ? "Cell" : "Spot", "x µm", "y µm", ...columns.map(([name]) => name), "Interval"], rows);
    }
  }

  function table(title, heads, rows) {
    const body = rows.map(([name, ...cells]) => h("tr", {}, h("th", { scope: "row" }, name), cells.map((cell) => h("td", {}, cell))));
    return h("div", { class: "table-scroll", tabIndex: 0, role: "region", "aria-label": title }, h("table", {}, h("caption", {}, title), h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, body)));
  }

  // Pearson's, over the spots that both know.
  function correlation(a, b) {
    let [n, sa, sb, saa, sbb, sab] = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < a.length; i++) {
      if (a[i] !== a[i] || b[i] !== b[i]) continue;
      n++;
      sa += a[i];
      sb += b[i];
      saa += a[i] * a[i];
      sbb += b[i] * b[i];
      sab += a[i] * b[i];
    }
    const spread = Math.sqrt((saa - (sa * sa) / n) * (sbb - (sb * sb) / n));
    return spread > 0 ? (sab - (sa * sb) / n) / spread : NaN;
  }

  eosin.Tables = Tables;
})();
