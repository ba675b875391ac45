"use strict";
// The page in a notebook: what it shows comes as messages of the kernel.
(() => {
  const eosin = (globalThis.eosin ??= {});

  class NotebookSource {
    constructor(model) {
      this.model = model;
      this.waiting = new Map();
      this.n = 0;
      model.on("msg:custom", (content, buffers) => {
        const done = this.waiting.get(content?.id);
        if (!done) return; // another view of the same widget asked
        this.waiting.delete(content.id);
        done(content, buffers);
      });
    }

    ask(request) {
      const id = `${Math.random()}/${this.n++}`;
      return new Promise((done, fail) => {
        this.waiting.set(id, (content, buffers) => {
          if (content.fault) return fail(new Error(content.fault));
          const view = buffers[0];
          const bytes = view instanceof ArrayBuffer ? view : view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
          return done(bytes);
        });
        this.model.send({ ...request, id });
      });
    }

    async get(name) {
      return eosin.source.unpack(await this.ask({ data: name }));
    }

    async fault() {
      return this.ask({ tile: [0, 0, 0] }).then(() => "some of it cannot be read").catch((error) => error.message);
    }

    async tile(slide, level, column, row) {
      const address = URL.createObjectURL(new Blob([await this.ask({ tile: [level, column, row] })], { type: "image/jpeg" }));
      return eosin.source.pictureOf(address).finally(() => URL.revokeObjectURL(address));
    }

    tiles(slide) {
      const name = (level, x, y) => `${level}/${x}/${y}`;
      return {
        width: slide.width,
        height: slide.height,
        tileSize: slide.tile,
        tileOverlap: 0,
        minLevel: 0,
        maxLevel: slide.max_level,
        getTileUrl: name,
        downloadTileStart: (job) => {
          const place = job.src.split("/").map(Number);
          this.tile(slide, ...place).then((picture) => job.finish(picture, null, "image")).catch((error) => job.fail(error.message, null));
        },
        downloadTileAbort: () => {},
      };
    }
  }

  // Called by the widget's module.
  eosin.renderIn = (model, element) => {
    const root = eosin.dom.h("div", { class: "eosin-view", "data-embedded": "true", "data-lm-suppress-shortcuts": "true" });
    root.style.height = `${model.get("height")}px`;
    element.append(root);
    root.addEventListener("keydown", (event) => event.stopPropagation()); // the notebook has keys of its own
    const shown = eosin.mount(root, new NotebookSource(model));
    return () => shown.then((page) => page.close()).catch(() => {});
  };
})();
