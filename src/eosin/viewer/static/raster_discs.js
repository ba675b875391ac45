"use strict";
// Discs drawn by the processor into pixels: where there is no graphics card, and for pictures to save.
(() => {
  const eosin = (globalThis.eosin ??= {});

  // Half-widths of a disc's rows, from its top to its bottom; kept by radius.
  const kept = new Map();
  function rowsOf(radius) {
    const key = Math.round(radius * 4);
    if (!kept.has(key)) {
      const r = key / 4;
      const reach = Math.max(0, Math.floor(r));
      const rows = new Int16Array(2 * reach + 1);
      for (let dy = -reach; dy <= reach; dy++) rows[dy + reach] = Math.floor(Math.sqrt(Math.max(0, r * r - dy * dy)));
      if (kept.size > 400) kept.clear();
      kept.set(key, rows);
    }
    return kept.get(key);
  }

  function palette(colours) {
    const words = new Uint32Array(257);
    for (let i = 0; i < 256; i++) words[i] = (255 << 24) | (colours[3 * i + 2] << 16) | (colours[3 * i + 1] << 8) | colours[3 * i];
    const [r, g, b] = eosin.colours.MISSING;
    words[256] = (255 << 24) | (b << 16) | (g << 8) | r;
    return words;
  }

  class RasterDiscs {
    constructor(canvas, field) {
      this.canvas = canvas;
      this.field = field;
      this.context = canvas.getContext("2d");
      this.values = null;
      this.pixels = null;
    }

    setValues(values) {
      this.values = values;
    }

    // view: {scale, left, top} device pixels per µm and of the origin; radiusOf(spot): pixels.
    draw(view, runs, radius, ramp, low, high) {
      const { width, height } = this.canvas;
      if (!this.pixels || this.pixels.width !== width || this.pixels.height !== height) {
        this.pixels = this.context.createImageData(width, height);
        this.words = new Uint32Array(this.pixels.data.buffer);
      }
      const words = this.words;
      words.fill(0);
      const colours = palette(ramp);
      const factor = 255 / (high - low);
      const { xy, widths } = this.field;
      const values = this.values;
      const one = rowsOf(radius.fixed);
      for (const [first, count] of runs) {
        for (let i = first; i < first + count; i++) {
          const x = Math.round(xy[2 * i] * view.scale + view.left);
          const y = Math.round(xy[2 * i + 1] * view.scale + view.top);
          const rows = radius.each && widths ? rowsOf(Math.max(radius.least, widths[i] * radius.each)) : one;
          const reach = (rows.length - 1) >> 1;
          if (x + reach < 0 || y + reach < 0 || x - reach >= width || y - reach >= height) continue;
          const value = values[i];
          const index = value === value ? Math.max(0, Math.min(255, ((value - low) * factor + 0.5) | 0)) : 256;
          const colour = colours[index];
          if (reach === 0) {
            words[y * width + x] = colour;
            continue;
          }
          const last = Math.min(height - 1, y + reach);
          for (let row = Math.max(0, y - reach); row <= last; row++) {
            const half = rows[row - y + reach];
            const from = Math.max(0, x - half);
            const to = Math.min(width - 1, x + half);
            const end = row * width + to;
            if (to - from > 24) words.fill(colour, row * width + from, end + 1);
            else for (let at = row * width + from; at <= end; at++) words[at] = colour; // short runs: a call costs more
          }
        }
      }
      this.context.putImageData(this.pixels, 0, 0);
    }
  }

  eosin.RasterDiscs = RasterDiscs;
})();
