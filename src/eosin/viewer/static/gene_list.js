"use strict";
// The genes of the panel: found by their letters, with how far each is to be trusted. Only rows in sight are elements.
(() => {
  const eosin = (globalThis.eosin ??= {});
  const { h, number, counted } = eosin.dom;
  const ROW_PX = 30;
  const BADGES = { map: ["●", "map"], "level only": ["◐", "level"], no: ["○", "no"] };
  const MEANING = {
    map: "the map can be read",
    "level only": "the mean of the slide can be read, its map only roughly",
    no: "neither map nor level was predicted better than by chance",
  };

  class GeneList {
    constructor(page) {
      this.page = page;
      const { scene } = page;
      this.found = [];
      this.names = scene.genes.map((name) => name.toLowerCase());
      this.search = h("input", {
        type: "search",
        class: "gene-search",
        placeholder: `Search ${counted(scene.genes.length, "genes")}`,
        role: "combobox",
        "aria-label": "Search genes",
        "aria-controls": `${page.name}-genes`,
        "aria-expanded": "true",
        autocomplete: "off",
        spellcheck: false,
        oninput: () => this.filter(),
        onkeydown: (event) => this.onKey(event),
      });
      const orders = [["panel", "panel order"], ["name", "name"], ...(scene.trust ? [["trust", "trust"]] : [])];
      this.order = h(
        "select",
        { "aria-label": "Order of genes", onchange: () => this.filter() },
        orders.map(([value, text]) => h("option", { value, selected: value === (scene.trust ? "trust" : "panel") }, `by ${text}`)),
      );
      this.rows = h("div", { class: "gene-rows" });
      this.list = h("div", { class: "gene-list", id: `${page.name}-genes`, role: "listbox", tabIndex: 0, "aria-label": "Genes", onscroll: () => this.paint(), onkeydown: (event) => this.onKey(event) }, this.rows);
      this.facts = h("div", { class: "gene-facts", "aria-live": "polite" });
      this.element = h("aside", { class: "genes", "aria-label": "Genes" }, h("div", { class: "gene-tools" }, this.search, this.order), this.list, this.facts);
      new ResizeObserver(() => this.paint()).observe(this.list);
      this.filter();
    }

    filter() {
      const wanted = this.search.value.trim().toLowerCase();
      const { scene } = this.page;
      const found = [];
      for (let j = 0; j < this.names.length; j++) if (!wanted || this.names[j].includes(wanted)) found.push(j);
      const order = this.order.value;
      const rank = (j) => (this.names[j] === wanted ? 0 : this.names[j].startsWith(wanted) ? 1 : 2);
      const pcc = (j) => scene.trust_pcc?.[j] ?? -2;
      found.sort((a, b) => {
        if (wanted && rank(a) !== rank(b)) return rank(a) - rank(b);
        if (order === "name") return this.names[a] < this.names[b] ? -1 : 1;
        return (order === "trust" && pcc(b) - pcc(a)) || a - b;
      });
      this.found = found;
      this.list.scrollTop = 0;
      this.paint();
    }

    paint() {
      const first = Math.max(0, Math.floor(this.list.scrollTop / ROW_PX) - 4);
      const last = Math.min(this.found.length, first + Math.ceil((this.list.clientHeight || 300) / ROW_PX) + 8);
      this.rows.style.height = `${Math.max(1, this.found.length) * ROW_PX}px`;
      const rows = [];
      for (let k = first; k < last; k++) rows.push(this.row(k));
      if (!this.found.length) rows.push(h("p", { class: "gene-none" }, "No gene of the panel is called so."));
      this.rows.replaceChildren(...rows);
      this.list.setAttribute("aria-activedescendant", `${this.page.name}-gene-${this.page.column}`);
      this.search.setAttribute("aria-activedescendant", `${this.page.name}-gene-${this.page.column}`);
    }

    row(k) {
      const j = this.found[k];
      const { scene, column } = this.page;
      const row = h(
        "div",
        {
          class: "gene-row",
          id: `${this.page.name}-gene-${j}`,
          role: "option",
          "aria-selected": j === column ? "true" : "false",
          "aria-setsize": String(this.found.length),
          "aria-posinset": String(k + 1),
          onclick: () => this.page.setGene(j),
        },
        h("span", { class: "gene-name" }, scene.genes[j]),
        this.badge(j),
      );
      row.style.top = `${k * ROW_PX}px`;
      return row;
    }

    badge(j) {
      const { scene } = this.page;
      if (!scene.trust) return null;
      const verdict = scene.trust[j];
      const [sign, word] = BADGES[verdict];
      const text = `${sign} ${word} ${scene.trust_pcc[j] === null ? "" : number(scene.trust_pcc[j])}`;
      return h("span", { class: "badge", "data-verdict": word, title: `trust: ${verdict} – ${MEANING[verdict]}` }, text);
    }

    // Show the gene in the list, and what is known of it below.
    setGene(j) {
      const k = this.found.indexOf(j);
      if (k >= 0) {
        const top = k * ROW_PX;
        if (top < this.list.scrollTop) this.list.scrollTop = top;
        else if (top + ROW_PX > this.list.scrollTop + this.list.clientHeight) this.list.scrollTop = top + ROW_PX - this.list.clientHeight;
      }
      this.paint();
      const { scene } = this.page;
      const lines = [h("h2", {}, scene.genes[j])];
      if (scene.trust) {
        const pcc = scene.trust_pcc[j];
        const held = scene.trust_kind === "known patient" ? "sections of known patients" : "patients";
        lines.push(h("p", {}, this.badge(j), ` ${MEANING[scene.trust[j]]}.`));
        if (pcc !== null) lines.push(h("p", { class: "quiet" }, `Correlation ${number(pcc)} on held-out ${held} in training.`));
      } else lines.push(h("p", { class: "quiet" }, "How far this gene is to be trusted is not known."));
      this.facts.replaceChildren(...lines);
    }

    // The next or an earlier gene of those found.
    step(by) {
      if (!this.found.length) return;
      const k = this.found.indexOf(this.page.column);
      this.page.setGene(this.found[Math.max(0, Math.min(this.found.length - 1, k < 0 ? 0 : k + by))]);
    }

    onKey(event) {
      const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
      if (event.key in steps) this.step(steps[event.key]);
      else if (event.key === "Enter" && this.found.length) this.page.setGene(this.found[0]);
      else if (event.key === "Escape") {
        if (this.search.value) {
          this.search.value = "";
          this.filter();
        } else this.page.grid.active.element.focus();
      } else return;
      event.preventDefault();
      event.stopPropagation();
    }
  }

  eosin.GeneList = GeneList;
})();
