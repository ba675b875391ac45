"use strict";
// Everything by keys.
(() => {
  const eosin = (globalThis.eosin ??= {});
  const { h } = eosin.dom;

  // Keys, what they do in words, and the doing.
  const ALL = [
    [["/"], "search a gene", (page) => page.genes.search.focus()],
    [["j"], "next gene", (page) => page.genes.step(1)],
    [["k"], "previous gene", (page) => page.genes.step(-1)],
    [["ArrowLeft"], "move left", (page) => page.grid.active.tissue.panBy(-0.2, 0)],
    [["ArrowRight"], "move right", (page) => page.grid.active.tissue.panBy(0.2, 0)],
    [["ArrowUp"], "move up", (page) => page.grid.active.tissue.panBy(0, -0.2)],
    [["ArrowDown"], "move down", (page) => page.grid.active.tissue.panBy(0, 0.2)],
    [["+", "="], "closer", (page) => page.grid.active.tissue.zoomBy(1.4)],
    [["-"], "farther", (page) => page.grid.active.tissue.zoomBy(1 / 1.4)],
    [["0"], "all spots", (page) => page.grid.home()],
    [["Shift+ArrowLeft"], "spot to the left", (page) => page.readout.walk(-1, 0)],
    [["Shift+ArrowRight"], "spot to the right", (page) => page.readout.walk(1, 0)],
    [["Shift+ArrowUp"], "spot above", (page) => page.readout.walk(0, -1)],
    [["Shift+ArrowDown"], "spot below", (page) => page.readout.walk(0, 1)],
    [["1"], "one pane", (page) => page.setPanes(1)],
    [["2"], "two panes", (page) => page.setPanes(2)],
    [["3"], "three panes", (page) => page.setPanes(3)],
    [["4"], "four panes", (page) => page.setPanes(4)],
    [["n"], "next pane", (page) => page.nextPane()],
    [["m"], "next layer in the pane", (page) => page.nextInPane(1)],
    [["M"], "previous layer in the pane", (page) => page.nextInPane(-1)],
    [["]"], "highest colour up", (page) => page.nudgeRange(1, 1)],
    [["["], "highest colour down", (page) => page.nudgeRange(1, -1)],
    [["}"], "lowest colour up", (page) => page.nudgeRange(0, 1)],
    [["{"], "lowest colour down", (page) => page.nudgeRange(0, -1)],
    [["a"], "colours back to automatic", (page) => page.resetRange()],
    [["c"], "lock the colours", (page) => page.controls.range.lock.click()],
    [["o"], "more opaque", (page) => page.setOpacity(page.opacity + 0.1)],
    [["O"], "less opaque", (page) => page.setOpacity(page.opacity - 0.1)],
    [["s"], "shape of the spots", (page) => page.nextShape()],
    [["l"], "lasso", (page) => page.lasso.toggle()],
    [["v"], "region of what the pane shows", (page) => page.regions.fromView()],
    [["g"], "regions", (page) => page.regions.toggle()],
    [["t"], "table", (page) => page.tables.open()],
    [["p"], "picture", (page) => page.picture.open()],
    [["d"], "light, dark", (page) => page.setTheme()],
    [["?"], "these keys", (page) => page.keys.open()],
    [["Escape"], "end the lasso", (page) => page.lasso.toggle(false)],
  ];

  class Keys {
    constructor(page) {
      this.page = page;
      this.byKey = new Map(ALL.flatMap(([keys, , action]) => keys.map((key) => [key, action])));
      const rows = ALL.map(([keys, words]) => h("tr", {}, h("td", {}, keys.map((key) => h("kbd", {}, key.replace("Arrow", "")))), h("td", {}, words)));
      const half = Math.ceil(rows.length / 2);
      this.dialog = h(
        "dialog",
        { class: "dialog", "aria-label": "Keys" },
        h("form", { method: "dialog" }, h("button", { class: "close", "aria-label": "Close" }, "×")),
        h("div", { class: "dialog-body" }, h("h2", {}, "Keys"), h("div", { class: "keys" }, [rows.slice(0, half), rows.slice(half)].map((part) => h("table", {}, h("tbody", {}, part))))),
      );
      const place = page.root.closest("[data-embedded]") ? page.root : document; // in a notebook, keys are for it where it has the focus
      place.addEventListener("keydown", (event) => this.pressed(event));
    }

    open() {
      if (!this.dialog.open) this.dialog.showModal();
    }

    pressed(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("dialog")) return;
      if (event.target.matches("input:not([type=checkbox]), select, textarea")) return;
      const key = event.shiftKey && event.key.startsWith("Arrow") ? `Shift+${event.key}` : event.key;
      if (event.key.startsWith("Arrow") && event.target.closest(".region-table, .gene-list")) return;
      const action = this.byKey.get(key);
      if (!action) return;
      event.preventDefault();
      action(this.page);
    }
  }

  eosin.Keys = Keys;
})();
