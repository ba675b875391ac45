"use strict";
// Colours of values: ramps that grow in lightness, and one that diverges from light in both directions.
(() => {
  const eosin = (globalThis.eosin ??= {});

  const ANCHORS = {
    viridis:
      "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725",
    magma:
      "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 d0416f e75263 f56b5c fc8961 fea772 fec488 fde2a3 fcfdbf",
    diverging:
      "2d004b 4d207d 70589f 9990bf bfbbda dddfed f7f7f6 fde4c0 fdc57f ee9b39 d0730f aa5306 7f3b08",
  };
  const RAMP_OF = { expression: "viridis", spread: "magma", distance: "magma", difference: "diverging" };
  const made = new Map();

  // 256 colours, 3 bytes each.
  function ramp(name) {
    if (made.has(name)) return made.get(name);
    const anchors = ANCHORS[name].split(" ").map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));
    const colours = new Uint8Array(256 * 3);
    for (let i = 0; i < 256; i++) {
      const at = (i / 255) * (anchors.length - 1);
      const k = Math.min(anchors.length - 2, Math.floor(at));
      for (let c = 0; c < 3; c++) colours[3 * i + c] = Math.round(anchors[k][c] + (at - k) * (anchors[k + 1][c] - anchors[k][c]));
    }
    made.set(name, colours);
    return colours;
  }

  const MISSING = [150, 150, 150];

  // Index of a value's colour; -1 where the value is not known.
  function indexOf(value, low, high) {
    if (Number.isNaN(value)) return -1;
    return Math.max(0, Math.min(255, Math.round(((value - low) / (high - low)) * 255)));
  }

  function cssOf(colours, value, low, high) {
    const i = indexOf(value, low, high);
    const [r, g, b] = i < 0 ? MISSING : [colours[3 * i], colours[3 * i + 1], colours[3 * i + 2]];
    return `rgb(${r}, ${g}, ${b})`;
  }

  // A canvas element filled with the ramp, low to the left.
  function paintBar(canvas, colours) {
    canvas.width = 256;
    canvas.height = 1;
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(256, 1);
    for (let i = 0; i < 256; i++) {
      for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = colours[3 * i + c];
      pixels.data[4 * i + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
  }

  eosin.colours = { ramp, rampOf: (group) => ramp(RAMP_OF[group]), indexOf, cssOf, paintBar, MISSING };
})();
