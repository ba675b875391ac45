"use strict";
// The page: what is shown of a prediction, and the parts that show it.
(() => {
  const eosin = (globalThis.eosin ??= {});
  const { h, counted } = eosin.dom;
  const CHEAP_MS = 6;
  const FRAME_MS = 40;
  const PATIENCE = 4;
  const REST_MS = 160;
  const FEW_SPOTS = 8000;
  const FORGET_MS = 20000;
  const SHAPES = ["outlines", "true", "touching", "points"];

  let made = 0;

  class Page {
    constructor(root, source, scene, field, drawBy) {
      Object.assign(this, { root, source, scene, field, drawBy });
      this.name = `eosin-${++made}`; // a notebook may have several
      this.store = new eosin.source.GeneStore(source, 24);
      this.passing = scene.genes.length <= 10 ? this.store : new eosin.source.GeneStore(source, 16);
      this.layers = eosin.layers.layersOf(scene);
      this.world = eosin.tissue.worldOf(scene, source);
      this.ranges = { expression: [0, 1], spread: [0, 1], distance: [0, 1], difference: [-1, 1] };
      this.ends = { expression: [0, 1] };
      this.locked = false;
      this.opacity = 0.8;
      this.shape = scene.has_outlines ? "outlines" : "true";
      this.column = 0;
      this.serial = 0;
      this.moving = false;
      this.slow = 0; // ms of the slowest frame lately, while the view moves
      this.slowAt = -Infinity; // when that was last too long
      this.shapesOf = new eosin.CellShapes(source, field, () => this.grid.redraw());
      this.build();
    }

    get geneName() {
      return this.scene.genes[this.column];
    }

    build() {
      const { scene, root } = this;
      this.controls = new eosin.Controls(this);
      this.status = h("p", { class: "status", role: "status", hidden: true });
      const facts = `${scene.summary} · ${counted(scene.genes.length, "genes")} · ${scene.unit}`;
      const notes = scene.likeness ? [scene.likeness, ...scene.notes] : scene.notes;
      const header = h(
        "header",
        { class: "top" },
        h("h1", {}, h("span", { class: "brand" }, "eosin"), ` ${scene.section} `, h("span", { class: "quiet" }, `by ${scene.model}`)),
        h("p", { class: "quiet" }, facts),
        this.controls.buttons,
        notes.length ? h("details", { class: "notes", open: scene.notes.length > 0 }, h("summary", {}, counted(notes.length, "notes")), h("ul", {}, notes.map((note) => h("li", {}, note)))) : null,
      );
      this.lasso = new eosin.Lasso(this);
      this.gridElement = h("div", { class: "panes" });
      this.grid = new eosin.PaneGrid(this, this.gridElement);
      this.genes = new eosin.GeneList(this);
      this.regions = new eosin.Regions(this);
      this.readout = new eosin.Readout(this);
      this.tables = new eosin.Tables(this);
      this.picture = new eosin.Picture(this);
      this.keys = new eosin.Keys(this);
      const main = h("main", { class: "main" }, this.controls.element, this.status, this.gridElement, this.readout.element);
      root.replaceChildren(header, h("div", { class: "body" }, this.genes.element, main, this.regions.element), this.tables.dialog, this.picture.dialog, this.keys.dialog);
      this.setTheme(remembered("eosin-theme"));
    }

    // Show the first gene: the most trusted one, where that is known.
    start() {
      const pcc = this.scene.trust_pcc;
      if (pcc) this.column = pcc.reduce((best, r, j) => ((r ?? -2) > (pcc[best] ?? -2) ? j : best), 0);
      const wide = this.root.clientWidth;
      const known = this.layers.filter((layer) => layer.key !== "distance" || !this.scene.interval).length;
      this.setPanes(wide < 700 ? 2 : Math.max(2, Math.min(4, known)));
      this.setGene(this.column);
      if (this.regions.all.length && wide >= 1000) {
        this.regions.chosen = this.regions.all.find((region) => region.n > 0) ?? this.regions.all[0];
        this.regions.toggle(true);
      }
    }

    // What a new pane shows: the first of the usual layers that no other pane shows.
    nextLayer(taken) {
      const small = this.root.clientWidth < 700;
      const usual = small ? ["tissue", "predicted"] : ["tissue", "measured", "predicted", this.scene.interval ? "halfwidth" : "distance", "difference"];
      const order = [...usual.map((key) => this.layers.find((layer) => layer.key === key)).filter(Boolean), ...this.layers];
      return order.find((layer) => !taken.includes(layer)) ?? this.layers[0];
    }

    setPanes(n) {
      this.controls.count.value = String(n);
      this.grid.setCount(n);
      for (const pane of this.grid.panes) {
        if (!pane.hasLasso) this.lasso.attach(pane);
        pane.hasLasso = true;
      }
    }

    nextPane() {
      const { panes, active } = this.grid;
      panes[(panes.indexOf(active) + 1) % panes.length].element.focus();
    }

    nextInPane(by) {
      const pane = this.grid.active;
      const k = this.layers.indexOf(pane.layer);
      pane.setLayer(this.layers[(k + by + this.layers.length) % this.layers.length]);
    }

    setGene(column) {
      this.column = column;
      this.genes.setGene(column);
      this.refresh();
      this.readout.again();
    }

    // Fetch what the panes show and show it; of several at once only the last.
    async refresh() {
      const serial = ++this.serial;
      const { panes } = this.grid;
      try {
        const shown = await Promise.all(panes.map((pane) => eosin.layers.valuesOf(pane.layer, this.scene, this.store, this.column)));
        const pool = await this.expression();
        if (serial !== this.serial) return;
        this.setRanges(shown, pool);
        panes.forEach((pane, k) => pane.setShown(shown[k]));
        this.gridElement.setAttribute("data-gene", this.geneName);
        this.shownAt = performance.now();
      } catch (error) {
        this.say(error.message);
      }
    }

    // Predicted and measured values, which share their colours.
    async expression() {
      const sources = this.scene.truth === null ? [0] : [0, this.scene.truth];
      return (await Promise.all(sources.map((source) => this.store.gene(source, this.column)))).map((gene) => gene.mean);
    }

    setRanges(shown, pool) {
      const groups = new Map();
      for (const one of shown) if (one.values) groups.set(one.group, [...(groups.get(one.group) ?? []), one.values]);
      groups.set("expression", pool);
      for (const [group, vectors] of groups) {
        const known = this.known?.[group] === this.column || (this.locked && this.known?.[group] !== undefined);
        if (known && group !== "distance") continue;
        const { range, ends } = eosin.layers.rangeOf(group, vectors, this.scene);
        this.ranges[group] = range;
        this.ends[group] = ends;
        this.known = { ...this.known, [group]: this.column };
      }
      this.controls.range.show(this.ranges.expression, this.ends.expression);
    }

    setRange(range) {
      this.ranges.expression = range;
      for (const pane of this.grid.panes) {
        pane.setLegend();
        pane.redraw();
      }
    }

    resetRange() {
      this.known = {};
      this.refresh();
    }

    nudgeRange(end, by) {
      const range = [...this.ranges.expression];
      range[end] += (by * (range[1] - range[0])) / 20;
      this.controls.range.show(range, this.ends.expression);
      this.setRange(range);
    }

    setOpacity(opacity) {
      this.opacity = Math.max(0, Math.min(1, Math.round(opacity * 100) / 100));
      this.controls.opacity.value = String(this.opacity);
      this.grid.redraw();
    }

    setShape(shape) {
      this.shape = shape;
      this.controls.shape.value = shape;
      this.grid.redraw();
    }

    nextShape() {
      const there = SHAPES.filter((shape) => shape !== "outlines" || this.scene.has_outlines);
      this.setShape(there[(there.indexOf(this.shape) + 1) % there.length]);
    }

    // Light, dark; without a name, the other one than now.
    setTheme(name) {
      const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
      const now = this.root.dataset.theme ?? (dark ? "dark" : "light");
      const next = name === undefined ? (now === "dark" ? "light" : "dark") : name;
      if (next === "dark" || next === "light") {
        this.root.dataset.theme = next;
        remember("eosin-theme", next);
      }
    }

    // The view moves: panes shift what they drew, and draw anew as often as that leaves time for all else.
    isMoving() {
      const now = performance.now();
      if (this.moving) this.slow = Math.max(Math.min(400, now - this.frameAt), 0.93 * this.slow);
      if (this.slow > FRAME_MS) this.slowAt = now;
      this.frameAt = now;
      this.moving = true;
      clearTimeout(this.restTimer);
      this.restTimer = setTimeout(() => this.rest(), REST_MS);
    }

    // Draw each pane where it is now, a pane a frame.
    rest() {
      this.moving = false;
      const panes = [...this.grid.panes];
      const next = () => {
        if (this.moving || !panes.length) return;
        panes.shift().draw();
        requestAnimationFrame(next);
      };
      next();
    }

    // Whether a pane that was drawn so long ago may be drawn again while the view moves.
    mayDraw(ago) {
      const told = this.grid.panes.reduce((sum, pane) => sum + pane.cost, 0);
      const cost = this.cardIsSlow ? Math.max(told, this.slow) : told;
      return cost < CHEAP_MS || ago > PATIENCE * cost;
    }

    // Whether WebGL holds up the frames: it draws after it is told to, so that its time is seen only there.
    get cardIsSlow() {
      return this.grid.panes[0].discs instanceof eosin.WebglDiscs && performance.now() - this.slowAt < FORGET_MS;
    }

    // How many spots a pane of so many pixels draws: no more than there is room for, few while a slow card moves them.
    mostSpots(pixels) {
      return this.moving && this.cardIsSlow ? FEW_SPOTS : Math.max(20000, pixels * 0.5);
    }

    // A tile could not be loaded; null: one could.
    slideFault(fault) {
      if (!fault) {
        if (this.faulty) this.say("");
        this.faulty = false;
        return;
      }
      if (this.faulty) return;
      this.faulty = true;
      this.source.fault?.().then((reason) => this.faulty && this.say(`The slide is not shown: ${reason}. Spots and values stay.`));
    }

    // It is no longer shown.
    close() {
      for (const pane of this.grid.panes) pane.destroy();
      clearTimeout(this.restTimer);
    }

    say(text) {
      this.status.hidden = !text;
      this.status.textContent = text;
    }
  }

  function remembered(name) {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // a page of a folder, or a notebook, may have none
    }
  }

  function remember(name, value) {
    try {
      localStorage.setItem(name, value);
    } catch {
      // it is asked again next time
    }
  }

  // Show what a source has in an element. drawBy: "webgl", "raster", or nothing to choose.
  eosin.mount = async (root, source, drawBy) => {
    try {
      const [scene, spots] = await Promise.all([source.get("scene"), source.get("spots")]);
      const field = new eosin.spots.SpotField(scene.facts, spots);
      const page = new Page(root, source, scene.facts, field, drawBy);
      page.start();
      return page;
    } catch (error) {
      root.replaceChildren(h("p", { class: "eosin-loading", role: "alert" }, `The prediction cannot be shown: ${error.message}`));
      throw error;
    }
  };
})();
