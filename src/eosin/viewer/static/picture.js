"use strict";
// A pane as a picture for print: tissue, spots, colour bar, scale bar and title, at as many pixels as asked for.
(() => {
  const eosin = (globalThis.eosin ??= {});
  const { h, number, niceLength, save, fileName } = eosin.dom;
  const MOST_PX = 8000;

  class Picture {
    constructor(page) {
      this.page = page;
      this.width = h("input", { type: "number", value: "180", min: "20", max: "1000", step: "1" });
      this.dpi = h("input", { type: "number", value: "300", min: "50", max: "1200", step: "1" });
      this.note = h("p", { class: "quiet", role: "status" });
      this.dialog = h(
        "dialog",
        { class: "dialog", "aria-label": "Save a picture" },
        h("form", { method: "dialog" }, h("button", { class: "close", "aria-label": "Close" }, "×")),
        h(
          "div",
          { class: "dialog-body" },
          h("h2", {}, "Save the pane as a picture"),
          h("p", {}, "The pane that was used last, as it stands, with colour bar and scale bar."),
          h("p", { class: "fields" }, h("label", {}, "Width, mm ", this.width), h("label", {}, "Pixels per inch ", this.dpi)),
          h("p", {}, h("button", { type: "button", class: "primary", onclick: () => this.make() }, "Save PNG")),
          this.note,
        ),
      );
    }

    open() {
      this.note.textContent = `Pane: ${this.page.grid.active.title}`;
      if (!this.dialog.open) this.dialog.showModal();
    }

    async make() {
      const px = Math.round((Number(this.width.value) / 25.4) * Number(this.dpi.value));
      if (!(px >= 50 && px <= MOST_PX)) {
        this.note.textContent = `${px || "These"} pixels wide is not possible; 50 to ${MOST_PX} are.`;
        return;
      }
      this.note.textContent = "Drawing …";
      const pane = this.page.grid.active;
      const canvas = await this.draw(pane, px);
      const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
      const { scene } = this.page;
      save(await withDpi(blob, Number(this.dpi.value)), `${fileName(scene.section, scene.model, pane.layer.group ? this.page.geneName : "", pane.layer.title)}.png`);
      this.note.textContent = `${canvas.width} x ${canvas.height} px.`;
    }

    // A canvas `px` wide that shows what the pane shows.
    async draw(pane, px) {
      const [left, top, right, bottom] = pane.bounds();
      const scale = px / (right - left);
      const height = Math.min(MOST_PX, Math.round((bottom - top) * scale));
      const unit = px / 100;
      const foot = Math.round(9 * unit);
      const canvas = h("canvas", { width: px, height: height + foot });
      const context = canvas.getContext("2d");
      context.fillStyle = "#fff";
      context.fillRect(0, 0, canvas.width, canvas.height);
      const view = { scale, left: -left * scale, top: -top * scale };
      context.save();
      context.beginPath();
      context.rect(0, 0, px, height);
      context.clip();
      await this.drawTissue(context, view, [left, top, right, bottom]);
      this.drawValues(context, pane, view, px, height);
      context.lineWidth = 1;
      const marks = { scale, left: view.left, top: view.top };
      this.page.regions.drawOn(context, marks);
      this.drawScale(context, px, height, scale, unit);
      context.restore();
      this.drawFoot(context, pane, px, height, unit);
      return canvas;
    }

    async drawTissue(context, view, bounds) {
      const { slide } = this.page.scene;
      if (!slide) return;
      if (slide.pictures) {
        const picture = await eosin.source.pictureOf(slide.pictures.at(-1).url);
        context.drawImage(picture, view.left, view.top, slide.width * slide.mpp * view.scale, slide.height * slide.mpp * view.scale);
        return;
      }
      const wanted = 1 / (view.scale * slide.mpp); // full-resolution pixels per pixel of the picture
      const level = Math.max(0, Math.min(slide.max_level, slide.max_level - Math.floor(Math.log2(Math.max(1, wanted)))));
      const um = slide.tile * 2 ** (slide.max_level - level) * slide.mpp;
      const last = [slide.width, slide.height].map((side) => Math.ceil((side * slide.mpp) / um) - 1);
      const jobs = [];
      for (let row = Math.max(0, Math.floor(bounds[1] / um)); row <= Math.min(last[1], Math.floor(bounds[3] / um)); row++) {
        for (let column = Math.max(0, Math.floor(bounds[0] / um)); column <= Math.min(last[0], Math.floor(bounds[2] / um)); column++) jobs.push([column, row]);
      }
      for (let k = 0; k < jobs.length; k += 6) {
        const pictures = await Promise.all(jobs.slice(k, k + 6).map(([column, row]) => this.page.source.tile(slide, level, column, row).catch(() => null)));
        pictures.forEach((picture, i) => {
          if (!picture) return;
          const [column, row] = jobs[k + i];
          const side = (um * view.scale) / slide.tile;
          context.drawImage(picture, column * um * view.scale + view.left, row * um * view.scale + view.top, picture.width * side, picture.height * side);
        });
      }
    }

    drawValues(context, pane, view, width, height) {
      const { page } = this;
      const { shown } = pane;
      if (!shown?.values) return;
      const [low, high] = page.ranges[shown.group];
      const ramp = eosin.colours.rampOf(shown.group);
      const { blocksShown, radiusOf } = eosin.paneParts;
      const fine = width * height < 1.2e7 ? 2 : 1; // drawn twice as large where there is room: smooth edges
      const layer = h("canvas", { width: width * fine, height: height * fine });
      const large = { scale: view.scale * fine, left: view.left * fine, top: view.top * fine };
      const blocks = blocksShown(page.field, large, layer.width, layer.height);
      const { runs, total } = page.field.runs(blocks, Infinity);
      let drawn = false;
      if (page.shape === "outlines" && page.shapesOf.fit(large.scale, total)) drawn = page.shapesOf.draw(layer.getContext("2d"), large, blocks, shown.values, ramp, low, high);
      if (!drawn) {
        const discs = new eosin.RasterDiscs(layer, page.field);
        discs.setValues(shown.values);
        const onPage = large.scale / pane.tissue.view().scale;
        discs.draw(large, runs, radiusOf(page, large.scale, 1, onPage), ramp, low, high);
      }
      context.globalAlpha = page.opacity;
      context.drawImage(layer, 0, 0, width, height);
      context.globalAlpha = 1;
    }

    drawScale(context, px, height, scale, unit) {
      const { um, text } = niceLength(px / 5 / scale);
      const length = um * scale;
      const [x, y] = [3 * unit, height - 3 * unit];
      context.fillStyle = "rgba(255, 255, 255, 0.8)";
      context.fillRect(x - unit, y - 3.6 * unit, length + 2 * unit, 5 * unit);
      context.fillStyle = "#000";
      context.fillRect(x, y - 0.6 * unit, length, 0.6 * unit);
      context.font = `${2.2 * unit}px sans-serif`;
      context.textAlign = "center";
      context.fillText(text, x + length / 2, y - 1.1 * unit);
    }

    drawFoot(context, pane, px, height, unit) {
      const { scene, ranges } = this.page;
      context.fillStyle = "#000";
      context.textAlign = "left";
      context.font = `600 ${2.3 * unit}px sans-serif`;
      context.fillText(`${scene.section}, ${pane.title}`, unit, height + 3.6 * unit, 50 * unit);
      context.font = `${1.8 * unit}px sans-serif`;
      context.fillText(`model ${scene.model}`, unit, height + 6.8 * unit, 50 * unit);
      const group = pane.shown?.group;
      if (!group || !pane.shown.values) return;
      const bar = h("canvas");
      eosin.colours.paintBar(bar, eosin.colours.rampOf(group));
      context.drawImage(bar, px - 46 * unit, height + 1.6 * unit, 44 * unit, 2 * unit);
      const [low, high] = ranges[group];
      context.fillText(number(low), px - 46 * unit, height + 6.2 * unit);
      context.textAlign = "right";
      context.fillText(number(high), px - 2 * unit, height + 6.2 * unit);
      context.textAlign = "center";
      context.fillText(group === "distance" ? "in usual distances" : scene.unit, px - 24 * unit, height + 6.2 * unit, 30 * unit);
    }
  }

  // The PNG with its pixels per metre (chunk pHYs) after the header, so that it prints at its width.
  async function withDpi(blob, dpi) {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const chunk = new Uint8Array(21);
    const fields = new DataView(chunk.buffer);
    fields.setUint32(0, 9);
    chunk.set([112, 72, 89, 115], 4);
    fields.setUint32(8, Math.round(dpi / 0.0254));
    fields.setUint32(12, Math.round(dpi / 0.0254));
    chunk[16] = 1;
    fields.setUint32(17, crc(chunk.subarray(4, 17)));
    return new Blob([bytes.subarray(0, 33), chunk, bytes.subarray(33)], { type: "image/png" });
  }

  function crc(bytes) {
    let value = 0xffffffff;
    for (const byte of bytes) {
      value ^= byte;
      for (let k = 0; k < 8; k++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    }
    return (value ^ 0xffffffff) >>> 0;
  }

  eosin.Picture = Picture;
})();
