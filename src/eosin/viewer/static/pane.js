"use strict";
// One pane: the tissue, a layer of values on it, its colour bar and its scale bar.
(() => {
  const eosin = (globalThis.eosin ??= {});
  const { h, number, niceLength } = eosin.dom;

  const FEW = 20000;

  class Pane {
    // page: the page that it belongs to; layer: what it shows first.
    constructor(page, layer) {
      this.page = page;
      this.layer = layer;
      this.shown = null; // {values, group, message}
      this.drawn = null; // where it was drawn last
      this.cost = 0; // ms that took
      this.build();
      page.gridElement.append(this.element); // before OpenSeadragon asks how large it is
      const hooks = { onMove: () => this.draw(), onLead: (taken) => page.grid.moved(this, taken), onFault: (fault) => page.slideFault(fault) };
      this.tissue = new eosin.tissue.Tissue(this.ground, page.world, hooks);
      this.tissue.viewer.addHandler("open", () => {
        page.grid.opened(this);
        this.redraw();
      });
      this.tissue.viewer.addHandler("resize", () => requestAnimationFrame(() => page.grid.resized(this)));
    }

    build() {
      const { page } = this;
      this.select = h(
        "select",
        { class: "pane-layer", "aria-label": "What this pane shows", onchange: () => this.setLayer(page.layers.find((layer) => layer.key === this.select.value)) },
        page.layers.map((layer) => h("option", { value: layer.key, selected: layer === this.layer }, layer.title)),
      );
      this.bar = h("canvas", { class: "bar-ramp", "aria-hidden": "true" });
      this.low = h("span", { class: "bar-end" });
      this.high = h("span", { class: "bar-end" });
      this.legend = h("span", { class: "bar" }, this.low, this.bar, this.high);
      this.ground = h("div", { class: "pane-ground" });
      this.overlay = h("div", { class: "pane-overlay" });
      this.shapes = this.newCanvas();
      this.marks = h("canvas", { class: "pane-canvas pane-marks", hidden: true });
      this.message = h("p", { class: "pane-message", hidden: true });
      this.scaleLine = h("span", { class: "scale-line" });
      this.scaleText = h("span", { class: "scale-text" });
      const scale = h("div", { class: "scale" }, this.scaleText, this.scaleLine);
      this.stage = h("div", { class: "pane-stage" }, this.ground, this.overlay, this.marks, scale, this.message);
      this.element = h(
        "section",
        { class: "pane", tabIndex: 0, role: "group", onfocus: () => page.grid.focus(this), onpointerdown: () => page.grid.focus(this) },
        h("div", { class: "pane-head" }, this.select, this.legend),
        this.stage,
      );
      this.discs = eosin.discsOn(() => this.newCanvas(), page.field, page.drawBy);
      this.discs.canvas.addEventListener("webglcontextlost", () => this.drawWithoutCard());
      this.overlay.append(this.discs.canvas, this.shapes);
      this.stage.addEventListener("pointermove", (event) => page.readout.pointed(this, event));
      this.stage.addEventListener("pointerleave", () => page.readout.left());
    }

    // In words: of a gene, or of the tissue alone.
    get title() {
      return this.layer.group ? `${this.page.geneName}: ${this.layer.title}` : this.layer.title;
    }

    // The graphics card went away: go on without it.
    drawWithoutCard() {
      const { canvas, values } = this.discs;
      this.discs = new eosin.RasterDiscs(this.newCanvas(), this.page.field);
      this.discs.setValues(values);
      canvas.replaceWith(this.discs.canvas);
      this.redraw();
    }

    newCanvas() {
      return h("canvas", { class: "pane-canvas", hidden: true });
    }

    setLayer(layer) {
      this.layer = layer;
      this.select.value = layer.key;
      this.page.refresh();
    }

    // Values of its layer, and the range of their colours.
    setShown(shown) {
      this.shown = shown;
      if (shown.values !== this.discs.values) this.discs.setValues(shown.values);
      this.message.hidden = !shown.message;
      this.message.textContent = shown.message ?? "";
      this.element.setAttribute("aria-label", this.title);
      this.setLegend();
      this.redraw();
    }

    setLegend() {
      const group = this.shown?.group;
      this.legend.hidden = !group || !this.shown.values;
      if (this.legend.hidden) return;
      const [low, high] = this.page.ranges[group];
      eosin.colours.paintBar(this.bar, eosin.colours.rampOf(group));
      this.low.textContent = number(low);
      this.high.textContent = number(high);
      const unit = group === "distance" ? "in usual distances" : this.page.scene.unit;
      this.legend.title = unit;
      this.legend.setAttribute("aria-label", `Colours from ${number(low)} to ${number(high)}, ${unit}`);
    }

    redraw() {
      this.drawn = null;
      this.draw();
    }

    // Draw spots, marks and scale bar where the tissue is now; nothing where nothing moved. While the view moves, what
    // was drawn is often only shifted, so that moving is smooth however many spots there are.
    draw() {
      if (!this.tissue?.ready) return;
      const view = this.tissue.view();
      const size = this.tissue.viewport.getContainerSize();
      const ratio = this.pixelRatio();
      const key = `${view.scale} ${view.left} ${view.top} ${size.x} ${size.y} ${ratio}`;
      if (key === this.drawn?.key) return;
      this.setScale(view.scale, size.x);
      const begun = performance.now();
      if (this.page.moving && this.drawn && this.drawn.size === `${size.x} ${size.y}` && !this.page.mayDraw(begun - this.drawn.at)) {
        this.shift(view);
        return;
      }
      this.shift(null);
      const device = { scale: view.scale * ratio, left: view.left * ratio, top: view.top * ratio, ratio };
      for (const canvas of [this.discs.canvas, this.shapes]) fitCanvas(canvas, size, ratio);
      this.drawValues(device);
      this.drawMarks(view, size);
      this.cost = performance.now() - begun;
      this.drawn = { key, view, size: `${size.x} ${size.y}`, at: begun + this.cost };
    }

    // Move what was drawn to where it belongs now; null: it is drawn there.
    shift(view) {
      let transform = "";
      if (view) {
        const k = view.scale / this.drawn.view.scale;
        transform = `translate(${view.left - this.drawn.view.left * k}px, ${view.top - this.drawn.view.top * k}px) scale(${k})`;
      }
      this.overlay.style.transform = transform;
      this.marks.style.transform = transform;
    }

    // Canvas pixels per CSS pixel; few discs that are drawn without smooth edges are drawn twice as large.
    pixelRatio() {
      const own = Math.min(2, window.devicePixelRatio || 1);
      return this.discs instanceof eosin.RasterDiscs && this.page.field.n <= FEW ? 2 : own;
    }

    // Only a canvas that holds something is there: the browser puts together empty ones too, at half the cost of a frame.
    drawValues(device) {
      const { opacity } = this.page;
      const used = this.shown?.values && opacity > 0 ? this.drawSpots(device) : null;
      for (const canvas of [this.discs.canvas, this.shapes]) {
        canvas.hidden = canvas !== used;
        canvas.style.opacity = String(opacity); // not of both at once, which would be put together apart first
      }
    }

    // The canvas on which the spots in sight were drawn.
    drawSpots(device) {
      const { page, shown, shapes } = this;
      const [low, high] = page.ranges[shown.group];
      const ramp = eosin.colours.rampOf(shown.group);
      const { canvas } = this.discs;
      const blocks = blocksShown(page.field, device, canvas.width, canvas.height);
      const most = page.mostSpots(canvas.width * canvas.height);
      const { runs, share, total } = page.field.runs(blocks, most);
      if (page.shape === "outlines" && page.shapesOf.fit(device.scale, total)) {
        const context = shapes.getContext("2d");
        context.clearRect(0, 0, shapes.width, shapes.height);
        if (page.shapesOf.draw(context, device, blocks, shown.values, ramp, low, high)) return shapes;
      }
      this.discs.draw(device, runs, radiusOf(page, device.scale, share, device.ratio), ramp, low, high);
      return canvas;
    }

    drawMarks(view, size) {
      const { regions, lasso, readout } = this.page;
      this.marks.hidden = !(regions.all.length || lasso.on || readout.spot >= 0);
      if (this.marks.hidden) return;
      const ratio = window.devicePixelRatio || 1;
      fitCanvas(this.marks, size, ratio);
      const context = this.marks.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, size.x, size.y);
      regions.drawOn(context, view);
      lasso.drawOn(context, view);
      readout.drawOn(context, view);
    }

    remark() {
      if (!this.tissue?.ready) return;
      if (this.page.moving) this.redraw();
      else this.drawMarks(this.tissue.view(), this.tissue.viewport.getContainerSize());
    }

    // The scale bar of a pane so many CSS pixels wide; nothing where it stays, as the page would be laid out anew.
    setScale(scale, width) {
      const asked = `${scale} ${width}`;
      if (asked === this.scaled) return;
      this.scaled = asked;
      const { um, text } = niceLength(Math.max(40, Math.min(160, width / 4), width / 10) / scale);
      this.scaleLine.style.width = `${um * scale}px`;
      this.scaleText.textContent = text;
    }

    // The µm of a pointer event.
    placeOf(event) {
      const box = this.stage.getBoundingClientRect();
      const view = this.tissue.view();
      return [(event.clientX - box.left - view.left) / view.scale, (event.clientY - box.top - view.top) / view.scale];
    }

    // What it shows: [left, top, right, bottom] in µm.
    bounds() {
      const view = this.tissue.view();
      const size = this.tissue.viewport.getContainerSize();
      return [-view.left / view.scale, -view.top / view.scale, (size.x - view.left) / view.scale, (size.y - view.top) / view.scale];
    }

    destroy() {
      this.tissue.destroy();
      this.element.remove();
    }
  }

  function fitCanvas(canvas, size, ratio) {
    const width = Math.max(1, Math.round(size.x * ratio));
    const height = Math.max(1, Math.round(size.y * ratio));
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
  }

  function blocksShown(field, view, width, height) {
    const bounds = [-view.left / view.scale, -view.top / view.scale, (width - view.left) / view.scale, (height - view.top) / view.scale];
    return field.blocksIn(bounds, Math.max(field.widest, field.spacing));
  }

  // How large discs are, device pixels: `fixed`, or `each` times the spot's width where widths differ, not below `least`.
  function radiusOf(page, scale, share, ratio) {
    const larger = 1 / Math.sqrt(share); // the spots that are drawn stand for those that are not
    const least = 0.9 * larger;
    if (page.shape === "points") return { fixed: Math.max(least, 2.5 * ratio), each: 0, least };
    if (page.shape === "touching") return { fixed: Math.max(least, page.field.spacing * 0.49 * scale * larger), each: 0, least };
    const fixed = Math.max(least, (page.field.width / 2) * scale * larger);
    return { fixed, each: page.field.widths ? 0.5 * scale * larger : 0, least };
  }

  eosin.Pane = Pane;
  eosin.paneParts = { radiusOf, blocksShown };
})();
