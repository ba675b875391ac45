"use strict";
// What is known of the spot under the pointer, or of the one that the keys went to.
(() => {
  const eosin = (globalThis.eosin ??= {});
  const { h, number, count } = eosin.dom;
  const REACH_PX = 14;

  class Readout {
    constructor(page) {
      this.page = page;
      this.spot = -1;
      this.ids = new Map();
      this.text = h("output", { class: "readout-text" });
      this.element = h("div", { class: "readout", role: "status" }, this.text);
      this.left();
    }

    pointed(pane, event) {
      if (!pane.tissue.ready || event.pointerType === "touch") return;
      const [x, y] = pane.placeOf(event);
      const { scale } = pane.tissue.view();
      const reach = Math.max(REACH_PX / scale, this.page.field.widest / 2);
      this.setSpot(this.page.field.nearest(x, y, reach), [x, y]);
    }

    left() {
      this.setSpot(-1);
    }

    // Go to the next spot in a direction; from none, to the one in the middle of the pane.
    walk(dx, dy) {
      const { page } = this;
      const pane = page.grid.active;
      const [left, top, right, bottom] = pane.bounds();
      if (this.spot < 0) this.setSpot(page.field.nearest((left + right) / 2, (top + bottom) / 2, right - left));
      else this.setSpot(page.field.neighbour(this.spot, dx, dy));
      if (this.spot < 0) return;
      const [x, y] = [page.field.xy[2 * this.spot], page.field.xy[2 * this.spot + 1]];
      if (x < left || x > right || y < top || y > bottom) pane.tissue.panBy(dx * 0.4, dy * 0.4);
    }

    async setSpot(spot, place) {
      if (spot === this.spot && spot >= 0) return;
      this.spot = spot;
      this.page.grid?.remark();
      if (spot < 0) {
        this.text.textContent = place ? `x ${number(place[0])} µm, y ${number(place[1])} µm` : "Point at a spot, or go to one with Shift and the arrow keys.";
        return;
      }
      const text = await this.describe(spot).catch((error) => error.message);
      if (spot === this.spot) this.text.textContent = text;
    }

    async idOf(spot) {
      const { field, source } = this.page;
      const b = field.blockOf(spot);
      if (!this.ids.has(b)) {
        this.ids.set(b, source.get(`ids/${b}`).then((message) => message.facts.ids));
        if (this.ids.size > 50) this.ids.delete(this.ids.keys().next().value);
      }
      return (await this.ids.get(b))[spot - field.starts[b]];
    }

    async describe(spot) {
      const { scene, field, store, column } = this.page;
      const parts = [`${scene.genes[column]} at ${await this.idOf(spot)}`, `x ${count(Math.round(field.xy[2 * spot]))}, y ${count(Math.round(field.xy[2 * spot + 1]))} µm`];
      const predicted = await store.gene(0, column);
      const interval = eosin.layers.intervalAt(predicted, spot);
      const ends = interval ? ` (${Math.round(100 * (scene.interval[1] - scene.interval[0]))} % ${number(interval[0])} to ${number(interval[1])})` : "";
      parts.push(`predicted ${number(predicted.mean[spot])}${ends}`);
      for (let i = 1; i < scene.sources.length; i++) {
        const gene = await store.gene(i, column);
        parts.push(`${i === scene.truth ? "measured" : scene.sources[i]} ${number(gene.mean[spot])}`);
      }
      if (scene.distance_limit !== null) {
        const distance = (await store.distance()).mean[spot];
        parts.push(`distance ${number(distance)}${distance > scene.distance_limit ? " – beyond the limit" : ""}`);
      }
      return parts.join("  ·  ");
    }

    // Say it again, as another gene is shown.
    again() {
      const { spot } = this;
      if (spot < 0) return;
      this.spot = -1;
      this.setSpot(spot);
    }

    drawOn(context, view) {
      if (this.spot < 0) return;
      const { field } = this.page;
      const radius = Math.max(6, ((field.widths ? field.widths[this.spot] : field.width) / 2) * view.scale + 2);
      context.beginPath();
      context.arc(field.xy[2 * this.spot] * view.scale + view.left, field.xy[2 * this.spot + 1] * view.scale + view.top, radius, 0, 2 * Math.PI);
      eosin.regionShapes.stroke(context, true);
    }
  }

  eosin.Readout = Readout;
})();
