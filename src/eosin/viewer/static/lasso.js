"use strict";
// Drawing a region by hand on any pane.
(() => {
  const eosin = (globalThis.eosin ??= {});
  const STEP_PX = 3;

  class Lasso {
    constructor(page) {
      this.page = page;
      this.on = false;
      this.line = [];
    }

    toggle(on = !this.on) {
      this.on = on;
      this.line = [];
      this.page.root.classList.toggle("lasso-on", on);
      this.page.controls.lasso.setAttribute("aria-pressed", String(on));
      if (on) this.page.say("Draw around a region; Escape ends. Without a mouse: V takes what the pane shows.");
      else this.page.say("");
      this.page.grid.remark();
    }

    // Let a pane draw while the lasso is on.
    attach(pane) {
      const { marks } = pane;
      let last = null;
      marks.addEventListener("pointerdown", (event) => {
        if (!this.on || event.button !== 0) return;
        event.stopPropagation();
        marks.setPointerCapture(event.pointerId);
        last = [event.clientX, event.clientY];
        this.line = [pane.placeOf(event)];
      });
      marks.addEventListener("pointermove", (event) => {
        if (!last || Math.hypot(event.clientX - last[0], event.clientY - last[1]) < STEP_PX) return;
        last = [event.clientX, event.clientY];
        this.line.push(pane.placeOf(event));
        this.page.grid.remark();
      });
      const end = () => {
        if (!last) return;
        last = null;
        const line = this.line;
        this.line = [];
        if (line.length > 3) this.page.regions.add([line]);
        this.toggle(false);
      };
      marks.addEventListener("pointerup", end);
      marks.addEventListener("pointercancel", end);
    }

    drawOn(context, view) {
      if (this.line.length < 2) return;
      context.beginPath();
      this.line.forEach(([x, y], k) => context[k ? "lineTo" : "moveTo"](x * view.scale + view.left, y * view.scale + view.top));
      eosin.regionShapes.stroke(context, true);
    }
  }

  eosin.Lasso = Lasso;
})();
