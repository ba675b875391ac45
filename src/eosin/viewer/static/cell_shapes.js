"use strict";
// Outlines of cells, fetched block by block where they are large enough to be seen.
(() => {
  const eosin = (globalThis.eosin ??= {});
  const MOST_CELLS = 12000;
  const LEAST_PX = 5;

  class CellShapes {
    constructor(source, field, changed) {
      this.source = source;
      this.field = field;
      this.changed = changed;
      this.blocks = new Map();
    }

    // Whether outlines are to be drawn at this scale, given the blocks that are shown.
    fit(scale, total) {
      return this.field.width * scale >= LEAST_PX && total <= MOST_CELLS * 4;
    }

    // Corners of the cells of a block, or null while they are on their way.
    block(b) {
      const known = this.blocks.get(b);
      if (known !== undefined) return known;
      this.blocks.set(b, null);
      this.source
        .get(`outlines/${b}`)
        .then((message) => {
          const starts = new Uint32Array(message.arrays.sizes.length + 1);
          message.arrays.sizes.forEach((size, i) => (starts[i + 1] = starts[i] + size));
          this.blocks.set(b, { starts, steps: message.arrays.steps, step: message.facts.step_um });
          if (this.blocks.size > 200) this.blocks.delete(this.blocks.keys().next().value);
          this.changed();
        })
        .catch(() => this.blocks.set(b, { starts: new Uint32Array(1), steps: new Int16Array(0), step: 1 }));
      return null;
    }

    // Fill the cells of some blocks on a 2D context; false where some blocks are still to come.
    draw(context, view, blocks, values, ramp, low, high) {
      const { xy, starts } = this.field;
      const { width, height } = context.canvas;
      let whole = true;
      const byColour = new Map();
      for (const b of blocks) {
        const shapes = this.block(b);
        if (!shapes) {
          whole = false;
          continue;
        }
        for (let k = 0; k + 1 < shapes.starts.length; k++) {
          const i = starts[b] + k;
          const x = xy[2 * i] * view.scale + view.left;
          const y = xy[2 * i + 1] * view.scale + view.top;
          const reach = this.field.widest * view.scale * 2;
          if (x + reach < 0 || y + reach < 0 || x - reach > width || y - reach > height) continue;
          const index = eosin.colours.indexOf(values[i], low, high);
          let path = byColour.get(index);
          if (!path) byColour.set(index, (path = new Path2D()));
          this.trace(path, shapes, k, x, y, view.scale, i);
        }
      }
      for (const [index, path] of byColour) {
        context.fillStyle = eosin.colours.cssOf(ramp, index < 0 ? NaN : index, 0, 255);
        context.fill(path);
      }
      return whole;
    }

    trace(path, shapes, k, x, y, scale, spot) {
      const first = shapes.starts[k];
      const last = shapes.starts[k + 1];
      if (first === last) {
        const radius = ((this.field.widths ? this.field.widths[spot] : this.field.width) / 2) * scale;
        path.moveTo(x + radius, y);
        path.arc(x, y, radius, 0, 2 * Math.PI);
        return;
      }
      const factor = shapes.step * scale;
      for (let c = first; c < last; c++) {
        const px = x + shapes.steps[2 * c] * factor;
        const py = y + shapes.steps[2 * c + 1] * factor;
        if (c === first) path.moveTo(px, py);
        else path.lineTo(px, py);
      }
      path.closePath();
    }
  }

  eosin.CellShapes = CellShapes;
})();
