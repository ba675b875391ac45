"use strict";
// The bar of controls: panes, shape of spots, opacity, the range of colours, and buttons.
(() => {
  const eosin = (globalThis.eosin ??= {});
  const { h, number } = eosin.dom;
  const STEPS = 400;

  class RangeSlider {
    constructor(page) {
      this.page = page;
      this.inputs = ["lowest", "highest"].map((end) =>
        h("input", { type: "range", min: "0", max: String(STEPS), step: "1", "aria-label": `Value of the ${end} colour`, oninput: (event) => this.slid(event) }),
      );
      this.texts = ["Lowest", "Highest"].map((end, k) =>
        h("input", { type: "number", step: "any", class: "range-number", "aria-label": `${end} colour, value`, onchange: () => this.typed(k) }),
      );
      this.lock = h("input", { type: "checkbox", onchange: () => (page.locked = this.lock.checked) });
      this.reset = h("button", { type: "button", title: "Back to the 1st to 99th percentile", onclick: () => page.resetRange() }, "auto");
      this.fill = h("span", { class: "range-fill" });
      this.element = h(
        "fieldset",
        { class: "range" },
        h("legend", {}, "Colours"),
        this.texts[0],
        h("span", { class: "range-track" }, this.fill, this.inputs),
        this.texts[1],
        h("label", { class: "range-lock", title: "Keep these colours when the gene changes" }, this.lock, "lock"),
        this.reset,
      );
    }

    // Show the range of expression.
    show(range, ends) {
      this.ends = [Math.min(ends[0], range[0]), Math.max(ends[1], range[1])];
      this.range = [...range];
      const step = (value) => String(Math.round(((value - this.ends[0]) / (this.ends[1] - this.ends[0] || 1)) * STEPS));
      this.inputs.forEach((input, k) => {
        input.value = step(range[k]);
        input.setAttribute("aria-valuetext", number(range[k]));
      });
      this.texts.forEach((input, k) => (input.value = String(Number(range[k].toPrecision(3)))));
      this.paint();
    }

    paint() {
      const [low, high] = this.inputs.map((input) => (100 * Number(input.value)) / STEPS);
      this.fill.style.left = `${low}%`;
      this.fill.style.width = `${Math.max(0, high - low)}%`;
    }

    slid(event) {
      const values = this.inputs.map((input) => this.ends[0] + (Number(input.value) / STEPS) * (this.ends[1] - this.ends[0]));
      if (values[0] >= values[1]) {
        const k = this.inputs.indexOf(event.target);
        this.inputs[k].value = String(Number(this.inputs[1 - k].value) + (k ? 1 : -1));
        return;
      }
      this.set(values);
    }

    typed(k) {
      const values = [...this.range];
      values[k] = Number(this.texts[k].value);
      if (Number.isFinite(values[k]) && values[0] < values[1]) this.set(values);
      this.show(this.range, this.ends);
    }

    set(values) {
      this.range = values;
      this.texts.forEach((input, k) => (input.value = String(Number(values[k].toPrecision(3)))));
      this.paint();
      this.page.setRange(values);
    }
  }

  class Controls {
    constructor(page) {
      this.page = page;
      this.range = new RangeSlider(page);
      this.opacity = h("input", { type: "range", min: "0", max: "1", step: "0.05", value: String(page.opacity), "aria-label": "Opacity of the spots", oninput: () => page.setOpacity(Number(this.opacity.value)) });
      const shapes = [["true", "true size"], ["touching", "touching"], ["points", "points"]];
      if (page.scene.has_outlines) shapes.unshift(["outlines", "outlines"]);
      this.shape = h("select", { "aria-label": "Shape of the spots", onchange: () => page.setShape(this.shape.value) }, shapes.map(([value, text]) => h("option", { value, selected: value === page.shape }, text)));
      this.count = h("select", { "aria-label": "Number of panes", onchange: () => page.setPanes(Number(this.count.value)) }, [1, 2, 3, 4].map((n) => h("option", { value: String(n) }, String(n))));
      const button = (text, key, action, more = {}) => h("button", { type: "button", title: `${text} (${key})`, onclick: action, ...more }, text);
      this.lasso = button("Lasso", "L", () => page.lasso.toggle(), { "aria-pressed": "false" });
      this.element = h(
        "div",
        { class: "controls", role: "toolbar", "aria-label": "View" },
        h("label", { class: "control" }, h("span", {}, "Panes"), this.count),
        h("label", { class: "control" }, h("span", {}, page.scene.spots_or_cells === "cells" ? "Cells" : "Spots"), this.shape),
        h("label", { class: "control" }, h("span", {}, "Opacity"), this.opacity),
        this.range.element,
      );
      this.buttons = h(
        "div",
        { class: "buttons", role: "toolbar", "aria-label": "Tools" },
        this.lasso,
        button("Regions", "G", () => page.regions.toggle()),
        button("Table", "T", () => page.tables.open()),
        button("Picture", "P", () => page.picture.open()),
        button("Keys", "?", () => page.keys.open()),
        button("Theme", "D", () => page.setTheme()),
      );
    }
  }

  eosin.Controls = Controls;
})();
