"use strict";
// Where messages come from: a server, scripts of a folder, or a notebook. A message is a header and arrays.
(() => {
  const eosin = (globalThis.eosin ??= {});
  const MISSING = 65535;
  const KINDS = { u2: Uint16Array, i2: Int16Array, f4: Float32Array };

  function unpack(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    let start = 4 + length;
    const arrays = {};
    for (const entry of facts.arrays) {
      const kind = KINDS[entry.type];
      arrays[entry.name] = new kind(buffer, start, entry.length);
      start += Math.ceil((entry.length * kind.BYTES_PER_ELEMENT) / 4) * 4;
    }
    return { facts, arrays };
  }

  // Numbers that 16-bit codes stand for; NaN where they are missing.
  function restored(codes, range) {
    const values = new Float32Array(codes.length);
    const step = (range.high - range.low) / (MISSING - 1);
    for (let i = 0; i < codes.length; i++) values[i] = codes[i] === MISSING ? NaN : range.low + codes[i] * step;
    return values;
  }

  function vectorsOf(message) {
    const vectors = {};
    for (const [name, range] of Object.entries(message.facts.ranges)) vectors[name] = restored(message.arrays[name], range);
    return vectors;
  }

  class ServerSource {
    async get(name) {
      const answer = await this.fetched(name);
      if (!answer.ok) throw new Error(answer.status === 403 ? "the server was started again: open its new address" : await answer.text());
      return unpack(await answer.arrayBuffer());
    }

    async fetched(name) {
      for (let tries = 0; ; tries++) {
        let answer;
        try {
          answer = await fetch(`data/${name}`, { cache: "no-store" });
        } catch {
          throw new Error("the server has ended: run eosin view again");
        }
        if (answer.status !== 503 || tries === 5) return answer;
        await new Promise((done) => setTimeout(done, 200 * (tries + 1)));
      }
    }

    tile(slide, level, column, row) {
      return pictureOf(`tile/${level}/${column}/${row}`);
    }

    // Why tiles do not come, in words.
    async fault() {
      try {
        const answer = await fetch("tile/0/0/0", { cache: "no-store" });
        return answer.ok ? "some of it cannot be read" : await answer.text();
      } catch {
        return "the server has ended, run eosin view again";
      }
    }

    tiles(slide) {
      return {
        width: slide.width,
        height: slide.height,
        tileSize: slide.tile,
        tileOverlap: 0,
        minLevel: 0,
        maxLevel: slide.max_level,
        getTileUrl: (level, x, y) => `tile/${level}/${x}/${y}`,
      };
    }
  }

  function bytesOf(base64) {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes.buffer;
  }

  const received = new Map();

  // Called by the scripts of a folder.
  eosin.receive = (name, base64) => {
    eosin.inFolder = true;
    received.set(name, base64);
  };

  class FolderSource {
    constructor() {
      this.loading = new Map();
    }

    async get(name) {
      if (!received.has(name)) await this.load(this.scriptOf(name));
      if (!received.has(name)) throw new Error(`${name} is missing from this folder`);
      const message = unpack(bytesOf(received.get(name)));
      if (name === "scene") this.genesPerScript = message.facts.genes_per_script;
      if (this.genesPerScript === 1 && name.startsWith("gene/")) this.forget(name); // large ones are not kept as text
      return message;
    }

    forget(name) {
      received.delete(name);
      this.loading.delete(this.scriptOf(name));
    }

    // Small genes come several in a script.
    scriptOf(name) {
      const [kind, source, column] = name.split("/");
      return kind === "gene" ? `gene_${source}_${Math.floor(column / this.genesPerScript)}` : name.replaceAll("/", "_");
    }

    load(script) {
      if (!this.loading.has(script)) {
        const loaded = new Promise((done, fail) => {
          const element = document.createElement("script");
          element.onload = done;
          element.onerror = () => fail(new Error(`data/${script}.js is missing from this folder`));
          element.src = `data/${script}.js`;
          document.head.append(element);
        });
        this.loading.set(script, loaded);
        loaded.catch(() => this.loading.delete(script));
      }
      return this.loading.get(script);
    }

    async fault() {
      return "its picture cannot be read";
    }

    // Pictures of the whole slide, each twice as large as the one before: a canvas may be saved only where its pictures
    // are data.
    tiles(slide) {
      const largest = slide.pictures[slide.pictures.length - 1];
      const side = Math.max(largest.width, largest.height);
      const levels = slide.pictures.length - 1;
      return { width: largest.width, height: largest.height, tileSize: side, tileOverlap: 0, minLevel: 0, maxLevel: levels, getTileUrl: (level) => slide.pictures[level].url };
    }
  }

  // Genes that were looked at lately, as numbers.
  class GeneStore {
    constructor(source, most) {
      this.source = source;
      this.most = most;
      this.kept = new Map();
    }

    // {mean, low, high, interval} of a gene; what a source does not have is undefined.
    gene(source, column) {
      return this.once(`gene/${source}/${column}`);
    }

    // Draws of a gene, one after the other.
    draws(column) {
      return this.once(`draws/${column}`);
    }

    distance() {
      return this.once("distance");
    }

    once(name) {
      let promise = this.kept.get(name);
      if (!promise) {
        promise = this.source.get(name).then((message) => ({ ...vectorsOf(message), interval: message.facts.interval }));
        promise.catch(() => this.kept.delete(name));
      }
      this.kept.delete(name);
      this.kept.set(name, promise);
      if (this.kept.size > this.most) this.kept.delete(this.kept.keys().next().value);
      return promise;
    }
  }

  // A picture that is loaded.
  function pictureOf(address) {
    return new Promise((done, fail) => {
      const picture = new Image();
      picture.onload = () => done(picture);
      picture.onerror = () => fail(new Error("a picture is missing"));
      picture.src = address;
    });
  }

  eosin.source = { pictureOf, ServerSource, FolderSource, GeneStore, unpack, restored, bytesOf };
})();
