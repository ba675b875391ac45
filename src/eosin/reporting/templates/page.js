"use strict";
/* What a page does without a network: maps of the genes that lie in it as bytes, tables that are sorted and searched. */
(() => {
  const $ = (id) => document.getElementById(id);
  const make = (name, text, class_) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (class_) element.className = class_;
    return element;
  };
  document.documentElement.classList.add("js");

  /* Tables that are wider than their place say so. */
  const scrolling = [...document.querySelectorAll(".scroll")].map((box) => {
    const hint = make("p", "Wider than the page: scroll it sideways →", "more");
    hint.hidden = true;
    box.before(hint);
    return [box, hint];
  });
  const measure = () => scrolling.forEach(([box, hint]) => { hint.hidden = box.scrollWidth <= box.clientWidth + 1; });
  addEventListener("resize", measure);
  document.addEventListener("toggle", measure, true);

  /* Slides of a cohort. */
  const slides = [...document.querySelectorAll(".slide[data-text]")];
  if (slides.length) {
    const search = $("find");
    const look = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let n = 0;
      for (const slide of slides) {
        slide.hidden = !words.every((word) => slide.dataset.text.toLowerCase().includes(word));
        n += !slide.hidden;
      }
      $("found").textContent = `${n} of ${slides.length} slides`;
    };
    search.addEventListener("input", look);
    look();
  }

  const holder = $("maps");
  if (!holder) { measure(); return; }
  const data = JSON.parse(holder.textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const shorts = (text) => new Uint16Array(bytes(text).buffer);
  const colours = {};
  for (const [name, text] of Object.entries(data.colours)) {
    const raw = bytes(text);
    colours[name] = Array.from({ length: 255 }, (_, i) => `rgb(${raw[3 * i]},${raw[3 * i + 1]},${raw[3 * i + 2]})`);
  }
  const n_genes = data.genes.length;
  const sections = data.sections.map((record) => {
    const places = shorts(record.places);
    const n = places.length / 2;
    const panes = record.layers.map((layer) => {
      const values = bytes(layer.values);
      const ranges = layer.key === "sd" ? record.spread : record.ranges;
      return { key: layer.key, title: layer.title, colours: layer.colours, unit: data.unit,
        of: (gene) => values.subarray(gene * n, (gene + 1) * n), range: (gene) => ranges[gene] };
    });
    const by = Object.fromEntries(panes.map((pane) => [pane.key, pane]));
    if (by.truth) {
      panes.push({ key: "difference", title: "Predicted − measured", colours: "RdBu_r", unit: data.unit,
        of: (gene) => {
          const a = by.mean.of(gene), b = by.truth.of(gene);
          return Uint8Array.from(a, (v, i) => (v === 255 || b[i] === 255 ? 255 : Math.round((v - b[i]) / 2 + 127)));
        },
        range: (gene) => { const [low, high] = record.ranges[gene]; return [low - high, high - low]; } });
    }
    if (record.distance) {
      const values = bytes(record.distance);
      panes.push({ key: "distance", title: "Distance from training", colours: "magma",
        unit: `1 is usual in training, the limit is ${record.limits[2]}`, of: () => values, range: () => record.limits });
    }
    if (record.slide) panes.push({ key: "slide", title: "Slide", colours: null });
    return { ...record, n, x: places.filter((_, i) => i % 2 === 0), y: places.filter((_, i) => i % 2 === 1),
      width_of: record.widths ? ((w) => (i) => w[i] / 10)(shorts(record.widths)) : () => record.width, panes };
  });

  let section = sections[0];
  let gene = 0;
  const has = (key) => section.panes.some((pane) => pane.key === key);
  const wanted = new Set(["mean"]);
  if (has("truth")) wanted.add("truth"); else if (has("slide")) wanted.add("slide");
  for (const pane of section.panes) if (pane.key.startsWith("other") && wanted.size < 3) wanted.add(pane.key);

  const paint = (canvas, pane, from, least, size) => {
    const { width, height } = canvas;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (!pane.colours) return;
    const table = colours[pane.colours];
    const values = pane.of(gene_of(from));
    for (let i = 0; i < section.n; i++) {
      const r = Math.max((section.width_of(i) / section.size[0]) * (width / 2) * size, least);
      const x = (section.x[i] / 65535) * width, y = (section.y[i] / 65535) * height;
      if (values[i] === 255) {
        context.strokeStyle = "#77797f";
        context.beginPath(); context.arc(x, y, r, 0, 6.2832); context.stroke();
        continue;
      }
      context.fillStyle = table[values[i]];
      if (r < 1.6) context.fillRect(x - r, y - r, 2 * r, 2 * r);
      else { context.beginPath(); context.arc(x, y, r, 0, 6.2832); context.fill(); }
    }
  };
  const gene_of = (from) => (from === undefined ? gene : from);
  const short = (value) => Number(value.toPrecision(3)).toString().replace("-", "−");

  /* The panes: built when what is shown changes, painted when the gene or the size does. */
  let panes = [];
  const length_um = (width_um) => {
    let best = 1;
    for (let power = 0; power < 6; power++) for (const unit of [1, 2, 5]) if (unit * 10 ** power <= width_um / 4) best = unit * 10 ** power;
    return best;
  };
  const build = () => {
    const shown = section.panes.filter((pane) => wanted.has(pane.key));
    $("panes").replaceChildren();
    panes = shown.map((pane) => {
      const figure = make("figure", undefined, "pane");
      const title = make("figcaption");
      const field = make("div", undefined, "field");
      field.style.aspectRatio = `${section.size[0]} / ${section.size[1]}`;
      figure.style.setProperty("--wide", section.size[0] / section.size[1]);
      if (section.slide) {
        const image = make("img");
        image.alt = "";
        image.src = section.slide;
        field.append(image);
      }
      if (pane.key === "slide") field.classList.add("stained");
      const canvas = make("canvas");
      canvas.setAttribute("role", "img");
      field.append(canvas);
      const um = length_um(section.size[0]);
      const ruler = make("span", undefined, "ruler");
      ruler.append(make("b", um < 1000 ? `${um} µm` : `${um / 1000} mm`));
      if (um / section.size[0] < 0.16) ruler.classList.add("short");
      ruler.style.width = `${(um / section.size[0]) * 100}%`;
      field.append(ruler);
      const bar = make("div", undefined, "bar");
      if (pane.colours) {
        const strip = make("i");
        const steps = colours[pane.colours];
        strip.style.background = `linear-gradient(90deg, ${steps.filter((_, i) => i % 16 === 0 || i === 254).join(",")})`;
        bar.append(make("span"), strip, make("span"), make("em", pane.unit));
      } else bar.append(make("em", "the slide as it is stained"));
      figure.append(title, field, bar);
      $("panes").append(figure);
      canvas.addEventListener("pointermove", (event) => point(event, canvas));
      return { ...pane, title_of: title, field, canvas, bar };
    });
    arrange();
    panes.forEach((pane) => watch.observe(pane.field));
  };
  const arrange = () => {
    const n = Math.max(1, panes.length), room = $("panes").clientWidth;
    $("panes").style.setProperty("--n", Math.max(1, Math.min(n, n === 4 ? 2 : 3, Math.floor((room + 16) / (room < 500 ? 185 : 290)))));
  };
  const draw = (pane) => {
    const scale = Math.min(devicePixelRatio || 1, 2);
    const width = Math.round(pane.field.clientWidth * scale), height = Math.round(pane.field.clientHeight * scale);
    if (!width || !height) return;
    if (pane.canvas.width !== width || pane.canvas.height !== height) { pane.canvas.width = width; pane.canvas.height = height; }
    pane.canvas.style.opacity = $("strength").value / 100;
    if (pane.key !== "slide") pane.field.classList.toggle("stained", $("stain").checked);
    const own = pane.key === "distance" || pane.key === "slide";
    pane.title_of.textContent = own ? pane.title : `${data.genes[gene]}: ${pane.title[0].toLowerCase()}${pane.title.slice(1)}`;
    pane.canvas.setAttribute("aria-label", `${pane.title_of.textContent}, section ${section.name}`);
    if (pane.colours) {
      const [low, high] = pane.range(gene);
      pane.bar.children[0].textContent = short(low);
      pane.bar.children[2].textContent = short(high);
    }
    paint(pane.canvas, pane, gene, 1.5 * scale, Number($("size").value));
  };
  const redraw = () => panes.forEach(draw);
  const watch = new ResizeObserver(() => { arrange(); redraw(); });

  const point = (event, canvas) => {
    const box = canvas.getBoundingClientRect();
    const px = ((event.clientX - box.left) / box.width) * section.size[0], py = ((event.clientY - box.top) / box.height) * section.size[1];
    let best = -1, nearest = Infinity;
    for (let i = 0; i < section.n; i++) {
      const dx = (section.x[i] / 65535) * section.size[0] - px, dy = (section.y[i] / 65535) * section.size[1] - py;
      const d = dx * dx + dy * dy;
      if (d < nearest) { nearest = d; best = i; }
    }
    if (best < 0) return;
    const parts = panes.filter((pane) => pane.colours).map((pane) => {
      const value = pane.of(gene)[best], [low, high] = pane.range(gene);
      return `${pane.title.toLowerCase()} ${value === 255 ? "not known" : short(low + ((high - low) * value) / 254)}`;
    });
    $("pointed").textContent = `${data.genes[gene]}, nearest spot: ${parts.join("; ")}.`;
  };

  /* Which gene, which section, which maps. */
  const choose = (place) => {
    gene = (place + n_genes) % n_genes;
    $("gene").value = String(gene);
    document.querySelectorAll("#genes tr.chosen").forEach((row) => row.classList.remove("chosen"));
    document.querySelector(`#genes tr[data-place="${gene}"]`)?.classList.add("chosen");
    redraw();
  };
  data.genes.forEach((name, i) => { const option = make("option", name); option.value = String(i); $("gene").append(option); });
  $("gene").addEventListener("change", () => choose(Number($("gene").value)));
  $("previous").addEventListener("click", () => choose(gene - 1));
  $("next").addEventListener("click", () => choose(gene + 1));
  $("strength").addEventListener("input", redraw);
  $("size").addEventListener("input", redraw);
  $("stain").addEventListener("change", redraw);
  const offer = () => {
    $("shown").querySelectorAll("label").forEach((label) => label.remove());
    for (const pane of section.panes) {
      const label = make("label"), box = make("input");
      box.type = "checkbox";
      box.checked = wanted.has(pane.key);
      box.addEventListener("change", () => { if (box.checked) wanted.add(pane.key); else wanted.delete(pane.key); build(); redraw(); });
      label.append(box, pane.title);
      $("shown").append(label);
    }
  };
  sections.forEach((record, i) => { const option = make("option", record.name); option.value = String(i); $("section").append(option); });
  $("section-choice").hidden = sections.length < 2;
  if (sections.length < 2) $("section-choice").style.display = "none";
  $("section").addEventListener("change", () => { section = sections[Number($("section").value)]; offer(); build(); redraw(); minis(); });

  /* The table of genes. */
  const rows = [...document.querySelectorAll("#genes tbody tr")];
  for (const row of rows) {
    const head = row.cells[0], button = make("button", head.textContent);
    button.type = "button";
    button.addEventListener("click", () => { choose(Number(row.dataset.place)); document.querySelector(".first").scrollIntoView(); });
    head.replaceChildren(button);
  }
  const tiny = (row) => {
    const cell = row.querySelector(".mini");
    cell.replaceChildren();
    for (const pane of section.panes.filter((pane) => pane.key === "mean" || pane.key === "truth")) {
      const canvas = make("canvas");
      const tall = section.size[1] / section.size[0], width = Math.round(Math.min(76, 58 / tall));
      canvas.width = 2 * width; canvas.height = Math.max(8, Math.round(2 * width * tall));
      canvas.style.width = `${width}px`; canvas.style.height = `${canvas.height / 2}px`;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${data.genes[row.dataset.place]}, ${pane.title.toLowerCase()}`);
      cell.append(canvas);
      paint(canvas, pane, Number(row.dataset.place), (canvas.width / Math.sqrt(section.n)) * 0.42, 1);
    }
  };
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (entry.isIntersecting) { seen.unobserve(entry.target); tiny(entry.target); }
  }), { rootMargin: "300px" });
  const minis = () => rows.forEach((row) => { const cell = row.querySelector(".mini"); cell.style.height = "66px"; seen.observe(row); });
  addEventListener("beforeprint", () => rows.slice(0, 200).forEach(tiny));

  const filter = () => {
    const text = $("find").value.trim().toLowerCase(), trust = $("trusted")?.value ?? "";
    let n = 0;
    for (const row of rows) {
      row.hidden = !(row.cells[0].textContent.toLowerCase().includes(text) && (!trust || row.dataset.trust === trust));
      n += !row.hidden;
    }
    $("found").textContent = n === rows.length ? `${n} genes` : `${n} of ${rows.length} genes`;
  };
  $("find").addEventListener("input", filter);
  $("trusted")?.addEventListener("change", filter);
  document.querySelectorAll("#genes thead th").forEach((head, column) => {
    if ("plain" in head.dataset) return;
    const button = make("button", head.textContent);
    button.type = "button";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending" || (column === 0 && !head.hasAttribute("aria-sort"));
      document.querySelectorAll("#genes thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => (column === 0 ? row.cells[0].textContent : row.cells[column].dataset.v);
      rows.sort((a, b) => {
        const one = key(a), two = key(b);
        if (column === 0) return (up ? 1 : -1) * one.localeCompare(two);
        if (one === "" || two === "") return (one === "") - (two === "");
        return (up ? 1 : -1) * (Number(one) - Number(two));
      });
      document.querySelector("#genes tbody").append(...rows);
    });
  });

  /* An address that ends in #GENE opens at that gene. */
  const named = () => {
    try { return data.genes.indexOf(decodeURIComponent(location.hash.slice(1))); } catch { return -1; }
  };
  addEventListener("hashchange", () => { if (named() >= 0) choose(named()); });

  offer();
  build();
  choose(Math.max(0, named()));
  filter();
  minis();
  measure();
})();
