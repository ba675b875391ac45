"use strict";
// Where spots are: in blocks, so that only what is shown is looked at.
(() => {
  const eosin = (globalThis.eosin ??= {});

  class SpotField {
    constructor(scene, message) {
      this.n = scene.n;
      this.boundsUm = scene.extent_um;
      this.xy = message.arrays.xy_um;
      this.widths = message.arrays.widths_um ?? null;
      this.width = scene.diameter_um;
      this.spacing = scene.spacing_um;
      this.starts = scene.starts;
      this.boxes = scene.boxes_um;
      this.widest = this.widths ? this.widths.reduce((a, b) => Math.max(a, b), 0) : this.width;
    }

    get nBlocks() {
      return this.starts.length - 1;
    }

    blockOf(spot) {
      let low = 0;
      let high = this.nBlocks;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (this.starts[middle] <= spot) low = middle;
        else high = middle;
      }
      return low;
    }

    // Blocks that meet a rectangle [left, top, right, bottom] in µm.
    blocksIn(view, margin) {
      const found = [];
      for (let b = 0; b < this.nBlocks; b++) {
        const box = this.boxes[b];
        if (box[2] >= view[0] - margin && box[0] <= view[2] + margin && box[3] >= view[1] - margin && box[1] <= view[3] + margin) found.push(b);
      }
      return found;
    }

    // Runs [first, count] of spots to draw: all of the blocks that are shown, or the first part of each.
    runs(blocks, most) {
      let total = 0;
      for (const b of blocks) total += this.starts[b + 1] - this.starts[b];
      const share = Math.min(1, most / Math.max(1, total));
      const runs = [];
      for (const b of blocks) {
        const first = this.starts[b];
        const count = Math.ceil((this.starts[b + 1] - first) * share);
        const last = runs[runs.length - 1];
        if (last && last[0] + last[1] === first) last[1] += count;
        else runs.push([first, count]);
      }
      return { runs, share, total };
    }

    // The spot nearest to a point, at most `reach` µm away; -1 where there is none.
    nearest(x, y, reach) {
      let best = -1;
      let least = reach * reach;
      for (const b of this.blocksIn([x, y, x, y], reach)) {
        for (let i = this.starts[b]; i < this.starts[b + 1]; i++) {
          const dx = this.xy[2 * i] - x;
          const dy = this.xy[2 * i + 1] - y;
          const d = dx * dx + dy * dy;
          if (d <= least) {
            least = d;
            best = i;
          }
        }
      }
      return best;
    }

    // The nearest spot in a direction (dx, dy) from another one; the same one where there is none.
    neighbour(spot, dx, dy) {
      const x = this.xy[2 * spot];
      const y = this.xy[2 * spot + 1];
      const reach = 6 * this.spacing;
      let best = spot;
      let least = Infinity;
      for (const b of this.blocksIn([x, y, x, y], reach)) {
        for (let i = this.starts[b]; i < this.starts[b + 1]; i++) {
          const ax = this.xy[2 * i] - x;
          const ay = this.xy[2 * i + 1] - y;
          const along = ax * dx + ay * dy;
          const across = Math.abs(ax * dy - ay * dx);
          if (along <= this.spacing * 0.3 || across > along) continue;
          const cost = along + 2 * across;
          if (cost < least) {
            least = cost;
            best = i;
          }
        }
      }
      return best;
    }

    // 1 for each spot within an odd number of rings, else 0.
    inside(rings) {
      const mask = new Uint8Array(this.n);
      const box = boundsOf(rings);
      for (const b of this.blocksIn(box, 0)) {
        for (let i = this.starts[b]; i < this.starts[b + 1]; i++) {
          if (isInside(rings, this.xy[2 * i], this.xy[2 * i + 1])) mask[i] = 1;
        }
      }
      return mask;
    }
  }

  function boundsOf(rings) {
    const box = [Infinity, Infinity, -Infinity, -Infinity];
    for (const ring of rings) {
      for (const [x, y] of ring) {
        box[0] = Math.min(box[0], x);
        box[1] = Math.min(box[1], y);
        box[2] = Math.max(box[2], x);
        box[3] = Math.max(box[3], y);
      }
    }
    return box;
  }

  function areaOf(ring) {
    let twice = 0;
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) twice += ring[j][0] * ring[i][1] - ring[i][0] * ring[j][1];
    return Math.abs(twice) / 2;
  }

  function isInside(rings, x, y) {
    let odd = false;
    for (const ring of rings) {
      for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
        const [ax, ay] = ring[i];
        const [bx, by] = ring[j];
        if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
      }
    }
    return odd;
  }

  eosin.spots = { SpotField, boundsOf, isInside, areaOf };
})();
