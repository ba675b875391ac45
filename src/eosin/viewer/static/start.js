"use strict";
// Start the page in its own document: of a folder where its data came as scripts, else of a server.
(() => {
  const eosin = globalThis.eosin;
  const source = eosin.inFolder ? new eosin.source.FolderSource() : new eosin.source.ServerSource();
  const drawBy = new URLSearchParams(location.search).get("draw") ?? undefined;
  eosin.mount(document.getElementById("eosin"), source, drawBy).then((page) => {
    document.title = `${page.scene.section} by ${page.scene.model} – eosin`;
    eosin.page = page;
  });
})();
