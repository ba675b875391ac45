"use strict";
// One to four panes that look at the same place.
(() => {
  const eosin = (globalThis.eosin ??= {});

  class PaneGrid {
    constructor(page, element) {
      this.page = page;
      this.element = element;
      this.panes = [];
      this.leader = null;
      this.placed = false;
    }

    setCount(n) {
      const { page } = this;
      while (this.panes.length > n) this.panes.pop().destroy();
      while (this.panes.length < n) {
        const pane = new eosin.Pane(page, page.nextLayer(this.panes.map((one) => one.layer)));
        this.panes.push(pane);
      }
      if (!this.panes.includes(this.leader)) this.leader = this.panes[0];
      this.element.dataset.count = String(n);
      page.refresh();
      requestAnimationFrame(() => this.settle());
    }

    get active() {
      return this.leader ?? this.panes[0];
    }

    focus(pane) {
      this.leader = pane;
      for (const one of this.panes) one.element.classList.toggle("pane-active", one === pane);
    }

    // A pane has its slide: the first one shows all spots, the others what it shows.
    opened(pane) {
      if (!this.placed) {
        this.placed = true;
        this.leader = pane;
      }
      if (!this.touched) this.home(true);
      this.settle();
    }

    settle() {
      for (const pane of this.panes) if (pane !== this.active && pane.tissue.ready && this.active.tissue.ready) pane.tissue.follow(this.active.tissue);
    }

    resized(pane) {
      if (!this.panes.includes(pane)) return;
      if (!this.touched) this.home(true);
      this.settle();
      pane.redraw();
    }

    // The view of a pane changes; `taken`: by the user's hand.
    moved(pane, taken) {
      if (taken) {
        this.leader = pane;
        this.touched = true;
      }
      if (pane !== this.leader) return;
      this.page.isMoving();
      for (const other of this.panes) if (other !== pane && other.tissue.ready) other.tissue.follow(pane.tissue);
    }

    home(immediately = false) {
      const [left, top, right, bottom] = this.page.scene.extent_um;
      const margin = Math.max(1.2 * this.page.field.spacing, 1.2 * this.page.field.width, 0.03 * (right - left), 0.03 * (bottom - top));
      const area = (pane) => pane.stage.clientWidth * pane.stage.clientHeight;
      const smallest = this.panes.filter((pane) => pane.tissue.ready).reduce((a, b) => (area(b) < area(a) ? b : a), this.active);
      this.leader = smallest; // all panes show all spots where the smallest does
      smallest.tissue.show([left - margin, top - margin, right + margin, bottom + margin], immediately);
    }

    redraw() {
      for (const pane of this.panes) pane.redraw();
    }

    remark() {
      for (const pane of this.panes) pane.remark();
    }
  }

  eosin.PaneGrid = PaneGrid;
})();
